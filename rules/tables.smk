def runs_of(wildcards):
    return [str(cell.record) for cell in PLAN.cells(wildcards.hardware)]


rule tables:
    input:
        runs_of,
    output:
        points="results/{hardware}/points.csv",
        leaderboard="results/{hardware}/leaderboard.csv",
        left_out="results/{hardware}/left_out.csv",
    log:
        "logs/{hardware}/tables.log",
    params:
        config=lambda wc: PLAN.digest(wc.hardware),
    script:
        "../workflow/scripts/tables.py"
