# `shell:` and no params: what is there is not made again when a rule or the config changes, and so nothing below it is.
# The measuring holds what it is given against the config, and says what to delete.
rule sample_prompts:
    output:
        table="results/prompts/{prompts}.parquet",
        facts="results/prompts/{prompts}.json",
    log:
        "logs/prompts/{prompts}.log",
    priority: 10
    resources:
        machine_percent=1,
    shell:
        'exec "$JOULEBENCH_PYTHON" workflow/scripts/sample_prompts.py {wildcards.prompts} {output.table} {log}'
