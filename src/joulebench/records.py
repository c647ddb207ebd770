"""The raw records of a run: the schema of every table, and how they are written, read and checked.

    results/{hardware}/runs/{task}/{run}/          a run's repeat k > 1: {run}@{k}/
        run.json                     written last: the sweep is complete
        points/{NN}-{label}/         one folder a point, renamed into place when the point has ended
            requests.parquet  iterations.parquet  energy.parquet  point.json

All times are seconds on the monotonic clock, from the start of the point's load.
"""

import io
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from joulebench.errors import UserError, in_one_line
from joulebench.files import REMEDY, require_file, sha256, whole_file, write_text
from joulebench.files import RecordError as RecordError
from joulebench.loads import is_last
from joulebench.reading import GIB, MIB, read_bytes
from joulebench.setting import Setting

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
        "begun_output_tokens": pl.Int32,
    }
)
"""One row a request of a point. `asked_output_tokens` is the length that its answer was made to have (end of
sequence ignored), null where the model stops by itself. `begun_output_tokens`: of a request that a start in equilibrium
found in the middle of its answer, how much of it stood behind its prompt already; it is in prompt_tokens, and the other
counts are of the rest. Null for a whole request. `status`: finished, aborted (dropped when the point ended),
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
        "others_busy_s": pl.Float64,
        "stolen_s": pl.Float64,
    }
)
"""One row a device and poll. `energy_j` is cumulative; null with its source where nothing measures.
`throttled`: slowed down for heat or by the hardware; `power_capped`: held at the power limit; `processes`: those with a
context on the device, the engine's among them. `others_busy_s`: for how long others than the measured processes have
kept the host's processors busy, `stolen_s`: for how long the hypervisor took them, means over the processors and
cumulative; about twice a second, on the row of whatever device was read then."""

ADDED = {"begun_output_tokens", "power_capped", "processes", "others_busy_s", "stolen_s"}
"""Columns that records of an earlier version lack: read as null."""

POINT_FILES = ("requests.parquet", "iterations.parquet", "energy.parquet", "point.json")
"""What is in a point's folder."""

REQUEST_STATUSES = ("finished", "aborted", "failed")

Status = Literal["measured", "overloaded", "out_of_memory", "failed"]
EndedBy = Literal["precision", "max_seconds", "max_requests"]
Start = Literal["cold", "equilibrium"]


MOST_TABLE_BYTES = 4 * GIB
MOST_JSON_BYTES = 64 * MIB
MOST_ROWS = 50_000_000
"""Of one table: eight GPUs polled 50 times a second have as many in a day and a half."""


class Record(BaseModel):
    """A JSON file of the raw records."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


R = TypeVar("R", bound=Record)


Count = Annotated[int, Field(gt=0, lt=2**53)]
Watts = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SampleTokens(Record):
    """Tokens of all the requests that a run may serve, where their answers are given lengths: sums over the sample."""

    requests: Count
    prompt_tokens: Count
    output_tokens: Count


class Point(Record):
    """point.json: one setting of a run, and how it ended (`ended_by`: under the adaptive protocol).

    `setting`: what it stands for; earlier records have none, of a closed loop at `max_batch_size`.
    `loaded_idle_power_w`: GPU -> what it drew before the first point, the model loaded and nothing running; null where
    it was not at rest, or where there is no GPU. `start`: of a text task, with whole requests or with such as are found
    in the middle (measure/equilibrium.py). `generation`: what each call of a diffusion pipeline was given, by its own
    names; a guidance scale that the config leaves out is there as the pipeline's default. `spec_hash`,
    `requests_sha256`, `device`: what it was measured of and on, as run.json has them. Earlier records have none of
    these, nor `sample_tokens`; they began cold.
    """

    point: int
    max_batch_size: Annotated[int, Field(gt=0, lt=2**31)]
    setting: Setting | None = None
    status: Status
    reason: str | None = None
    started_utc: str
    duration_s: float
    ended_by: EndedBy | None = None
    start: Start | None = None
    loaded_idle_power_w: dict[str, Watts] | None = None
    sample_tokens: SampleTokens | None = None
    generation: dict[str, Any] | None = None
    spec_hash: str | None = None
    requests_sha256: str | None = None
    device: str | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Point":
        if self.setting is not None and self.setting.max_batch_size != self.max_batch_size:
            raise ValueError(f"max_batch_size is {self.max_batch_size}, its setting's {self.setting.max_batch_size}")
        return self

    @property
    def at(self) -> Setting:
        """What it stands for."""
        return self.setting or Setting(max_batch_size=self.max_batch_size)

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return point_folder(self.point, self.at.label)

    @property
    def is_last(self) -> bool:
        """Whether its sweep has no other after it."""
        return is_last(self.status, self.at.load)

    @property
    def begun(self) -> int:
        """How many of its requests were begun in the middle."""
        return self.max_batch_size if self.start == "equilibrium" else 0


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

    @field_validator("devices")
    @classmethod
    def _known(cls, devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for one in devices:
            for name in ("name", "uuid"):
                if not isinstance(one.get(name), str | None):
                    raise ValueError(f"{name} is {one[name]!r:.60}, expected text")
            watts = one.get("idle_power_w")
            number = isinstance(watts, int | float) and not isinstance(watts, bool)
            if watts is not None and not (number and 0 <= watts < math.inf):
                raise ValueError(f"idle_power_w is {watts!r:.60}, expected a number of W from 0 on")
        return devices

    def others(self, reports_as: str | None) -> list[str]:
        """The names of its GPUs, or else of its CPU, that do not hold `reports_as`, in any case."""
        names = [str(gpu["name"]) for gpu in self.devices if gpu.get("name") is not None] or [self.device]
        return [name for name in names if reports_as is not None and reports_as.casefold() not in name.casefold()]


class EngineStart(Record):
    """How an engine started.

    `process`: how vLLM's engine core came to be. `compile_cache`: warm where vLLM found what it had compiled for the
    same settings before; null where it compiles nothing, or keeps nothing.
    """

    process: Literal["fork", "spawn"] | None = None
    compile_cache: Literal["warm", "cold"] | None = None


class Run(Record):
    """run.json: what was measured, with what, and how each point ended.

    `durations_s` tells what its last session took by part: engine_start, points, engine_stop; `engine_start` which kind
    of start that was, None of an engine that has but one. `points_sha256`: folder of a point -> its file -> SHA-256.
    None of them is in records of an earlier version.
    """

    spec: dict[str, Any]
    spec_hash: str
    parameters: int = Field(ge=0, lt=2**63)
    model_files_sha256: dict[str, str]
    requests_sha256: str
    versions: dict[str, str | None]
    machine: Machine
    started_utc: str
    ended_utc: str
    durations_s: dict[str, float] | None = None
    engine_start: EngineStart | None = None
    points: list[Point]
    points_sha256: dict[str, dict[str, str]] | None = None


def point_folder(index: int, label: str) -> str:
    """`02-b8`: the folder of a run's third point, by the label of its setting."""
    return f"{index:02d}-{label}"


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write `frame` whole or not at all; the same frame gives the same bytes."""
    buffer = io.BytesIO()  # so that a full disk is Python's OSError, not an error of Parquet's
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    with whole_file(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def write_json(record: BaseModel | dict[str, Any], path: Path) -> None:
    """Write a record as indented JSON, whole or not at all."""
    content = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def read_parquet(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read a table and hold it against its schema.

    Raises RecordError where the file is missing, damaged, lacks a column, or holds another kind of value in one.
    """
    require_file(path, MOST_TABLE_BYTES)
    try:
        frame = _bounded(path, schema)
    except PARQUET_ERRORS as error:
        raise RecordError(f"{path}: not a readable Parquet file ({in_one_line(error)}); {REMEDY}") from None
    frame = frame.with_columns(pl.lit(None).alias(name) for name in sorted(ADDED) if name not in frame.columns)
    if missing := [name for name in schema if name not in frame.columns]:
        raise RecordError(f"{path}: no column {', '.join(missing)}, expected {', '.join(schema)}; {REMEDY}")
    try:
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise RecordError(f"{path}: a value that its column cannot hold ({in_one_line(error)}); {REMEDY}") from None


def _holds(wanted: pl.DataType, found: pl.DataType) -> bool:
    """Whether another writer may have meant `wanted` by `found`: numbers of another size, or nothing but nulls."""
    if found == wanted or found == pl.Null:
        return True
    return (found.is_integer() and wanted.is_numeric()) or (found.is_float() and wanted.is_float())


def sha256s(folder: Path) -> dict[str, str]:
    """The SHA-256 of each of a point's files. Raises RecordError where one is missing or cannot be read."""
    return {name: sha256(folder / name) for name in POINT_FILES}


def _bounded(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """The columns of `schema` that a file has, of the kinds that they have there.

    Of no more rows than any record has: a few bytes of Parquet can stand for billions. Other columns are not read.
    """
    table = pl.scan_parquet(path, glob=False)
    rows = table.select(pl.len()).collect().item()
    if rows > MOST_ROWS:
        raise RecordError(f"{path}: {rows:,} rows, expected at most {MOST_ROWS:,}; {REMEDY}")
    found = table.collect_schema()
    wanted = {name: dtype for name, dtype in schema.items() if name in found}
    for name, dtype in wanted.items():
        if not _holds(dtype, found[name]):
            raise RecordError(f"{path}: {name} is of type {found[name]}, expected {dtype}; {REMEDY}")
    return table.select(*wanted).collect()


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
        return model.model_validate_json(read_bytes(path, MOST_JSON_BYTES, REMEDY))
    except UserError as error:
        raise RecordError(str(error)) from None
    except ValidationError as error:
        raise RecordError(f"{path}: not a {model.__name__.lower()} record ({in_one_line(error)}); {REMEDY}") from None


PARQUET_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises of a damaged file; the second where it did not expect the damage."""
