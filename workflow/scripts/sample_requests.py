"""A task's dataset -> results/requests/{task}.parquet and .json: sample_requests.py TASK TABLE LOG"""

import logging
import sys
from pathlib import Path
from typing import Any

from joulebench import datasets
from joulebench.journal import journal
from joulebench.resolved import handed_over


def main(task: Any, table: Path, log: Path) -> None:
    with journal(log, f"requests of {task}"):
        wanted = handed_over().tasks[task]
        for line in datasets.report(datasets.write(wanted.dataset, wanted.sample, table)):
            logging.info(line)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
