"""The raw records of a study's runs -> results/{hardware}/studies/{study}.csv."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.points import wanted_runs
from joulebench.analysis.study import study
from joulebench.analysis.verdicts import USABLE, trusted
from joulebench.errors import UserError
from joulebench.logs import journal
from joulebench.tables.files import write_csv
from joulebench.tables.schemas import STUDY


def main(hardware: str, name: str, config: Mapping[str, Any], out: Path, log: Path) -> None:
    with journal(log, f"study {name} of {hardware}"):
        table, left_out = study(wanted_runs(**config))
        for row in left_out.iter_rows(named=True):
            logging.warning("left out: %s: %s", row["run"], row["reason"])
        if table.is_empty():
            raise UserError(f"{hardware}, {name}: no run was measured as the config says; see what was left out above")
        write_csv(table, STUDY, out)
        doubtful = table.filter(pl.col("status").is_in(USABLE) & ~trusted(publish_flagged=False)).height
        logging.info("%d points, %d of them flagged or invalid: column verdict", table.height, doubtful)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.wildcards.hardware, job.wildcards.study, job.params.config, Path(job.output[0]), Path(job.log[0]))
