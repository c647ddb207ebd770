"""The scores and the points of a hardware -> results/{hardware}/quality.csv."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joulebench.analysis.quality import quality
from joulebench.errors import UserError
from joulebench.logs import journal
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import POINTS, QUALITY


def main(scores: list[str], points: Path, config: Mapping[str, Any], out: Path, log: Path) -> None:
    with journal(log, "quality"):
        wanted = dict(zip(scores, config["wanted"], strict=True))
        if not wanted:
            raise UserError("no quality is asked of a checkpoint here; README, How right its answers are, says how")
        table, left_out = quality(wanted, read_csv(points, POINTS), config["publish_flagged"])
        for line in left_out:
            logging.warning("left out: %s", line)
        write_csv(table, QUALITY, out)
        logging.info("%d scores", table.height)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(list(job.input.scores), Path(job.input.points), job.params.config, Path(job.output[0]), Path(job.log[0]))
