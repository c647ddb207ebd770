"""The raw records of the best point of one hardware -> trace.csv, its power over its time."""

import logging
from pathlib import Path

from joulebench.analysis.points import WantedRun
from joulebench.analysis.trace import trace
from joulebench.config.resolved import handed_over
from joulebench.logs import journal
from joulebench.plan import Plan
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import LEADERBOARD, TRACE


def main(hardware: str, leaderboard_csv: Path, trace_csv: Path, log: Path) -> None:
    with journal(log, f"trace of {hardware}"):
        plan = Plan(handed_over())
        tdp_w = plan.config.hardware[hardware].tdp_w
        wanted = [WantedRun(cell.folder, plan.spec(cell), tdp_w) for cell in plan.cells(hardware)]
        found = trace(read_csv(leaderboard_csv, LEADERBOARD), wanted)
        write_csv(found, TRACE, trace_csv)
        if found.is_empty():
            logging.info("nothing is ranked: no point to trace")
        else:
            task, model, batch = found.select("task", "model", "max_batch_size").row(0)
            logging.info("%s %s at B = %d: %d stretches", task, model, batch, found.height)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.wildcards.hardware, Path(job.input.leaderboard), Path(job.output[0]), Path(job.log[0]))
