"""One run: machine, lock, sampler, engine, sweep, and run.json last."""

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
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from joulebench import __version__, datasets, engines, meters
from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.measure.devices import given, taken
from joulebench.measure.locks import alone_in
from joulebench.measure.session import Session, utc_now
from joulebench.measure.sweep import Sweep
from joulebench.meters.machine import probe, require
from joulebench.meters.sampling import Sampling
from joulebench.records.files import read_model, read_parquet, read_requests, write_json
from joulebench.records.models import EngineStart, Model, Run
from joulebench.records.schemas import PROMPTS

log = logging.getLogger(__name__)

ALWAYS = ("polars", "zeus", "codecarbon")
COMMIT_VARIABLE = "JOULEBENCH_COMMIT"
PARTS = ("engine_start", "points", "engine_stop")


def measure(spec: RunSpec, requests: Path, model: Path, folder: Path, anew: bool = False) -> Run:
    """Measure what is left of a run, and write its run.json when every point has ended.

    `requests` is the task's Parquet file, `model` the model's folder, `folder` the run's own. A run.json that is there,
    whole and of the same spec, requests and device, is the run; with `anew`, points without one are measured again.
    Raises UserError where the machine is not the config's, another process measures into the same folder, a source fell
    silent, or a point failed or vanished.
    """
    settings = engines.check(spec)
    gpus = given(spec)
    prompts, facts = _prompts(spec, requests), _model(spec, model)
    digest = hashlib.sha256(requests.read_bytes()).hexdigest()
    with alone_in(folder), taken(spec, gpus):
        chosen = meters.choose(spec.device)
        machine = probe(spec.device, chosen, hardware_name=spec.hardware, reports_as=spec.reports_as)
        require(machine, spec.hardware, spec.device, spec.reports_as)
        session = Session(folder, spec, digest, machine, anew)
        if session.whole is not None:
            return session.whole
        try:
            swept = _sweep(session, spec, settings, prompts, model, chosen) if session.left() else None
            failure = swept.failure if swept else None
            if swept:
                machine = machine.model_copy(update={"energy_sources": swept.sources})
            try:
                points, sums = session.record()
            except UserError as error:
                raise failure or error from None
            run = Run(
                spec=spec.model_dump(mode="json"),
                spec_hash=spec.hash,
                parameters=facts.parameters,
                model_files_sha256=facts.files_sha256,
                requests_sha256=digest,
                versions=versions((*ALWAYS, *engines.module(spec.engine).PACKAGES)),
                machine=machine,
                started_utc=session.started_utc,
                ended_utc=utc_now(),
                durations_s=swept.durations_s if swept else None,
                engine_start=swept.engine_start if swept else None,
                points=points,
                points_sha256=sums,
            )
            write_json(run, folder / "run.json")
            if failure is not None:
                raise failure
        except BaseException:
            with suppress(OSError):  # what went wrong is the one to be told
                session.put_back()
            raise
        session.close()
        return run


class _Swept(NamedTuple):
    """What became of a sweep: seconds by part, the start, device -> source of its energy, why a point failed."""

    durations_s: dict[str, float]
    engine_start: EngineStart | None
    sources: dict[str, str | None]
    failure: UserError | None


def _sweep(
    session: Session, spec: RunSpec, settings: BaseModel, prompts: pl.DataFrame, model: Path, chosen: meters.Chosen
) -> _Swept:
    """Measure what is left."""
    failure = None
    for warning in chosen.warnings:
        log.warning("%s", warning)
    with Sampling.start(chosen.meters, session.folder) as sampling:
        clock = [time.monotonic()]
        with closing(engines.open_engine(spec, model, settings)) as engine:
            start: EngineStart | None = getattr(engine, "start", None)
            sweep = Sweep(spec, engine, engine.prepare(prompts), sampling)
            clock.append(time.monotonic())
            try:
                sweep.run(session)
            except UserError as error:
                failure = error
            clock.append(time.monotonic())
        clock.append(time.monotonic())
    durations_s = dict(zip(PARTS, (round(b - a, 3) for a, b in pairwise(clock)), strict=True))
    return _Swept(durations_s, start, sampling.sources, failure)


def _prompts(spec: RunSpec, path: Path) -> pl.DataFrame:
    sampled = read_requests(path.with_suffix(".json"))
    wanted = (spec.dataset.model_dump(mode="json"), spec.sample.model_dump(mode="json"))
    if (sampled.dataset, sampled.sample) != wanted:
        raise UserError(
            f"{path}: sampled under other settings of tasks.{spec.task}.dataset or sample than the config's; "
            "delete it and give the same command again"
        )
    if said := datasets.replaced(spec.dataset, path.with_suffix(".json")):
        log.warning("%s", said)
    return read_parquet(path, PROMPTS)


def _model(spec: RunSpec, folder: Path) -> Model:
    facts = read_model(folder)
    wanted = spec.model_dump(mode="json", include=set(facts.made_from))
    if changed := sorted(name for name, value in facts.made_from.items() if wanted[name] != value):
        raise UserError(
            f"{folder}: made under another {', '.join(changed)} than the config's for models.{spec.model}; "
            "delete it and give the same command again"
        )
    return facts


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """What measured: package versions, Python's, and the commit where this is a checkout."""
    found: dict[str, str | None] = {
        "joulebench": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
    }
    for package in packages:
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
