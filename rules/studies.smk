# The config's studies: each a table and a figure of its own, asked for by name.


from snakemake.exceptions import WorkflowError


def studied(wildcards):
    if wildcards.study not in PLAN.config.studies.get(wildcards.hardware, {}):
        named = ", ".join(PLAN.config.studies.get(wildcards.hardware, {})) or "none"
        raise WorkflowError(
            f"no study '{wildcards.study}' for {wildcards.hardware} in the config, which has {named}"
        )
    return [
        str(cell.record) for cell in PLAN.studied(wildcards.hardware, wildcards.study)
    ]


rule study:
    input:
        runs=studied,
    output:
        "results/{hardware}/studies/{study}.csv",
    log:
        "logs/{hardware}/studies/{study}.log",
    params:
        config=lambda wc: PLAN.of_study(wc.hardware, wc.study),
    script:
        "../workflow/scripts/study.py"


rule study_figure:
    input:
        "results/{hardware}/studies/{study}.csv",
    output:
        multiext("results/{hardware}/figures/study_{study}", ".svg", ".png", ".html"),
    log:
        "logs/{hardware}/figures/study_{study}.log",
    params:
        asks=lambda wc: PLAN.config.studies[wc.hardware][wc.study].asks,
    script:
        "../workflow/scripts/study_figure.py"
