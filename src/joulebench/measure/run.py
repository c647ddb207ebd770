"""One run, in a line: check, claim the devices, open meters and engine, sweep, close, and write run.json last."""

import hashlib
import importlib.metadata
import logging
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel, ValidationError

from joulebench import __version__, datasets, engines, models
from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.inputs.reading import MIB, read_bytes
from joulebench.measure.devices import claimed, given
from joulebench.measure.locks import alone_in
from joulebench.measure.session import START, Session, utc_now
from joulebench.measure.sweep import Sweep
from joulebench.meters import Chosen
from joulebench.meters.sampling import Sampling
from joulebench.records.files import read_parquet, write_json
from joulebench.records.made import model_as, require_prompts
from joulebench.records.models import EngineStart, Export, Machine, Model, Record, Run
from joulebench.records.schemas import PROMPTS

log = logging.getLogger(__name__)

ALWAYS = ("polars", "zeus", "codecarbon")
COMMIT_VARIABLE = "JOULEBENCH_COMMIT"


def measure(spec: RunSpec, prompts: Path, model: Path, folder: Path, anew: bool = False) -> Run:
    """Measure what is left of a run, and write its run.json when every point has ended.

    `prompts` is the task's Parquet file, `model` the model's folder, `folder` the run's own. A run.json that is there,
    whole and of the same spec, prompts and device, is the run; with `anew`, points without one are measured again.
    Raises UserError where the machine is not the config's, another process measures into the same folder, a source fell
    silent, or a point failed or vanished.
    """
    inputs, gpus = checked(spec, prompts, model), given(spec)
    with alone_in(folder), claimed(spec, gpus) as (machine, chosen):
        session = Session(folder, spec, inputs.requests_sha256, machine, anew)
        if session.whole is not None:
            return session.whole
        try:
            swept = _swept(inputs, machine, chosen, session) if session.left() else _kept(machine, session)
            run = _recorded(inputs, swept, session)
        except BaseException:
            with suppress(OSError):  # what went wrong is the one to be told
                session.put_back()
            raise
        session.close()
        return run


class Inputs(NamedTuple):
    """What a run is made of."""

    spec: RunSpec
    settings: BaseModel
    """The engine's own."""
    prompts: pl.DataFrame
    requests_sha256: str
    model: Model
    model_folder: Path
    export: Export | None
    """Of what the engine serves in place of the model's own files."""


def checked(spec: RunSpec, prompts: Path, model: Path) -> Inputs:
    """Read `prompts`, the task's Parquet file, model.json in the folder `model`, and what was exported of it.

    Raises UserError where one of them was made under other settings than the config's, and ConfigError for settings
    that the engine does not take.
    """
    settings = engines.check(spec)
    wanted = spec.model_dump(mode="json")
    require_prompts(prompts, spec.task, wanted)
    if said := datasets.replaced(spec.dataset, prompts.with_suffix(".json")):
        log.warning("%s", said)
    table = read_parquet(prompts, PROMPTS)
    facts = model_as(model, spec.model, wanted)
    if said := models.replaced(facts):
        log.warning("%s: %s; what is there is served, delete it to fetch anew", model, said)
    export = engines.checked_export(spec, model, facts)
    return Inputs(spec, settings, table, hashlib.sha256(prompts.read_bytes()).hexdigest(), facts, model, export)


class _Swept(NamedTuple):
    """What became of a sweep: where its energy came from is with the machine; seconds by part; why a point failed."""

    machine: Machine
    durations_s: dict[str, float] | None = None
    energies_j: dict[str, float | None] | None = None
    engine_start: EngineStart | None = None
    failure: UserError | None = None


def _swept(inputs: Inputs, machine: Machine, chosen: Chosen, session: Session) -> _Swept:
    """Open the meters and the engine, measure what is left, and close them."""
    spec, failure = inputs.spec, None
    for warning in chosen.warnings:
        log.warning("%s", warning)
    with Sampling.start(chosen.meters, session.folder) as sampling:
        parts = _Parts(sampling)
        with closing(engines.open_engine(spec, inputs.model_folder, inputs.settings)) as engine:
            start: EngineStart | None = getattr(engine, "start", None)
            sweep = Sweep(spec, engine, engine.prepare(inputs.prompts), sampling)
            parts.end("engine_start")
            try:
                sweep.make_ready()
                parts.end("first_call")
                _keep(parts, start, session)
                sweep.run(session)
            except UserError as error:
                failure = error
            parts.end("points")
        parts.end("engine_stop")
    machine = machine.model_copy(update={"energy_sources": sampling.sources})
    return _Swept(machine, parts.durations_s, parts.energies_j, start, failure)


class _Parts:
    """What each part of a session took, and what the devices that count drew meanwhile, by the sampler's last word."""

    def __init__(self, sampling: Sampling) -> None:
        self.durations_s: dict[str, float] = {}
        self.energies_j: dict[str, float | None] = {}
        self._sampling = sampling
        self._last_s, self._last_j = time.monotonic(), self._drawn_j()

    def end(self, part: str) -> None:
        now_s, now_j = time.monotonic(), self._drawn_j()
        known = self._last_j is not None and now_j is not None
        self.durations_s[part] = round(now_s - self._last_s, 3)
        self.energies_j[part] = round(now_j - self._last_j, 3) if known else None  # type: ignore[operator]
        self._last_s, self._last_j = now_s, now_j

    def _drawn_j(self) -> float | None:
        try:
            return self._sampling.now().energy_j
        except OSError:
            return None


class _Started(Record):
    """start.json: what the last start of the engine took and drew, as run.json has it."""

    spec_hash: str
    requests_sha256: str
    device: str
    durations_s: dict[str, float]
    energies_j: dict[str, float | None]
    engine_start: EngineStart | None


def _keep(parts: _Parts, start: EngineStart | None, session: Session) -> None:
    made = _Started(**session.of, durations_s=parts.durations_s, energies_j=parts.energies_j, engine_start=start)
    write_json(made, session.folder / START)


def _kept(machine: Machine, session: Session) -> _Swept:
    """Of a sweep all of whose points are there, and run.json is not: what was kept of this run's last start."""
    try:
        found = _Started.model_validate_json(read_bytes(session.folder / START, MIB, "not needed"))
    except (UserError, ValidationError):
        return _Swept(machine)
    is_own = found.model_dump(include=set(session.of)) == session.of
    return _Swept(machine, found.durations_s, found.energies_j, found.engine_start) if is_own else _Swept(machine)


def _recorded(inputs: Inputs, swept: _Swept, session: Session) -> Run:
    """Write run.json. Raises UserError where a point failed, after that, or is not there."""
    spec = inputs.spec
    try:
        points, sums = session.record()
    except UserError as error:
        raise swept.failure or error from None
    run = Run(
        spec=spec.model_dump(mode="json"),
        spec_hash=spec.hash,
        parameters=inputs.model.parameters,
        model_files_sha256=inputs.model.files_sha256,
        requests_sha256=inputs.requests_sha256,
        versions=versions(engines.module(spec.engine).PACKAGES),
        machine=swept.machine,
        started_utc=session.started_utc,
        ended_utc=utc_now(),
        durations_s=swept.durations_s,
        energies_j=swept.energies_j,
        engine_start=swept.engine_start,
        export=inputs.export,
        model_commit=inputs.model.commit,
        points=points,
        points_sha256=sums,
    )
    write_json(run, session.folder / "run.json")
    if swept.failure is not None:
        raise swept.failure
    return run


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Name -> version of `packages` and of those that measure with every engine; None where one is not installed.

    Beside them joulebench, python, commit where this is a checkout, and cuda, which torch was built for. Raises
    UserError where JOULEBENCH_COMMIT is no commit.
    """
    found: dict[str, str | None] = {
        "joulebench": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
    }
    for package in (*ALWAYS, *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    if found.get("torch"):
        import torch

        found["cuda"] = torch.version.cuda
    return dict(sorted(found.items()))


def _commit() -> str | None:
    """Of the checkout; a copy without one is told it by JOULEBENCH_COMMIT."""
    if told := os.environ.get(COMMIT_VARIABLE, "").strip():
        if not re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", told):
            raise UserError(
                f"{COMMIT_VARIABLE}: found '{told[:60]}'; expected a commit's hex digits (git rev-parse HEAD)"
            )
        return told
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
