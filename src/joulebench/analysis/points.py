"""points.csv: from the raw records of many runs to one row a point and repeat."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis import agreement, belonging, conditions, metrics
from joulebench.analysis.keyed import KEY, Recorded, known_of
from joulebench.analysis.second_source import logged_energy
from joulebench.analysis.sources import card
from joulebench.analysis.verdicts import USABLE, judged
from joulebench.config.spec import RunSpec
from joulebench.families import DIFFUSION, TEXT, of
from joulebench.loads.setting import BATCHES
from joulebench.records.files import read_run
from joulebench.records.models import Machine, Point, Run
from joulebench.tables.columns import BOUNDS
from joulebench.tables.point import MEMORY, PER_KWH, SETTING
from joulebench.tables.schemas import LEFT_OUT, POINTS

RUNS_AT_ONCE = 5
GROUPS_AT_ONCE = 3
"""Bound the memory: the records of so many runs, and groups of them, are held at a time."""


@dataclass(frozen=True)
class WantedRun:
    """A run folder that the config asks for, what it must stand for, and its device's TDP in W (null: ask run.json).

    `probed`: results/{hardware}/machine.json, which tells what the hardware draws when idle; None where there is none.
    """

    folder: Path
    spec: RunSpec
    tdp_w: float | None
    probed: Machine | None = None


def wanted_runs(specs: Mapping[str, Any], tdp_w: float | None, probed: Machine | None = None) -> list[WantedRun]:
    """Runs from plain values: `specs` is folder -> keys and values of its RunSpec."""
    return [WantedRun(Path(folder), RunSpec.model_validate(spec), tdp_w, probed) for folder, spec in specs.items()]


def points(wanted: Sequence[WantedRun]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One row for every point of the wanted runs (tables.POINTS), and the runs left out (tables.LEFT_OUT).

    A run is left out when its records were measured under another spec than the config's. Rows are sorted by task,
    model, variant, repeat and point, whatever the order of `wanted`. A point that failed has null figures.
    Raises RecordError, which names the file, where one is missing or damaged, or does not belong with the others
    (analysis.belonging, analysis.agreement).
    """
    ordered = sorted(
        wanted,
        key=lambda one: (one.spec.task, one.spec.model, one.spec.variant or "", one.spec.repeat, str(one.folder)),
    )
    taken: list[tuple[WantedRun, Run]] = []
    left_out: list[dict[str, str]] = []
    for one in ordered:
        run = read_run(one.folder)
        if run.spec_hash == one.spec.hash:
            taken.append((one, run))
        else:
            left_out.append({"task": one.spec.task, "run": one.spec.run, "reason": _other_spec(run, one)})
    parts = [pl.DataFrame(schema={**POINTS, **_FACTS, **_COMPUTED})]
    groups = [taken[first : first + RUNS_AT_ONCE] for first in range(0, len(taken), RUNS_AT_ONCE)]
    with ThreadPoolExecutor(GROUPS_AT_ONCE) as pool:
        parts += pool.map(_rows, groups)
    table = pl.concat(parts, how="diagonal_relaxed")
    return _finished(table), pl.DataFrame(left_out, schema=LEFT_OUT)


def _other_spec(run: Run, one: WantedRun) -> str:
    return (
        f"measured under another spec: run.json has the hash {run.spec_hash[:12]}, the config's is "
        f"{one.spec.hash[:12]}; measure it again (snakemake --cores all --force {one.folder / 'run.json'}), "
        "or set the config back to what was measured"
    )


def _rows(taken: Sequence[tuple[WantedRun, Run]]) -> pl.DataFrame:
    for one, run in taken:
        belonging.require(one.folder, run)
    facts = _facts(taken)
    figures = _figures(facts)
    return known_of(facts, figures, *([_logged(taken, figures)] if "start_s" in figures.columns else []))


def _logged(taken: Sequence[tuple[WantedRun, Run]], figures: pl.DataFrame) -> pl.DataFrame:
    """key, nvidia_smi_energy_j: of the points of the runs that have a log of nvidia-smi beside them."""
    keys = count()
    numbered = [(one, run, {next(keys): point for point in run.points}) for one, run in taken]
    return pl.concat(logged_energy(one.folder, run.machine, points, figures) for one, run, points in numbered)


def _facts(taken: Sequence[tuple[WantedRun, Run]]) -> pl.DataFrame:
    rows = [
        _point_facts(one, run, point, step_s)
        for one, run in taken
        for point, step_s in zip(run.points, conditions.clock_steps(run), strict=True)
    ]
    return pl.DataFrame(rows, schema=_FACTS, orient="row").with_row_index("key").cast({"key": KEY})


_OF_POINTS = (
    *(
        "task",
        "dataset",
        "model",
        "variant",
        "answers",
        "parameters",
        "weights",
        "hardware",
        "device",
        "card",
        "engine",
        "dtype",
    ),
    *("quantization", "attention", *SETTING, "repeat", "status", "reason", "ended_by", "start", "measured_on", "tdp_w"),
    *("idle_power_w", "clock_step_s", "client_busy_share", "outside_engine_share"),
    *MEMORY,
)
_FACTS = pl.Schema({name: POINTS[name] for name in _OF_POINTS}) | pl.Schema(
    {
        "told_idle_power_w": pl.Float64(),
        "sample_prompt_tokens": pl.Float64(),
        "sample_output_tokens": pl.Float64(),
        "on_gpu": pl.Boolean(),
        "run": pl.String(),
        "served": pl.String(),
        "sampled": pl.Int64(),
        "limit": pl.Int64(),
        "older": pl.Boolean(),
        "folder": pl.String(),
        "point": pl.Int64(),
        "duration_s": pl.Float64(),
        "lengths_given": pl.Boolean(),
        "warmup_batches": pl.Int64(),
        "server_processes": pl.Int64(),
        "sources": pl.List(pl.Struct({"device": pl.String(), "told": pl.String()})),
    }
)
_OF_SPEC = ("task", "model", "variant", "weights", "hardware", "engine", "dtype", "quantization", "attention", "repeat")
_COMPUTED = {"key": KEY(), "gpus": pl.UInt32(), "missing": pl.String(), "rest_w": pl.Float64()}


def _point_facts(one: WantedRun, run: Run, point: Point, clock_step_s: float | None) -> dict[str, Any]:
    spec, rest, tokens, at = one.spec, point.loaded_idle_power_w, point.sample_tokens, point.at
    is_text = of(spec.task) is TEXT
    kind = "natural" if spec.output_length is None else spec.output_length.kind
    answers = "fixed" if at.output_tokens is not None else kind
    lengths = f"{at.input_tokens or ''}-{at.output_tokens or ''}"
    return {
        **{name: getattr(spec, name) for name in _OF_SPEC},
        "dataset": spec.dataset.name,
        "answers": answers if is_text else None,
        "parameters": run.parameters,
        "device": run.machine.device,
        "card": card(run.machine),
        **at.model_dump(),
        "load": at.load if is_text else BATCHES,
        "setting": at.label,
        "status": point.status,
        "reason": point.reason,
        "ended_by": point.ended_by,
        "start": (point.start or "cold") if is_text else None,
        "measured_on": run.started_utc[:10],
        "tdp_w": one.tdp_w if one.tdp_w is not None else run.machine.tdp_w,
        "idle_power_w": conditions.idle_power_w(run.machine, one.probed),
        "told_idle_power_w": None if rest is None else sum(rest.values()),
        "sample_prompt_tokens": None if tokens is None else tokens.prompt_tokens / tokens.requests,
        "sample_output_tokens": None if tokens is None else tokens.output_tokens / tokens.requests,
        "clock_step_s": clock_step_s,
        **_memory(point),
        "client_busy_share": point.client_busy_share,
        "outside_engine_share": point.outside_engine_share,
        "on_gpu": spec.on_gpu,
        "run": str(one.folder),
        "served": f"{one.folder}/{lengths}",
        "sampled": spec.sample.requests,
        "limit": spec.output_length.tokens if spec.output_length and answers == "natural" else None,
        "older": run.points_sha256 is None,
        "folder": str(one.folder / "points" / point.folder),
        "point": point.point,
        "duration_s": point.duration_s,
        "lengths_given": answers != "natural",
        "warmup_batches": spec.sweep.warmup_batches,
        "server_processes": spec.server_processes,
        "sources": [{"device": one, "told": source} for one, source in run.machine.energy_sources.items()],
    }


def _memory(point: Point) -> dict[str, float | None]:
    found = point.memory
    told = (None,) * 4 if found is None else (found.allocated_mb, found.reserved_mb, found.process_mb, found.ram_mb)
    return {name: mb or None for name, mb in zip(MEMORY, told, strict=True)}  # records of 2026-11-27 have 0 for null


def _figures(facts: pl.DataFrame) -> pl.DataFrame:
    usable = facts.filter(pl.col("status").is_in(USABLE)).with_columns(run="served")
    parts = [pl.DataFrame(schema={"key": KEY})]
    for family, require, figures in (
        (TEXT, agreement.require_text, metrics.text),
        (DIFFUSION, agreement.require_diffusion, metrics.diffusion),
    ):
        own = usable.filter(family.rows)
        if own.height:
            folders = {key: Path(folder) for key, folder in own.select("key", "folder").iter_rows()}
            recorded = Recorded.read(folders, family)
            require(recorded, own.select(agreement.KNOWN))
            parts.append(_with_conditions(figures(recorded, own.select(metrics.SIZES.names())), recorded))
    return pl.concat(parts, how="diagonal_relaxed")


def _with_conditions(figures: pl.DataFrame, recorded: Recorded) -> pl.DataFrame:
    windows = figures.select("key", "start_s", "end_s")
    return known_of(
        figures,
        conditions.of_energy(recorded.energy, windows),
        conditions.of_processors(recorded.energy, windows),
        conditions.of_requests(recorded.requests),
        conditions.before_points(recorded.energy),
    )


def _finished(table: pl.DataFrame) -> pl.DataFrame:
    gpus = pl.when(pl.col("gpus") > 0).then(pl.col("gpus"))
    drawing = pl.when(pl.col("on_gpu")).then(gpus).otherwise(1)
    reason = pl.concat_str("reason", "missing", separator="; ", ignore_nulls=True).replace("", None)
    tdp_estimate_j = pl.col("tdp_w") * drawing / pl.col("responses_per_s")
    before_w = pl.when("older").then(pl.col("rest_w").first().over("run"))
    rest_w = pl.coalesce("told_idle_power_w", before_w)
    above_idle = 1 - rest_w / pl.col("power_w")
    gross = ("energy_per_response_j", "energy_per_output_token_j")
    net = ((pl.col(name) * above_idle).alias(f"net_{name}") for name in gross)
    own = pl.max_horizontal(pl.col("server_processes"), 1)  # a server's count as one, as any other engine's
    processes = pl.max_horizontal(pl.col("processes") - own + 1, pl.min_horizontal(pl.col("processes"), 1))
    known = pl.when(pl.col("processes").is_not_null())
    table = table.with_columns(
        *net,
        *_per_kwh(),
        loaded_idle_power_w=rest_w,
        reason=reason,
        gpus=gpus,
        tdp_estimate_j=tdp_estimate_j,
        processes=known.then(processes),
    )
    return judged(table.select(pl.col(name).cast(dtype) for name, dtype in POINTS.items()))


J_PER_KWH = 3.6e6


def _per_kwh() -> list[pl.Expr]:
    """The reciprocals of the energies, and of the ends of their intervals, which change places."""
    of = {"output_tokens": "energy_per_output_token", "responses": "energy_per_response"}
    swapped = dict(zip(BOUNDS, ("", "_high", "_low"), strict=True))
    energies = {(what, bound): pl.col(f"{of[what]}{swapped[bound]}_j") for what in PER_KWH for bound in BOUNDS}
    return [
        pl.when(energy > 0).then(J_PER_KWH / energy).alias(f"{what}{bound}_per_kwh")
        for (what, bound), energy in energies.items()
    ]
