"""A table -> the same table as Parquet."""

from pathlib import Path

from joulebench.exports.parquet import convert
from joulebench.logs import journal


def main(csv: Path, parquet: Path, log: Path) -> None:
    with journal(log, f"Parquet of {csv}"):
        convert(csv, parquet)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(Path(job.input[0]), Path(job.output[0]), Path(job.log[0]))
