"""A model of the config -> results/models/{model}/: prepare_model.py MODEL OUT LOG [PROMPTS]"""

import logging
import sys
from pathlib import Path

from joulebench import models
from joulebench.config import handed_over
from joulebench.logs import journal
from joulebench.plan import Plan
from joulebench.records.files import read_parquet
from joulebench.records.schemas import PROMPTS


def main(folder_name: str, out: Path, log: Path, prompts: Path | None = None) -> None:
    with journal(log, f"model {folder_name}"):
        config = handed_over()
        plan = Plan(config)
        name = plan.model(folder_name)
        texts: list[str] = []
        if prompts is not None:
            table = read_parquet(prompts, PROMPTS)
            texts = [*table["prompt"], *table["reference"].drop_nulls()]
        made = models.prepare(name, config.model(name), texts, out.parent, plan.asks(folder_name))
        logging.info("%s: %s weights, %s parameters", name, made.made_from["weights"], f"{made.parameters:,}")


if __name__ == "__main__":
    main(sys.argv[1], *(Path(word) for word in sys.argv[2:]))
