from joulebench.exports import dataset
from joulebench.tables.schemas import TABLES


def tables_of_all(wildcards):
    """Of the hardware that was measured as a whole: to publish is no reason to measure."""
    return [
        f"results/{hardware}/{table}.csv"
        for hardware in PLAN.compared()
        for table in dataset.TABLES
        if PLAN.measured(hardware)
    ]


rule parquet:
    input:
        "results/{hardware}/{table}.csv",
    output:
        "results/{hardware}/{table}.parquet",
    log:
        "logs/{hardware}/parquet/{table}.log",
    wildcard_constraints:
        table="|".join(TABLES),
    params:
        code=code("parquet"),
    script:
        "../workflow/scripts/parquet.py"


rule dataset:
    input:
        tables=tables_of_all,
        docs=[f"docs/{name}" for name in dataset.DOCUMENTS],
    output:
        "results/dataset/README.md",
    log:
        "logs/dataset.log",
    params:
        publish_flagged=PLAN.config.publish_flagged,
        code=code("dataset"),
    script:
        "../workflow/scripts/dataset.py"


rule wandb:
    input:
        points="results/{hardware}/points.csv",
        runs=runs_of,
    output:
        "results/{hardware}/wandb/runs.json",
    log:
        "logs/{hardware}/wandb.log",
    params:
        publish_flagged=PLAN.config.publish_flagged,
        code=code("log_to_wandb"),
    script:
        "../workflow/scripts/log_to_wandb.py"
