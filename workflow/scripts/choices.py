"""points.csv -> pareto.csv and recommendations.csv, of one piece of hardware."""

import logging
from pathlib import Path

import polars as pl

from joulebench.analysis.frontier import frontier
from joulebench.analysis.recommendations import recommendations
from joulebench.config.resolved import handed_over
from joulebench.logs import journal
from joulebench.plan import Plan
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import PARETO, POINTS, RECOMMENDATIONS


def main(hardware: str, points_csv: Path, pareto_csv: Path, recommendations_csv: Path, log: Path) -> None:
    with journal(log, f"choices of {hardware}"):
        plan = Plan(handed_over())
        flagged, targets, spread = plan.config.publish_flagged, plan.latency_targets, plan.card_spread(hardware)
        points = read_csv(points_csv, POINTS)
        best = frontier(points, targets, flagged, spread)
        advice = recommendations(points, targets, plan.services, flagged, spread)
        write_csv(best, PARETO, pareto_csv)
        write_csv(advice, RECOMMENDATIONS, recommendations_csv)
        none = advice.filter(pl.col("max_batch_size").is_null()).height
        logging.info(
            "%d points on the frontiers, %d recommendations, %d without a point", best.height, advice.height, none
        )


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(
        job.wildcards.hardware,
        Path(job.input.points),
        Path(job.output.pareto),
        Path(job.output.recommendations),
        Path(job.log[0]),
    )
