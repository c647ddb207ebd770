def runs_of(wildcards):
    return [str(cell.record) for cell in PLAN.cells(wildcards.hardware)]


def machine_of(wildcards):
    """The probe, where it is there or will be: records that were published without one need no hardware to be read."""
    probe = f"results/{wildcards.hardware}/machine.json"
    whole = all(Path(record).exists() for record in runs_of(wildcards))
    return [] if whole and not Path(probe).exists() else probe


rule tables:
    input:
        runs=runs_of,
        machine=machine_of,
    output:
        points="results/{hardware}/points.csv",
        leaderboard="results/{hardware}/leaderboard.csv",
        left_out="results/{hardware}/left_out.csv",
        checks="results/{hardware}/checks.csv",
    log:
        "logs/{hardware}/tables.log",
    params:
        config=lambda wc: PLAN.digest(wc.hardware),
    script:
        "../workflow/scripts/tables.py"
