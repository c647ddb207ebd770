# `shell:` and no params: what is there is not made again when a rule or the config changes, and so nothing below it is.
# The measuring holds what it is given against the config, and says what to delete.
rule sample_requests:
    output:
        table="results/requests/{task}.parquet",
        facts="results/requests/{task}.json",
    log:
        "logs/requests/{task}.log",
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/sample_requests.py {wildcards.task} {output.table} {log}'
