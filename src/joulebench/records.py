"""The raw records of a run: the schema of every table, and how they are written, read and checked.

    results/{hardware}/runs/{task}/{run}/          a run's repeat k > 1: {run}@{k}/
        run.json                     written last: the sweep is complete
        points/{NN}-b{batch}/        one folder a point, renamed into place when the point has ended
            requests.parquet  iterations.parquet  energy.parquet  point.json

All times are seconds on the monotonic clock, from the start of the point's load.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from joulebench.errors import UserError
from joulebench.reading import GIB, MIB, MissingError, TooLargeError, UnreadableError, read_bytes, require_plain

PROMPTS = pl.Schema(
    {
        "request": pl.Int64,
        "source_id": pl.String,
        "prompt": pl.String,
        "reference": pl.String,
        "image": pl.Binary,
    }
)
"""results/requests/{name}.parquet: one row a sampled prompt, in the order in which they are served.
`reference` is the dataset's own answer, null where it has none; `image` a whole JPEG, PNG or WebP file, null where the
task serves none."""

REQUESTS = pl.Schema(
    {
        "point": pl.Int32,
        "request": pl.Int64,
        "prompt_tokens": pl.Int32,
        "output_tokens": pl.Int32,
        "submitted_s": pl.Float64,
        "admitted_s": pl.Float64,
        "first_output_s": pl.Float64,
        "finished_s": pl.Float64,
        "status": pl.String,
        "asked_output_tokens": pl.Int32,
    }
)
"""One row a request of a point. `asked_output_tokens` is the length that its answer was made to have (end of
sequence ignored), null where the model stops by itself. `status`: finished, aborted (dropped when the point ended),
failed. Diffusion has no prompt or output tokens, and its first output is the whole one."""

ITERATIONS = pl.Schema(
    {
        "point": pl.Int32,
        "iteration": pl.Int32,
        "end_s": pl.Float64,
        "running": pl.Int32,
        "waiting": pl.Int32,
        "prompt_tokens": pl.Int32,
        "output_tokens": pl.Int32,
        "first_tokens": pl.Int32,
        "finished": pl.Int32,
        "preempted": pl.Int32,
        "kv_cache_usage": pl.Float64,
    }
)
"""One row an engine step of a text task. `waiting` counts every request not admitted yet, the load
generator's own queue included; `first_tokens` those of `output_tokens` that opened an answer;
`kv_cache_usage` is a share, 0 to 1."""

BATCHES = pl.Schema(
    {
        "point": pl.Int32,
        "iteration": pl.Int32,
        "start_s": pl.Float64,
        "end_s": pl.Float64,
        "outputs": pl.Int32,
        "denoising_steps": pl.Int32,
        "warmup": pl.Boolean,
    }
)
"""One row a batch of a diffusion task: its iterations.parquet."""

ENERGY = pl.Schema(
    {
        "device": pl.String,
        "source": pl.String,
        "time_s": pl.Float64,
        "energy_j": pl.Float64,
        "power_w": pl.Float64,
        "temperature_c": pl.Float64,
        "clock_mhz": pl.Float64,
        "memory_used_mb": pl.Float64,
        "throttled": pl.Boolean,
        "power_capped": pl.Boolean,
        "processes": pl.Int32,
    }
)
"""One row a device and poll. `energy_j` is cumulative; null with its source where nothing measures.
`throttled`: slowed down for heat or by the hardware; `power_capped`: held at the power limit; `processes`: those with a
context on the device, the engine's among them."""

ADDED = {"power_capped", "processes"}
"""Columns that records of an earlier version lack: read as null."""

Status = Literal["measured", "overloaded", "out_of_memory", "failed"]
EndedBy = Literal["precision", "max_seconds", "max_requests"]


MOST_TABLE_BYTES = 4 * GIB
MOST_JSON_BYTES = 64 * MIB
MOST_ROWS = 50_000_000
"""Of one table: eight GPUs polled 50 times a second have as many in a day and a half."""


class RecordError(UserError):
    """A file of the raw records is missing, damaged or not what it should be."""


class Record(BaseModel):
    """A JSON file of the raw records."""

    model_config = ConfigDict(extra="forbid")


R = TypeVar("R", bound=Record)


class SampleTokens(Record):
    """Tokens of all the requests that a run may serve, where their answers are given lengths: sums over the sample."""

    requests: int
    prompt_tokens: int
    output_tokens: int


class Point(Record):
    """point.json: one load setting of a run, and how it ended (`ended_by`: under the adaptive protocol).

    `loaded_idle_power_w`: GPU -> what it drew after the warm-up, the model loaded and nothing running; null where it
    was not at rest, or where there is no GPU. Earlier records have neither it nor `sample_tokens`.
    """

    point: int
    max_batch_size: int
    status: Status
    reason: str | None = None
    started_utc: str
    duration_s: float
    ended_by: EndedBy | None = None
    loaded_idle_power_w: dict[str, float] | None = None
    sample_tokens: SampleTokens | None = None


class Requests(Record):
    """results/requests/{name}.json beside the Parquet file: how it was sampled, and what could not be used."""

    dataset: dict[str, Any]
    sample: dict[str, Any]
    origin: dict[str, str]
    rows: int
    looked_at: int | None = None
    unusable: dict[str, int]


class Model(Record):
    """model.json beside a model's weights: what they are, and what the config said of them (spec.model_spec)."""

    model: str
    made_from: dict[str, Any]
    parameters: int
    licence: str | None
    files_sha256: dict[str, str]


class Machine(Record):
    """What the measuring machine says of itself."""

    host: str
    cpu: str
    cores: int
    memory_mb: float
    device: str
    devices: list[dict[str, Any]]
    tdp_w: float | None
    tdp_source: str | None
    energy_sources: dict[str, str | None]


class Run(Record):
    """run.json: what was measured, with what, and how each point ended.

    `durations_s` tells what its last session took by part: engine_start, points, engine_stop.
    """

    spec: dict[str, Any]
    spec_hash: str
    parameters: int
    model_files_sha256: dict[str, str]
    requests_sha256: str
    versions: dict[str, str | None]
    machine: Machine
    started_utc: str
    ended_utc: str
    durations_s: dict[str, float] | None = None
    points: list[Point]


def point_folder(index: int, batch: int) -> str:
    """`02-b8`: the folder of a run's third point, which keeps 8 requests in flight."""
    return f"{index:02d}-b{batch}"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path aside to write to; renamed to `path` at the end, or removed when the writing failed.

    Raises RecordError where the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            _sync(aside)
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder aside to fill; renamed to `path` at the end, or removed when the filling failed."""
    aside = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with _explained(path):
            aside.mkdir(parents=True)
            yield aside
            for file in aside.iterdir():
                _sync(file)
            aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"{path}: could not be written ({error.strerror or error}); nothing half-written was left; "
            "make room or check the permissions, and run again"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` whole or not at all; the same frame gives the same bytes."""
    buffer = io.BytesIO()  # so that a full disk is Python's OSError, not an error of Parquet's
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    with whole_file(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def write_text(text: str, path: Path) -> None:
    """Write `text` whole or not at all."""
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(record: BaseModel | dict[str, Any], path: Path) -> None:
    """Write a record as indented JSON, whole or not at all."""
    content = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def read_parquet(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read a table and hold it against its schema.

    Raises RecordError where the file is missing, damaged, or lacks a column.
    """
    try:
        frame = _bounded(path)
    except MissingError:
        raise RecordError(f"{path}: missing; {_REMEDY}") from None
    except (UnreadableError, TooLargeError) as error:
        raise RecordError(str(error)) from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RecordError(f"{path}: not a readable Parquet file ({_one_line(error)}); {_REMEDY}") from None
    frame = frame.with_columns(pl.lit(None).alias(name) for name in sorted(ADDED) if name not in frame.columns)
    if missing := [name for name in schema if name not in frame.columns]:
        raise RecordError(f"{path}: no column {', '.join(missing)}, expected {', '.join(schema)}; {_REMEDY}")
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _bounded(path: Path) -> pl.DataFrame:
    """A table of a plain file, of no more rows than any record has: a few bytes of Parquet can stand for billions."""
    require_plain(path, _REMEDY, MOST_TABLE_BYTES)
    table = pl.scan_parquet(path, glob=False)
    rows = table.select(pl.len()).collect().item()
    if rows > MOST_ROWS:
        raise RecordError(f"{path}: {rows:,} rows, expected at most {MOST_ROWS:,}; {_REMEDY}")
    return table.collect()


def read_run(folder: Path) -> Run:
    """Read a run folder's run.json. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "run.json", Run)


def read_requests(path: Path) -> Requests:
    """Read what results/requests/{name}.json says. Raises RecordError where it is missing or damaged."""
    return _read_json(path, Requests)


def read_model(folder: Path) -> Model:
    """Read a model folder's model.json. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "model.json", Model)


def read_point(folder: Path) -> Point:
    """Read a point folder's point.json. Raises RecordError where it is missing or damaged."""
    return _read_json(folder / "point.json", Point)


def _read_json(path: Path, model: type[R]) -> R:
    try:
        return model.model_validate_json(read_bytes(path, MOST_JSON_BYTES, _REMEDY))
    except MissingError:
        raise RecordError(f"{path}: missing; {_REMEDY}") from None
    except (UnreadableError, TooLargeError) as error:
        raise RecordError(str(error)) from None
    except (ValidationError, OSError) as error:
        raise RecordError(f"{path}: not a {model.__name__.lower()} record ({_one_line(error)}); {_REMEDY}") from None


_REMEDY = "delete the run's folder and run again, or restore it from where it was published"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
