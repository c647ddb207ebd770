# What results/carbon.json holds stays until it is deleted or the config asks for something else: a live reading is of the
# hour in which this rule ran.
rule carbon:
    output:
        "results/carbon.json",
    log:
        "logs/carbon.log",
    params:
        asked=PLAN.config.footprint.model_dump(mode="json")["carbon"],
    script:
        "../workflow/scripts/carbon.py"


rule footprint:
    input:
        points="results/{hardware}/points.csv",
        carbon="results/carbon.json",
    output:
        "results/{hardware}/footprint.csv",
    log:
        "logs/{hardware}/footprint.log",
    params:
        asked=PLAN.config.footprint.model_dump(mode="json", exclude={"carbon"}),
        on_gpu=lambda wc: PLAN.config.hardware[wc.hardware].device != "cpu",
        code=code("footprint"),
    script:
        "../workflow/scripts/footprint.py"
