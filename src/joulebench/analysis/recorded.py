"""The raw records of many points of one kind of task: each file is read once, and every figure made of the frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from joulebench.analysis.keyed import check_order, read_keyed
from joulebench.records import BATCHES, ENERGY, ITERATIONS, REQUESTS

_ITERATION = (
    "point",
    "iteration",
    "end_s",
    "running",
    "waiting",
    "prompt_tokens",
    "output_tokens",
    "first_tokens",
    "finished",
    "preempted",
)
_BATCH = ("point", "iteration", "start_s", "end_s", "outputs", "denoising_steps", "warmup")
_REQUEST = (
    "point",
    "request",
    "prompt_tokens",
    "output_tokens",
    "submitted_s",
    "admitted_s",
    "first_output_s",
    "finished_s",
    "status",
    "asked_output_tokens",
    "begun_output_tokens",
)
_POLL = tuple(name for name in ENERGY if name != "point")


@dataclass(frozen=True)
class Recorded:
    """The frames of points that share a kind of task, each with `key` in rising order (analysis.keyed).

    iterations: records.ITERATIONS of text tasks, records.BATCHES of the others. requests: records.REQUESTS.
    energy: records.ENERGY. `folders`: key -> the point's folder.
    """

    folders: Mapping[int, Path]
    iterations: pl.DataFrame
    requests: pl.DataFrame
    energy: pl.DataFrame

    @classmethod
    def read(cls, folders: Mapping[int, Path], text: bool) -> "Recorded":
        """Read the files of the points in `folders`: of text tasks, or of the others.

        Raises RecordError, which names the file, where one is missing, damaged, or its times go back.
        """
        schema, columns = (ITERATIONS, _ITERATION) if text else (BATCHES, _BATCH)
        files = _files(folders, "iterations")
        iterations = read_keyed(files, schema, columns)
        check_order(iterations, "end_s", files)
        requests = read_keyed(_files(folders, "requests"), REQUESTS, _REQUEST)
        return cls(folders, iterations, requests, read_energy(_files(folders, "energy")))


def read_energy(files: Mapping[int, Path]) -> pl.DataFrame:
    """key -> energy.parquet, as one frame: key and the columns of records.ENERGY.

    Raises RecordError, which names the file, where one is missing or damaged, or the times of a device go back.
    """
    polls = read_keyed(files, ENERGY, _POLL)
    for device in polls["device"].drop_nulls().unique().sort():
        check_order(polls.filter(pl.col("device") == device), "time_s", files)
    return polls


def _files(folders: Mapping[int, Path], name: str) -> dict[int, Path]:
    return {key: folder / f"{name}.parquet" for key, folder in folders.items()}
