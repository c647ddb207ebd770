"""A folder that a Hugging Face dataset is made of: the tables as Parquet by hardware, what they mean, and a card."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from joulebench.analysis.verdicts import publishable, severity
from joulebench.errors import UserError
from joulebench.exports import card, parquet
from joulebench.files import whole_folder, write_text
from joulebench.tables import schemas
from joulebench.tables.files import read_csv
from joulebench.tables.point import AT

TABLES = ("leaderboard", "points", "pareto", "recommendations", "footprint", "checks")
"""Those of tables.TABLES that are published, each a configuration of the dataset; the first, which has a row wherever
another has, is its default.
Not the trace of one point, nor the runs that were left out."""

DOCUMENTS = ("design.md", "checks.md")
"""What the card refers to for how numbers are made, by name under docs/."""

CARD = "README.md"


def write(folder: Path, csvs: Mapping[str, Mapping[str, Path]], docs: Path, publish_flagged: bool) -> None:
    """Fill `folder`, whole or not at all: data/{hardware}/{table}.parquet, docs/, README.md; what was there is removed.

    `csvs`: hardware -> name of a table, every one of TABLES -> its CSV. `docs`: the folder of DOCUMENTS. Rows that may
    not be published are left out (verdicts.publishable), and the card counts them. A table without a column `hardware`
    gets one, since a configuration holds all hardware; a table without a row is none, since `datasets` cannot load it.
    Raises UserError where a table is missing or damaged, or there is no point to publish.
    """
    found = {hardware: _read(hardware, files) for hardware, files in csvs.items()}
    withheld = {
        hardware: one["points"].filter(~publishable(publish_flagged)).select(severity()).to_series().to_list()
        for hardware, one in found.items()
    }
    kept = {hardware: _published(one, publish_flagged) for hardware, one in found.items()}
    if all(one["points"].is_empty() for one in kept.values()):
        raise UserError(
            f"dataset: no point to publish, and {sum(map(len, withheld.values()))} that may not be; "
            "measure first, or see what results/{hardware}/checks.csv says"
        )
    together = {table: pl.concat([one[table] for one in kept.values()]) for table in TABLES}
    files = {
        table: [data_file(hardware, table) for hardware, one in kept.items() if not one[table].is_empty()]
        for table, frame in together.items()
        if not frame.is_empty()
    }
    with whole_folder(folder) as aside:
        for hardware, one in kept.items():
            for table, frame in one.items():
                if not frame.is_empty():
                    parquet.write(frame, table, card.described(table), aside / data_file(hardware, table))
        (aside / "docs").mkdir()
        for document in DOCUMENTS:
            shutil.copyfile(docs / document, aside / "docs" / document)
        write_text(card.text(together, files, withheld), aside / CARD)


def data_file(hardware: str, table: str) -> str:
    """Where a table lies in the folder, and in the repository."""
    return f"data/{hardware}/{table}.parquet"


def _read(hardware: str, files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """The tables of one piece of hardware; those without a column `hardware` have it first."""
    read = {table: read_csv(files[table], schemas.TABLES[table]) for table in TABLES}
    return {
        table: frame if "hardware" in frame.columns else frame.select(pl.lit(hardware).alias("hardware"), pl.all())
        for table, frame in read.items()
    }


def _published(one: Mapping[str, pl.DataFrame], publish_flagged: bool) -> dict[str, pl.DataFrame]:
    """The rows that may be published: of a table with a row a point, those of the points that may."""
    points = one["points"].filter(publishable(publish_flagged))
    kept = {}
    for table, frame in one.items():
        if {"verdict", "responses_per_s"} <= set(frame.columns):
            frame = frame.filter(publishable(publish_flagged))
        elif table == "footprint":
            frame = frame.join(
                points,
                on=("task", "model", "variant", *AT, "repeat"),
                how="semi",
                nulls_equal=True,
                maintain_order="left",
            )
        kept[table] = frame
    return kept
