"""What the tests share: the project, its tiny config, and builders of specs, of raw records and of the tables' rows.

A builder takes what a test is about as keywords; everything else is filled in and of no consequence.
"""

import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import polars as pl
from PIL import Image

from joulebench import config, datasets, models
from joulebench.analysis.points import WantedRun
from joulebench.config.models import Synthetic
from joulebench.config.spec import RunSpec, run_spec
from joulebench.config.whole import Config
from joulebench.inputs.yaml_files import read_yaml
from joulebench.names import TaskName
from joulebench.records.files import write_json, write_parquet
from joulebench.records.models import Machine, Point, Run
from joulebench.records.schemas import PROMPTS

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "results"
SHARED = PROJECT.parent / "shared"
"""Originals that are not the project's; where they are missing, the tests that need them say so."""
BIN = Path(sys.executable).parent
"""Where the programs of this environment are."""
TINY = PROJECT / "config" / "tiny.yaml"
TINY_MODELS = {
    "llm-chat": "joulebench/llama-1m",
    "llm-code": "joulebench/llama-1m",
    "vlm-chat": "joulebench/llava-5m",
    "text-to-image": "joulebench/sd-5m",
}
REVISION = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["def area(side):", "def volume(side, height):", "print('three')", "x = [1, 2, 3]"] * 10
"""To train a tokenizer on."""
STARTED, ENDED = "2026-03-04T05:06:07Z", "2026-03-04T05:07:07Z"


def copy_project(to: Path, without: str = "") -> None:
    """What git holds or would hold, as it is in the working tree; without what lies in the folder `without`."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=PROJECT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and not (without and name.startswith(f"{without}/")) and (PROJECT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, to / name)


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


# Configs.


@cache
def _plain(path: Path) -> str:
    return json.dumps(read_yaml(path, "config"))


def plain(path: Path) -> dict[str, Any]:
    """A config as plain keys and values, in which nothing is shared, not even what YAML's anchors share."""
    found: dict[str, Any] = json.loads(_plain(path))
    return found


def tiny() -> dict[str, Any]:
    """The tiny config as plain keys and values; its architectures are found from any folder."""
    raw = plain(TINY)
    for model in raw["models"].values():
        model["architecture"] = str(PROJECT / model["architecture"])
    return raw


@cache
def tiny_config() -> Config:
    return config.parse(tiny())


def prepare_tiny(task: str, requests: Path, model: Path) -> None:
    """Write the requests of a task of the tiny config to the file `requests`, and its model into the folder `model`."""
    asked, name = tiny_config().tasks[cast(TaskName, task)], TINY_MODELS[task]
    sampled = datasets.write(asked.dataset, asked.sample, requests).prompts
    texts = [*sampled["prompt"], *sampled["reference"].drop_nulls()]
    models.prepare(name, tiny_config().models[name], texts, model)


def synthetic(architecture: dict[str, Any] | str, vocabulary: int = 300, **changes: Any) -> Synthetic:
    """A model drawn from a seed: an architecture, or the name of one in config/models."""
    if isinstance(architecture, str):
        architecture = str(PROJECT / "config" / "models" / f"{architecture}.yaml")
    tokenizer = {"kind": "trained", "train_on": "llm-chat", "vocabulary": vocabulary}
    facts = {"weights": "synthetic", "architecture": architecture, "tokenizer": tokenizer, "dtype": "float32"}
    return Synthetic.model_validate(facts | changes)


def asked(*rows: tuple[str, str | None, bytes | None]) -> pl.DataFrame:
    """Requests as they are sampled: prompt, reference answer, image."""
    return pl.DataFrame([(n, str(n), *row) for n, row in enumerate(rows)], schema=PROMPTS, orient="row")


def painted(colour: Any, mode: str = "RGB", size: tuple[int, int] = (61, 90), kind: str = "PNG") -> bytes:
    """The file of an image of one colour."""
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind)
    return file.getvalue()


# Specs.


def tiny_spec(task: str = "llm-chat", repeat: int = 1, **changes: Any) -> RunSpec:
    """A run of the tiny config; `changes` are fields of the spec, and are taken as they are."""
    return run_spec(tiny_config(), "cpu", task, TINY_MODELS[task], repeat).model_copy(update=changes)


def example_spec(**changes: Any) -> RunSpec:
    """A run of a checkpoint with vLLM on an H100 that nobody measures; `changes` are plain values, and are checked."""
    nothing = ("reports_as", "variant", "architecture", "weights_seed", "tokenizer", "generation")
    facts: dict[str, Any] = {
        **dict.fromkeys(nothing),
        "hardware": "h100",
        "device": "cuda",
        "task": "llm-chat",
        "model": "example/one",
        "weights": "checkpoint",
        "revision": "0" * 40,
        "trust_remote_code": False,
        "dtype": "bfloat16",
        "engine": "vllm",
        "engine_settings": {},
        "dataset": {"name": "synthetic", "source": {"kind": "packaged"}},
        "sample": {"requests": 8},
        "output_length": {"kind": "natural", "tokens": 100},
        "sweep": {"batch_sizes": [1], "protocol": {"kind": "fixed", "requests": 8}},
    }
    return RunSpec.model_validate(facts | changes)


# Raw records.


def machine(**changes: Any) -> Machine:
    facts = {"host": "h", "cpu": "c", "cores": 2, "memory_mb": 1.0, "device": "a device", "devices": []}
    unknown: dict[str, Any] = {"tdp_w": None, "tdp_source": None, "energy_sources": {}}
    return Machine.model_validate(facts | unknown | changes)


def point_record(batch: int, **changes: Any) -> Point:
    """point.json of a closed loop at B = `batch`, the first of its run."""
    facts = {"point": 0, "max_batch_size": batch, "status": "measured", "started_utc": STARTED, "duration_s": 1.0}
    return Point.model_validate(facts | changes)


def run_record(spec: RunSpec | dict[str, Any], *points: Point, **changes: Any) -> Run:
    """run.json of these points."""
    made = spec.model_dump(mode="json") if isinstance(spec, RunSpec) else spec
    facts: dict[str, Any] = {
        "spec": made,
        "spec_hash": spec.hash if isinstance(spec, RunSpec) else "",
        "parameters": 1000,
        "model_files_sha256": {},
        "requests_sha256": "",
        "versions": {},
        "machine": machine(),
        "started_utc": STARTED,
        "ended_utc": ENDED,
        "points": list(points),
    }
    return Run(**facts | changes)


def write_point(folder: Path, point: Point, frames: Mapping[str, pl.DataFrame]) -> Path:
    """The folder of a point of the run in `folder`: its record, and `frames` by the names of their files."""
    place = folder / "points" / point.folder
    for name, frame in frames.items():
        write_parquet(frame, place / f"{name}.parquet")
    write_json(point, place / "point.json")
    return place


def write_run(folder: Path, spec: RunSpec, *points: Point, **changes: Any) -> WantedRun:
    """run.json of these points in `folder`, and the run as the tables want it."""
    write_json(run_record(spec, *points, **changes), folder / "run.json")
    return WantedRun(folder, spec, None)


def sources_of(energy: pl.DataFrame) -> dict[str, str]:
    """Device -> source, as a machine's record has them."""
    return dict(energy.select("device", "source").iter_rows())


def fitted(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """A frame with the columns of `schema`; those that it lacks are null."""
    absent = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(*absent).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


# Rows of tables.

ROW: dict[str, Any] = {
    "task": "llm-chat",
    "model": "a/b",
    "weights": "checkpoint",
    "hardware": "h100",
    "device": "NVIDIA H100",
    "axis": "max_batch_size",
    "max_batch_size": 8,
    "status": "measured",
    "verdict": "valid",
    "energy_source": "nvml_counter",
}


def point_row(**facts: Any) -> dict[str, Any]:
    """A row of points.csv: a valid point of a closed loop; what `facts` do not say is null."""
    return ROW | {"repeat": 1} | facts


def best_row(**facts: Any) -> dict[str, Any]:
    """A row of leaderboard.csv that meets its latency target."""
    return ROW | {"meets_latency_target": True, "repeats": 1} | facts


def interval(column: str, value: float | None, low: float = 0.9, high: float = 1.1) -> dict[str, float | None]:
    """A figure and the ends of its interval, `low` and `high` times it; all of them null where it is."""
    stem, _, unit = column.rpartition("_")
    ends = {"low": low, "high": high}
    return {column: value} | {f"{stem}_{end}_{unit}": value and value * share for end, share in ends.items()}


def table_of(schema: pl.Schema, *rows: Mapping[str, Any]) -> pl.DataFrame:
    """Rows as a table: a column that a row lacks is null, one that the table lacks is a test's mistake."""
    unknown = {name for row in rows for name in row} - set(schema)
    assert not unknown, f"no such column: {sorted(unknown)}"
    return pl.DataFrame([{**dict.fromkeys(schema), **row} for row in rows], schema=schema, orient="row")
