"""The tables of studies -> results/{hardware}/studies/hpml-claims.csv."""

import logging
from collections.abc import Sequence
from pathlib import Path

from joulebench.analysis.claims import claims
from joulebench.logs import journal
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import CLAIMS, STUDY


def main(hardware: str, studies: Sequence[Path], out: Path, log: Path) -> None:
    with journal(log, f"claims on {hardware}"):
        table = claims({path.stem: read_csv(path, STUDY) for path in studies})
        write_csv(table, CLAIMS, out)
        for row in table.iter_rows(named=True):
            logging.info("%s: %s", row["claim"], row["verdict"] or row["reason"])


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.wildcards.hardware, [Path(path) for path in job.input], Path(job.output[0]), Path(job.log[0]))
