"""The raw records of many points of one task family: each file is read once, and every figure made of the frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from joulebench.analysis.keyed import check_order, read_keyed
from joulebench.families import Family
from joulebench.records.schemas import ENERGY, REQUESTS

_UNREAD = "kv_cache_usage"
"""A column of iterations of which no figure is made."""


@dataclass(frozen=True)
class Recorded:
    """The frames of points of one task family, each with `key` in rising order (analysis.keyed).

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
