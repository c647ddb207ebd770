# The config's studies: each a table and a figure of its own, asked for by name.
from joulebench.analysis.hpml import STUDIES
from joulebench.errors import UserError


def studied(wildcards):
    try:
        cells = PLAN.studied(wildcards.hardware, wildcards.study)
    except UserError as error:
        end_here(error)
    return [str(cell.record) for cell in cells]


def claimed(wildcards):
    """The tables of the studies that claims are looked for in, as far as the config has them for this hardware."""
    names = PLAN.config.studies.get(wildcards.hardware, {})
    return [
        f"results/{wildcards.hardware}/studies/{name}.csv"
        for name in STUDIES
        if name in names
    ]


ruleorder: claims > study


rule study:
    input:
        runs=studied,
        logs=lambda wc: PLAN.logs(PLAN.studied(wc.hardware, wc.study)),
    output:
        "results/{hardware}/studies/{study}.csv",
    log:
        "logs/{hardware}/studies/{study}.log",
    params:
        config=lambda wc: PLAN.study(wc.hardware, wc.study),
        code=code("study"),
    script:
        "../workflow/scripts/study.py"


rule claims:
    input:
        claimed,
    output:
        "results/{hardware}/studies/hpml-claims.csv",
    log:
        "logs/{hardware}/studies/hpml-claims.log",
    params:
        code=code("claims"),
    script:
        "../workflow/scripts/claims.py"


rule study_figure:
    input:
        "results/{hardware}/studies/{study}.csv",
    output:
        multiext("results/{hardware}/figures/study_{study}", ".svg", ".png", ".html"),
    log:
        "logs/{hardware}/figures/study_{study}.log",
    params:
        asks=lambda wc: PLAN.config.studies[wc.hardware][wc.study].asks,
        code=code("study_figure"),
    script:
        "../workflow/scripts/study_figure.py"


rule study_as_llm_perf:
    input:
        "results/{hardware}/studies/{study}.csv",
    output:
        "results/{hardware}/studies/{study}.llm-perf.csv",
    log:
        "logs/{hardware}/studies/{study}.llm-perf.log",
    params:
        code=code("llm_perf"),
    script:
        "../workflow/scripts/llm_perf.py"
