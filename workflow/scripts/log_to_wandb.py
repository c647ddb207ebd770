"""The runs of one hardware -> results/{hardware}/wandb/. Not named wandb.py: it would be imported as W&B's package."""

import os
from pathlib import Path

from joulebench.exports.wandb_runs import mode_of, write
from joulebench.logs import journal
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import POINTS


def main(points_csv: Path, runs: list[Path], index: Path, publish_flagged: bool, log: Path) -> None:
    with journal(log, f"W&B runs of {points_csv.parent.name}"):
        write(index.parent, runs, read_csv(points_csv, POINTS), publish_flagged, mode_of(os.environ))


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(
        Path(job.input.points),
        [Path(record).parent for record in job.input.runs],
        Path(job.output[0]),
        job.params.publish_flagged,
        Path(job.log[0]),
    )
