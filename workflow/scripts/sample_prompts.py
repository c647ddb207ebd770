"""A dataset -> results/prompts/{prompts}.parquet and .json: sample_prompts.py PROMPTS TABLE LOG"""

import logging
import sys
from pathlib import Path

from joulebench import datasets
from joulebench.config import handed_over
from joulebench.logs import journal


def main(prompts: str, table: Path, log: Path) -> None:
    with journal(log, f"prompts {prompts}"):
        config = handed_over()
        dataset, sample = config.prompts[prompts]
        for line in datasets.report(datasets.write(dataset, sample, table, config.originals)):
            logging.info(line)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
