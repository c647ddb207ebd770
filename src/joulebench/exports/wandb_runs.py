"""Measured runs -> runs of Weights & Biases: the spec as config, a step a point. Offline unless asked.

Nothing about the machine that exports is kept: no git state, code, console, host, system metrics or packages; of the
machine that measured, what the records say of its device, without its host's name and the device's serial.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.sources import named
from joulebench.analysis.verdicts import publishable
from joulebench.errors import UserError, in_one_line
from joulebench.files import whole_folder
from joulebench.records.files import read_run, write_json
from joulebench.records.models import Run

INDEX = "runs.json"
PROJECT = "joulebench"
ID_CHARACTERS = 128
"""As many as a run's id may have."""

_SAID_OF_RUN = {
    *("task", "model", "variant", "parameters", "weights", "hardware", "device", "engine", "dtype", "repeat"),
    *("load", "axis"),
}
"""Columns of points.csv that are the same at each point of a run: in its config, not in its steps."""

_log = logging.getLogger(__name__)


def mode_of(environment: Mapping[str, str]) -> str:
    """`offline`, or `online` where WANDB_MODE says so and WANDB_API_KEY is there. Raises UserError otherwise."""
    mode = environment.get("WANDB_MODE") or "offline"
    if mode not in ("offline", "online"):
        raise UserError(f"WANDB_MODE is '{mode}', expected offline or online")
    if mode == "online" and not environment.get("WANDB_API_KEY"):
        raise UserError("WANDB_MODE is online, but there is no WANDB_API_KEY in the environment; set it, or go offline")
    return mode


def write(folder: Path, runs: Sequence[Path], points: pl.DataFrame, publish_flagged: bool, mode: str) -> None:
    """Fill `folder`, whole or not at all; what was there is removed.

    A W&B run for each run folder that has rows in `points` (tables.POINTS), and runs.json, which says which is which. A
    step a point, in the order in which they were measured, with every column that is not null; W&B draws them over what
    the sweep varies. Flagged points are steps with `publish_flagged` alone, invalid figures never:
    `points_not_published` counts them. Raises UserError where W&B is not installed or fails, RecordError where a
    run.json is missing or damaged.
    """
    try:
        import wandb
    except ImportError:
        raise UserError(
            "Weights & Biases is not installed: make wandb, or pip install -r envs/wandb.txt -c envs/constraints.txt"
        ) from None
    index = []
    with whole_folder(folder) as aside, _kept_in(aside / "own"):
        try:
            for run_folder in runs:
                run = read_run(run_folder)
                rows = points.filter(_is_of(run))
                if rows.is_empty():
                    _log.warning("%s: no row in the table of points, so not logged", run_folder)
                    continue
                index.append(_log_run(run, run_folder.name, rows, publish_flagged, mode, aside / "own"))
        except wandb.Error as error:
            raise UserError(
                f"Weights & Biases: {in_one_line(error)}; check WANDB_MODE, WANDB_API_KEY and the network"
            ) from None
        finally:
            wandb.teardown()
        for made in sorted((aside / "own" / "wandb").glob("*run-*")):
            for gone in ("logs", "tmp"):
                shutil.rmtree(made / gone, ignore_errors=True)
            made.rename(aside / made.name)
        shutil.rmtree(aside / "own", ignore_errors=True)
        write_json({"mode": mode, "runs": index}, aside / INDEX)


def _log_run(run: Run, name: str, rows: pl.DataFrame, publish_flagged: bool, mode: str, folder: Path) -> dict[str, Any]:
    import wandb

    first = rows.row(0, named=True)
    kept = rows.filter(publishable(publish_flagged))
    tags = [first["hardware"], first["task"], f"{first['weights']} weights", first["load"]]
    if any(source.is_estimate for source in named(rows["energy_source"])):
        tags.append("estimated energy")
    identity = _id(run, f"{first['hardware']}-{first['task']}-{name}")
    session = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=identity,
        name=f"{first['task']} {name}",
        group=first["task"],
        job_type=first["hardware"],
        tags=tags,
        config=_config(run, first) | {"points_not_published": rows.height - kept.height},
        dir=folder,
        resume="allow" if mode == "online" else None,
        reinit="create_new",
        settings=_settings(mode),
    )
    with session:
        session.define_metric("*", step_metric=first["axis"])
        for step, row in enumerate(kept.iter_rows(named=True)):
            said = {column: found for column, found in row.items() if found is not None and column not in _SAID_OF_RUN}
            session.log(said, step=step)
        url = session.url if mode == "online" else None
    return {"task": first["task"], "run": name, "id": identity, "points": kept.height, "url": url}


def _settings(mode: str) -> Any:
    """Whatever W&B would find out by itself is switched off; its names for it begin with x_, and are not promised."""
    import wandb

    return wandb.Settings(
        mode=mode,
        console="off",
        silent=True,
        symlink=False,
        disable_git=True,
        disable_code=True,
        save_code=False,
        disable_job_creation=True,
        host="",
        username="",
        email="",
        program="",
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_disable_viewer=True,
        x_save_requirements=False,
    )


def _config(run: Run, row: Mapping[str, Any]) -> dict[str, Any]:
    device = run.machine.devices[0] if run.machine.devices else {}
    return {
        **{column: row[column] for column in sorted(_SAID_OF_RUN)},
        "tdp_w": row["tdp_w"],
        "power_limit_w": device.get("power_limit_w"),
        "driver": device.get("driver"),
        "cpu": run.machine.cpu,
        "energy_sources": run.machine.energy_sources,
        **run.model_dump(include={"versions", "spec", "spec_hash", "requests_sha256", "started_utc", "ended_utc"}),
    }


def _id(run: Run, name: str) -> str:
    """The same for the same measurement: what is logged again replaces what was, and does not stand beside it."""
    measured = json.dumps([run.spec_hash, run.started_utc, run.requests_sha256])
    digest = hashlib.sha256(measured.encode()).hexdigest()[:8]
    return f"{name[: ID_CHARACTERS - len(digest) - 1]}-{digest}"


def _is_of(run: Run) -> pl.Expr:
    same = (pl.col(key).eq_missing(pl.lit(run.spec.get(key))) for key in ("task", "model", "variant"))
    return pl.all_horizontal(*same, pl.col("repeat") == run.spec.get("repeat", 1))


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """W&B's caches, logs and settings under `folder`, no reports of its errors; the environment as before after it."""
    places = {f"WANDB_{what}_DIR": str(folder / what.lower()) for what in ("CACHE", "CONFIG", "DATA", "ARTIFACT")}
    wanted = places | {"WANDB_ERROR_REPORTING": "false"}
    before = {key: os.environ.get(key) for key in wanted}
    folder.mkdir(parents=True)
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
