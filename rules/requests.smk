# `shell:` and no params: what is there is not made again when a rule or the config changes, and so nothing below it is.
# The measuring holds what it is given against the config, and says what to delete.
rule sample_requests:
    output:
        table="results/requests/{requests}.parquet",
        facts="results/requests/{requests}.json",
    log:
        "logs/requests/{requests}.log",
    priority: 10
    resources:
        machine_percent=1,
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/sample_requests.py {wildcards.requests} {output.table} {log}'
