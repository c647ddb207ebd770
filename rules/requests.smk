rule sample_requests:
    output:
        "results/requests/{task}.parquet",
    params:
        dataset=lambda wc: PLAN.config.tasks[wc.task].dataset.model_dump(mode="json"),
        sample=lambda wc: PLAN.config.tasks[wc.task].sample.model_dump(mode="json"),
    log:
        "logs/requests/{task}.log",
    script:
        "../workflow/scripts/sample_requests.py"
