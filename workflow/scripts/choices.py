"""points.csv -> pareto.csv and recommendations.csv, of one piece of hardware."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.frontier import frontier
from joulebench.analysis.recommendations import recommendations
from joulebench.config.services import services_of, targets_of
from joulebench.logs import journal
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import PARETO, POINTS, RECOMMENDATIONS


def main(
    hardware: str, config: Mapping[str, Any], points_csv: Path, pareto_csv: Path, recommendations_csv: Path, log: Path
) -> None:
    with journal(log, f"choices of {hardware}"):
        flagged, spread = config["publish_flagged"], config["card_spread"]
        targets, services = targets_of(config["targets"]), services_of(config["services"])
        points = read_csv(points_csv, POINTS)
        best = frontier(points, targets, flagged, spread)
        advice = recommendations(points, targets, services, flagged, spread)
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
        job.params.config,
        Path(job.input.points),
        Path(job.output.pareto),
        Path(job.output.recommendations),
        Path(job.log[0]),
    )
