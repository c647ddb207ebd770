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
