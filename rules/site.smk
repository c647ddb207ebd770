from functools import cache

from joulebench import site
from joulebench.plan import studies


@cache  # it reads the record of every run
def measured_studies():
    return studies.measured(PLAN)


def shown_studies(_):
    return [one.table for one in measured_studies() if one.is_whole]


def shown_claims(_):
    return studies.claims(PLAN, measured_studies())


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
        studies=shown_studies,
        claims=shown_claims,
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
        studies=lambda _: [vars(one) for one in measured_studies()],
        code=code("site"),
    script:
        "../workflow/scripts/site.py"
