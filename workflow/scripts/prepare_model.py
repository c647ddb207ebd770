"""A model of the config -> results/models/{model}/."""

import logging
from pathlib import Path

from joulebench import models
from joulebench.journal import journal
from joulebench.plan import Plan
from joulebench.records import PROMPTS, read_parquet
from joulebench.resolved import handed_over


def main(folder_name: str, requests: Path | None, out: Path, log: Path) -> None:
    with journal(log, f"model {folder_name}"):
        config = handed_over()
        name = Plan(config).model(folder_name)
        texts: list[str] = []
        if requests is not None:
            prompts = read_parquet(requests, PROMPTS)
            texts = [*prompts["prompt"], *prompts["reference"].drop_nulls()]
        made = models.prepare(name, config.models[name], texts, out.parent)
        logging.info("%s: %s weights, %s parameters", name, made.weights, f"{made.parameters:,}")


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.wildcards.model, Path(job.input[0]) if job.input else None, Path(job.output[0]), Path(job.log[0]))
