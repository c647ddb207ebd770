def runs_of(wildcards):
    return [str(cell.record) for cell in PLAN.cells(wildcards.hardware)]


def machine_of(wildcards):
    """The probe, where it is there or will be: records that were published without one need no hardware to be read."""
    probe = f"results/{wildcards.hardware}/machine.json"
    whole = all(Path(record).exists() for record in runs_of(wildcards))
    return [] if whole and not Path(probe).exists() else probe


def scored(wildcards):
    """The scores that the config asks for: none of them by default."""
    return [str(cell.score) for cell in PLAN.scored(wildcards.hardware)]


rule tables:
    input:
        runs=runs_of,
        machine=machine_of,
        scores=scored,
        logs=lambda wc: PLAN.logs(PLAN.cells(wc.hardware)),
        published=lambda wc: PLAN.published_files(),
    output:
        points="results/{hardware}/points.csv",
        leaderboard=report(
            "results/{hardware}/leaderboard.csv",
            category="Tables",
            caption="../docs/report/leaderboard.rst",
            labels={"table": "leaderboard", "hardware": "{hardware}"},
        ),
        left_out="results/{hardware}/left_out.csv",
        checks="results/{hardware}/checks.csv",
    log:
        "logs/{hardware}/tables.log",
    params:
        config=lambda wc: PLAN.tables(wc.hardware),
        code=code("tables"),
    script:
        "../workflow/scripts/tables.py"


rule trace:
    input:
        leaderboard="results/{hardware}/leaderboard.csv",
        runs=runs_of,
    output:
        "results/{hardware}/trace.csv",
    log:
        "logs/{hardware}/trace.log",
    params:
        config=lambda wc: PLAN.trace(wc.hardware),
        code=code("trace"),
    script:
        "../workflow/scripts/trace.py"


rule choices:
    input:
        points="results/{hardware}/points.csv",
    output:
        pareto=report(
            "results/{hardware}/pareto.csv",
            category="Tables",
            caption="../docs/report/pareto.rst",
            labels={"table": "pareto", "hardware": "{hardware}"},
        ),
        recommendations=report(
            "results/{hardware}/recommendations.csv",
            category="Tables",
            caption="../docs/report/recommendations.rst",
            labels={"table": "recommendations", "hardware": "{hardware}"},
        ),
    log:
        "logs/{hardware}/choices.log",
    params:
        config=lambda wc: PLAN.choices(wc.hardware),
        code=code("choices"),
    script:
        "../workflow/scripts/choices.py"
