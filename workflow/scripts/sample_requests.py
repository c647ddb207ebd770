"""A task's dataset -> results/requests/{task}.parquet and .json: sample_requests.py TASK TABLE FACTS LOG"""

import logging
import sys
from pathlib import Path
from typing import Any

from joulebench import datasets
from joulebench.journal import journal
from joulebench.records import Requests, write_json, write_parquet
from joulebench.resolved import handed_over


def main(task: Any, table: Path, facts: Path, log: Path) -> None:
    with journal(log, f"requests of {task}"):
        wanted = handed_over().tasks[task]
        sampled = datasets.sample(wanted.dataset, wanted.sample)
        for line in datasets.report(sampled):
            logging.info(line)
        write_parquet(sampled.requests, table)
        record = Requests(
            dataset=wanted.dataset.model_dump(mode="json"),
            sample=wanted.sample.model_dump(mode="json"),
            origin=sampled.origin,
            rows=sampled.rows,
            unusable=sampled.unusable,
        )
        write_json(record, facts)


if __name__ == "__main__":
    main(sys.argv[1], *(Path(word) for word in sys.argv[2:5]))
