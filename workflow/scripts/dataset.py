"""The tables of all hardware -> results/dataset/: what `make publish` sends."""

import logging
from pathlib import Path

from joulebench.exports.dataset import write
from joulebench.logs import journal


def main(csvs: list[Path], docs: Path, card: Path, publish_flagged: bool, log: Path) -> None:
    with journal(log, "dataset"):
        by_hardware: dict[str, dict[str, Path]] = {}
        for csv in csvs:
            by_hardware.setdefault(csv.parent.name, {})[csv.stem] = csv
        write(card.parent, by_hardware, docs, publish_flagged)
        logging.info("%s: make publish REPO=owner/name DRY_RUN=1 says what would go where", card.parent)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(
        [Path(csv) for csv in job.input.tables],
        Path(job.input.docs[0]).parent,
        Path(job.output[0]),
        job.params.publish_flagged,
        Path(job.log[0]),
    )
