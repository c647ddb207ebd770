"""The raw records of many points of one task family as frames, keyed by point: each file is read once.

Every frame of this room has a column `key` (UInt32): the position of a point among all the points of a table,
in rising order. One frame then holds many runs, and each figure is computed for all of them at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from joulebench.families import Family
from joulebench.files import REMEDY, RecordError, require_file
from joulebench.records.files import PARQUET_ERRORS, read_parquet
from joulebench.records.schemas import ADDED, ENERGY, REQUESTS

KEY = pl.UInt32
_UNREAD = "kv_cache_usage"
"""A column of iterations of which no figure is made."""

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)


@dataclass(frozen=True)
class Recorded:
    """The frames of points of one task family, each with `key` in rising order.

    iterations: Family.iterations of it, without kv_cache_usage. requests: records.REQUESTS.
    energy: records.ENERGY. `folders`: key -> the point's folder.
    """

    folders: Mapping[int, Path]
    iterations: pl.DataFrame
    requests: pl.DataFrame
    energy: pl.DataFrame

    @classmethod
    def read(cls, folders: Mapping[int, Path], family: Family) -> "Recorded":
        """Read the files of the points in `folders`, which are of `family`.

        Raises RecordError, which names the file, where one is missing, damaged, or its times go back.
        """
        files = _files(folders, "iterations")
        iterations = read_keyed(files, family.iterations, [name for name in family.iterations if name != _UNREAD])
        check_order(iterations, "end_s", files)
        requests = read_keyed(_files(folders, "requests"), REQUESTS, REQUESTS.names())
        return cls(folders, iterations, requests, read_energy(_files(folders, "energy")))


def read_energy(files: Mapping[int, Path]) -> pl.DataFrame:
    """key -> energy.parquet, as one frame: key and the columns of records.ENERGY.

    Raises RecordError, which names the file, where one is missing or damaged, or the times of a device go back.
    """
    polls = read_keyed(files, ENERGY, ENERGY.names())
    for device in polls["device"].drop_nulls().unique().sort():
        check_order(polls.filter(pl.col("device") == device), "time_s", files)
    return polls


def _files(folders: Mapping[int, Path], name: str) -> dict[int, Path]:
    return {key: folder / f"{name}.parquet" for key, folder in folders.items()}


def read_keyed(files: Mapping[int, Path], schema: pl.Schema, columns: Sequence[str]) -> pl.DataFrame:
    """`key` and `columns` of the files, key -> file, each file's rows in their own order.

    Columns that were ADDED later are null in the rows of files that lack them.
    Raises RecordError, which names the file, where one is missing, damaged, or lacks a column of `schema`.
    """
    keys = sorted(files)
    if not keys:
        return pl.DataFrame(schema={"key": KEY, **{name: schema[name] for name in columns}})
    paths = [files[key] for key in keys]
    for path in paths:
        require_file(path)
    try:
        if any(schema.keys() - ADDED - pl.read_parquet_schema(path).keys() for path in paths):
            raise pl.exceptions.ColumnNotFoundError
        frame = (
            pl.scan_parquet(
                paths,
                schema=schema,
                missing_columns="insert",
                extra_columns="ignore",
                include_file_paths="file",
                glob=False,
            )
            .select("file", *columns)
            .collect()
        )
        runs = frame["file"].rle().struct.unnest()
        key = runs["value"].replace_strict([str(path) for path in paths], keys, return_dtype=KEY)
        frame = frame.drop("file").insert_column(0, pl.Series("key", np.repeat(key.to_numpy(), runs["len"].to_numpy())))
    except PARQUET_ERRORS:
        # One by one: slower, but it names the file, and casts what another writer typed otherwise.
        frame = pl.concat(
            read_parquet(path, schema).select(pl.lit(key, KEY).alias("key"), *columns)
            for key, path in zip(keys, paths, strict=True)
        )
    return frame.with_columns(pl.col("key").set_sorted())


def check_order(frame: pl.DataFrame, column: str, files: Mapping[int, Path]) -> None:
    """Raises RecordError where the times of `column` go back, or are null, within a key."""
    time, same = pl.col(column), pl.col("key") == pl.col("key").shift()
    bad = frame.lazy().filter((same & (time < time.shift())) | time.is_null()).select("key").head(1).collect()
    if bad.height:
        raise RecordError(f"{files[bad.item()]}: {column} is null or goes back, expected rising times; {REMEDY}")


def by_key(frame: pl.DataFrame, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[np.float64]]]]:
    """Each key of `frame`, which is sorted by key, with its part of the columns; a null is NaN."""
    keys = frame["key"].to_numpy()
    arrays = {name: frame[name].cast(pl.Float64).to_numpy() for name in columns}
    bounds = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), keys.size] if keys.size else []
    for first, end in pairwise(bounds):
        yield int(keys[first]), {name: values[first:end] for name, values in arrays.items()}


def bounds_by_key(windows: pl.DataFrame) -> dict[int, tuple[float, float]]:
    """start_s and end_s of the keys that have a window."""
    return {key: (w0, w1) for key, w0, w1 in windows.select("key", "start_s", "end_s").drop_nulls().iter_rows()}


def known_of(table: F, *parts: F) -> F:
    """`table` with what each of `parts` (key, one row each at most) knows of its keys; null where it knows nothing."""
    for part in parts:
        table = table.join(part, on="key", how="left", maintain_order="left")
    return table


def whole_sum(column: str) -> pl.Expr:
    """The sum of a column; null, never a part of it, where any value is null."""
    return pl.when(pl.col(column).null_count() == 0).then(pl.col(column).sum())
