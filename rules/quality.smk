# How right answers are, where the config asks: beside the measuring and never inside it.
def scored_of(wildcards):
    """As of a run, and the model that judges, where one does."""
    cell, log = (
        cell_of(wildcards),
        f"logs/{wildcards.hardware}/quality/{wildcards.task}/{wildcards.run}.log",
    )
    judge = PLAN.judge(cell)
    files = [
        *made_of(wildcards),
        *([] if judge is None else [judge.folder / "model.json"]),
    ]
    return taken_from(cell.score, log, *files)


rule score:
    input:
        machine=ancient("results/{hardware}/machine.json"),
        made_of=scored_of,
    output:
        "results/{hardware}/quality/{task}/{run}.json",
    log:
        "logs/{hardware}/quality/{task}/{run}.log",
    threads: lambda wc: workflow.cores if is_cpu(wc) else 1
    resources:
        gpu=lambda wc: 0 if is_cpu(wc) else PLAN.spec(cell_of(wc)).tensor_parallel,
        machine_percent=if_repeated(lambda wc: 100 * PLAN.repeated(wc.hardware)),
        gpu_model=for_slurm(lambda wc: slurm_of(wc).gpu_model),
        constraint=for_slurm(lambda wc: slurm_of(wc).constraint),
        runtime=lambda wc, attempt: attempt * 60,
    params:
        asked=lambda wc: PLAN.quality(cell_of(wc)).model_dump(mode="json"),
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/score.py {wildcards.hardware} {wildcards.task} {wildcards.run} {log}'


rule quality:
    input:
        scores=scored,
        points="results/{hardware}/points.csv",
    output:
        "results/{hardware}/quality.csv",
    log:
        "logs/{hardware}/quality.log",
    params:
        config=lambda wc: PLAN.scores(wc.hardware),
        code=code("quality"),
    script:
        "../workflow/scripts/quality.py"
