rule figure:
    input:
        points="results/{hardware}/points.csv",
        leaderboard="results/{hardware}/leaderboard.csv",
    output:
        multiext("results/{hardware}/figures/{figure}", ".svg", ".png", ".html"),
    log:
        "logs/{hardware}/figures/{figure}.log",
    script:
        "../workflow/scripts/figure.py"
