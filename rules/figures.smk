from joulebench.figures import FIGURES


def tables_of(wildcards):
    return {
        table: f"results/{wildcards.hardware}/{table}.csv"
        for table in FIGURES[wildcards.figure].tables
    }


def tables_across(wildcards):
    return {
        table: [f"results/{hardware}/{table}.csv" for hardware in PLAN.compared()]
        for table in FIGURES[wildcards.figure].tables
    }


def category_of(wildcards):
    return FIGURES[wildcards.figure].category


def targets_of(wildcards):
    return PLAN.plain_targets if FIGURES[wildcards.figure].targets else {}


def words_of(wildcards):
    return wildcards.figure.replace("_", " ")


rule figure:
    input:
        unpack(tables_of),
    output:
        report(
            "results/{hardware}/figures/{figure}.svg",
            category=category_of,
            caption="../docs/report/figure.rst",
            labels=lambda wc: {"figure": words_of(wc), "hardware": wc.hardware},
        ),
        multiext("results/{hardware}/figures/{figure}", ".png", ".html"),
    log:
        "logs/{hardware}/figures/{figure}.log",
    wildcard_constraints:
        figure="|".join(name for name, one in FIGURES.items() if not one.across),
    params:
        caption=lambda wc: FIGURES[wc.figure].caption,
        targets=targets_of,
        code=lambda wc: code("figure", f"joulebench.figures.{wc.figure}"),
    script:
        "../workflow/scripts/figure.py"


rule figure_across:
    input:
        unpack(tables_across),
    output:
        report(
            "results/figures/{figure}.svg",
            category=category_of,
            caption="../docs/report/figure.rst",
            labels=lambda wc: {"figure": words_of(wc), "hardware": "all"},
        ),
        multiext("results/figures/{figure}", ".png", ".html"),
    log:
        "logs/figures/{figure}.log",
    wildcard_constraints:
        figure="|".join(name for name, one in FIGURES.items() if one.across) or "none",
    params:
        caption=lambda wc: FIGURES[wc.figure].caption,
        targets=targets_of,
        code=lambda wc: code("figure", f"joulebench.figures.{wc.figure}"),
    script:
        "../workflow/scripts/figure.py"
