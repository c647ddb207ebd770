"""A table as Parquet: typed, small, and with what its columns mean inside the file."""

import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from joulebench.records.files import write_parquet
from joulebench.tables.columns import Column
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import COLUMNS, TABLES

METADATA = "joulebench"
"""The key of the file's metadata: JSON, {"table": its name, "columns": {column: {"unit", "meaning"}}}."""


def convert(csv: Path, parquet: Path) -> None:
    """`csv`, named as its table in tables.TABLES -> the same table as Parquet. Raises UserError as read_csv does."""
    write(read_csv(csv, TABLES[csv.stem]), csv.stem, COLUMNS[csv.stem], parquet)


def write(frame: pl.DataFrame, table: str, columns: Iterable[Column], path: Path) -> None:
    """Write whole or not at all; the same frame gives the same bytes. `columns`: those of `frame`, in its order.

    The meanings go into the file's own metadata; Polars has no stable way to the metadata of a field.
    """
    described = {column.name: {"unit": column.unit, "meaning": column.meaning} for column in columns}
    metadata = {METADATA: json.dumps({"table": table, "columns": described}, ensure_ascii=False)}
    write_parquet(frame, path, metadata)
