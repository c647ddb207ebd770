"""Parquet beside the CSV: the same table, typed, with the meanings of its columns, the same bytes each time."""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from joulebench.errors import UserError
from joulebench.exports.parquet import METADATA, convert
from joulebench.tables.files import write_csv
from joulebench.tables.schemas import POINTS, TABLES


def row(table: str, number: int) -> dict[str, object]:
    """A value of each column's type, another each time; each fourth is null."""
    values = {
        pl.String: f"<b>|{number}",
        pl.Int64: 10**12 + number,
        pl.Float64: number / 8,
        pl.Boolean: number % 2 == 0,
    }
    return {
        name: None if place % 4 == number % 4 else values[dtype.base_type()]
        for place, (name, dtype) in enumerate(TABLES[table].items())
    }


def made(table: str, folder: Path, rows: int = 5) -> tuple[Path, pl.DataFrame]:
    frame = pl.DataFrame([row(table, n) for n in range(rows)], schema=TABLES[table], orient="row")
    write_csv(frame, TABLES[table], folder / f"{table}.csv")
    return folder / f"{table}.csv", frame


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("rows", [0, 5])
def test_the_same_table_with_its_types(table: str, rows: int, tmp_path: Path) -> None:
    csv, frame = made(table, tmp_path, rows)
    convert(csv, tmp_path / "out.parquet")
    read = pl.read_parquet(tmp_path / "out.parquet")
    assert read.schema == TABLES[table]
    assert read.equals(frame)


def test_any_reader_of_parquet_finds_what_the_columns_mean(tmp_path: Path) -> None:
    convert(made("points", tmp_path)[0], tmp_path / "out.parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    said = json.loads(file.metadata.metadata[METADATA.encode()])
    assert said["table"] == "points"
    assert list(said["columns"]) == list(POINTS)
    assert said["columns"]["power_w"]["unit"] == "W"
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    csv, _ = made("points", tmp_path)
    for name in ("one", "two"):
        convert(csv, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_table_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"points\.csv: missing") as error:
        convert(tmp_path / "points.csv", tmp_path / "points.parquet")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "points.parquet").exists()
