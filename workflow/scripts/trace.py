"""The raw records of the best point of one hardware -> trace.csv, its power over its time."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joulebench.analysis.points import wanted_runs
from joulebench.analysis.trace import trace
from joulebench.logs import journal
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import LEADERBOARD, TRACE


def main(hardware: str, config: Mapping[str, Any], leaderboard_csv: Path, trace_csv: Path, log: Path) -> None:
    with journal(log, f"trace of {hardware}"):
        found = trace(read_csv(leaderboard_csv, LEADERBOARD), wanted_runs(**config))
        write_csv(found, TRACE, trace_csv)
        if found.is_empty():
            logging.info("nothing is ranked: no point to trace")
        else:
            task, model, batch = found.select("task", "model", "max_batch_size").row(0)
            logging.info("%s %s at B = %d: %d stretches", task, model, batch, found.height)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.wildcards.hardware, job.params.config, Path(job.input.leaderboard), Path(job.output[0]), Path(job.log[0]))
