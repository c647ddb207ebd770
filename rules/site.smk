from joulebench import site


rule site:
    input:
        **{
            table: [f"results/{hardware}/{table}.csv" for hardware in PLAN.compared()]
            for table in site.TABLES
        },
        quality=[
            f"results/{name}/quality.csv"
            for name in PLAN.compared()
            if PLAN.scored(name)
        ],
    output:
        "results/site/index.html",
    log:
        "logs/site.log",
    params:
        hardware=PLAN.compared(),
        publish_flagged=PLAN.config.publish_flagged,
        card_spread={name: PLAN.card_spread(name) for name in PLAN.compared()},
        targets=PLAN.plain_targets,
        services=PLAN.plain_services,
        code=code("site"),
    script:
        "../workflow/scripts/site.py"
