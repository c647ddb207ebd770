def prompts_of(wildcards):
    prompts = PLAN.trains_on(wildcards.model)
    return [] if prompts is None else ancient(f"results/prompts/{prompts}.parquet")


rule prepare_model:
    input:
        prompts_of,
    output:
        "results/models/{model}/model.json",
    log:
        "logs/models/{model}.log",
    priority: 10
    resources:
        machine_percent=1,
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/prepare_model.py {wildcards.model} {output} {log} {input}'


# What an engine serves of a model in a form of its own (onnxruntime), made once.
rule export_model:
    input:
        ancient("results/models/{model}/model.json"),
    output:
        "results/models/{model}/onnx/{form}/export.json",
    log:
        "logs/models/{model}.{form}.log",
    priority: 10
    resources:
        machine_percent=1,
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/export_model.py {output} {log}'
