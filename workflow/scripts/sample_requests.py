"""A task's dataset -> results/requests/{task}.parquet."""

import logging
from pathlib import Path

from joulebench import datasets
from joulebench.journal import journal
from joulebench.records import write_parquet
from joulebench.resolved import handed_over


def main(task: str, out: Path, log: Path) -> None:
    with journal(log, f"requests of {task}"):
        wanted = handed_over().tasks[task]
        sampled = datasets.sample(wanted.dataset, wanted.sample)
        for line in datasets.report(sampled):
            logging.info(line)
        write_parquet(sampled.requests, out)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.wildcards.task, Path(job.output[0]), Path(job.log[0]))
