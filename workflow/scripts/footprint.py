"""points.csv and carbon.json -> footprint.csv."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joulebench.analysis.costs import footprint, read_carbon
from joulebench.config.footprint import Footprint
from joulebench.logs import journal
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import FOOTPRINT, POINTS


def main(
    hardware: str, asked: Mapping[str, Any], on_gpu: bool, points_csv: Path, carbon_json: Path, out: Path, log: Path
) -> None:
    with journal(log, f"footprint of {hardware}"):
        carbon = read_carbon(carbon_json)
        if carbon.reason is not None:
            logging.warning("no carbon intensity: %s", carbon.reason)
        table = footprint(read_csv(points_csv, POINTS), Footprint(**asked), carbon, on_gpu)
        write_csv(table, FOOTPRINT, out)
        known = table["carbon_per_response_g"].count(), table["cost_per_response"].count()
        logging.info("%d points, %d of them with carbon and %d with a whole cost", table.height, *known)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(
        job.wildcards.hardware,
        job.params.asked,
        job.params.on_gpu,
        Path(job.input.points),
        Path(job.input.carbon),
        Path(job.output[0]),
        Path(job.log[0]),
    )
