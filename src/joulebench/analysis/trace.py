"""trace.csv: what one point drew over its time, as the counter of each device tells it.

Between two updates of a counter the power is the energy by which it rose over the time between them (analysis.energy):
nothing finer was measured. A stretch of the table lies between two such updates, and ends at a window's bound where
there is one in between, so that the mean power of a window's stretches is that of the window in points.csv.

The windows are those of analysis.windows, and what lies about them. Text: `ramp`, until the batch is full; `queue`,
the first turnover, which the queue window holds and the stationary one does not; `stationary`; `drain`, from when no
request waits to the last answer. Diffusion: `warm-up` and `batches`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.energy import energy_at, headline, updates
from joulebench.analysis.keyed import KEY, read_energy, read_keyed
from joulebench.analysis.points import WantedRun
from joulebench.analysis.verdicts import USABLE
from joulebench.analysis.windows import batch_windows, one_size, text_windows
from joulebench.families import FAMILIES, of
from joulebench.files import RecordError
from joulebench.loads.base import WHOLE
from joulebench.loads.stretch import with_durations
from joulebench.records.files import read_run
from joulebench.records.models import Point
from joulebench.records.schemas import BATCHES, ITERATIONS, REQUESTS
from joulebench.tables.point import AT
from joulebench.tables.schemas import TRACE

MOST_ROWS = 2000
"""Of a device. Where a point has more updates, each stretch is of 2, 3, 4, ... whole ones."""

Bounds = tuple[float, float, str]
"""A window from a time to a time."""


def chosen(leaderboard: pl.DataFrame) -> dict[str, Any] | None:
    """The row of `leaderboard` (tables.LEADERBOARD) whose point is traced: the first in rank of the first task, in
    the order of FAMILIES. None where nothing is ranked."""
    ranked = leaderboard.filter(pl.col("rank") == 1)
    for task in (task for family in FAMILIES for task in family.tasks):
        for row in ranked.filter(pl.col("task") == task).iter_rows(named=True):
            return row
    return None


def trace(leaderboard: pl.DataFrame, wanted: Sequence[WantedRun]) -> pl.DataFrame:
    """The stretches (tables.TRACE) of the chosen point's first repeat, by device and time.

    `wanted`: the runs that `leaderboard` was made of. Where nothing is ranked there are none. Raises RecordError where
    a file is missing or damaged, or where none of the runs holds the point.
    """
    row = chosen(leaderboard)
    if row is None:
        return pl.DataFrame(schema=TRACE)
    folder, point = _point(row, wanted)
    polls = headline(read_energy({0: folder / "energy.parquet"}))
    windows, load = _LOADS[of(row["task"]).name](folder, point)
    of_point = {name: row[name] for name in ("task", "model", "variant", "hardware", *AT, "tdp_w")}
    parts = [pl.DataFrame(schema=TRACE)]
    for (device, source), own in polls.sort("device", maintain_order=True).group_by(
        "device", "source", maintain_order=True
    ):
        stretches = _stretches(updates(own), windows, load)
        known = {**of_point, "device": device, "energy_source": source}
        literals = [pl.lit(value, TRACE[name]).alias(name) for name, value in known.items()]
        parts.append(stretches.with_columns(literals).select(TRACE.names()))
    return pl.concat(parts)


def _point(row: Mapping[str, Any], wanted: Sequence[WantedRun]) -> tuple[Path, Point]:
    """The point of `row`, of the first repeat that the tables took, and its folder."""
    same = [
        one
        for one in wanted
        if (one.spec.task, one.spec.model, one.spec.variant) == (row["task"], row["model"], row["variant"])
    ]
    for one in sorted(same, key=lambda one: one.spec.repeat):
        run = read_run(one.folder)
        for point in run.points:
            if run.spec_hash == one.spec.hash and point.at.label == row["setting"] and point.status in USABLE:
                return one.folder / "points" / point.folder, point
    name = f"{row['model']}{'+' if row['variant'] else ''}{row['variant'] or ''}"
    raise RecordError(
        f"{row['task']} {name}: no run of the config holds its point {row['setting']}, "
        "which the leaderboard names; make leaderboard.csv again (snakemake --cores all --forcerun tables)"
    )


def _text(folder: Path, point: Point) -> tuple[list[Bounds], pl.DataFrame]:
    """The windows of a text point, and its load: key, time_s, running_s (the integral of `running`)."""
    columns = ("end_s", "running", "waiting", "finished", "first_tokens")
    steps = read_keyed({0: folder / "iterations.parquet"}, ITERATIONS, columns).lazy()
    requests = read_keyed({0: folder / "requests.parquet"}, REQUESTS, ("submitted_s", "finished_s")).lazy()
    sizes = one_size(point.max_batch_size, point.begun, point.at.load)
    bounds = text_windows(steps, sizes, requests).collect().row(0, named=True)
    queue_s, end_s = bounds["queue_start_s"], bounds["end_s"]
    stationary_s = bounds["start_s"]
    if bounds["window"] == WHOLE:
        stationary_s, end_s = None, bounds["queue_end_s"]
    served = pl.col("running") * pl.col("duration_s")
    load = with_durations(steps).select("key", time_s="end_s", running_s=served.fill_null(0.0).cum_sum()).collect()
    last_s = load["time_s"].max()
    turnover_s = end_s if stationary_s is None else stationary_s
    found = [
        (0.0, turnover_s if queue_s is None else queue_s, "ramp"),
        (queue_s, turnover_s, "queue"),
        (stationary_s, end_s, "stationary"),
        (end_s, last_s, "drain"),
    ]
    return _whole(found), load


def _diffusion(folder: Path, _: Point) -> tuple[list[Bounds], pl.DataFrame]:
    """The same of a diffusion point, whose batch is what is being denoised."""
    columns = ("start_s", "end_s", "outputs", "warmup")
    batches = read_keyed({0: folder / "iterations.parquet"}, BATCHES, columns).lazy()
    keys = pl.LazyFrame({"key": [0]}, schema={"key": KEY})
    start_s, end_s = batch_windows(batches, keys).select("start_s", "end_s").collect().row(0)
    served = pl.col("outputs") * (pl.col("end_s") - pl.col("start_s"))
    begun = batches.select("key", time_s="start_s", running_s=(served.cum_sum() - served))
    done = batches.select("key", time_s="end_s", running_s=served.cum_sum())
    load = pl.concat([begun, done]).sort("time_s", "running_s").collect()
    return _whole([(load["time_s"].min(), start_s, "warm-up"), (start_s, end_s, "batches")]), load


_LOADS = {"text": _text, "diffusion": _diffusion}
"""By task family."""


def _whole(found: Sequence[tuple[Any, Any, str]]) -> list[Bounds]:
    """The windows that are there: both their ends are known, and one comes after the other."""
    return [(start, end, name) for start, end, name in found if start is not None and end is not None and start < end]


def _stretches(moved: pl.DataFrame, windows: Sequence[Bounds], load: pl.DataFrame) -> pl.DataFrame:
    """start_s, end_s, power_w, running, window of one device, whose counter moved at the times of `moved`.

    A counter's first poll is no update of it, but the time at which it was first looked at: it is left out.
    """
    known = moved[1:]
    whole = max(1, -(-(known.height - 1) // MOST_ROWS))
    known = known[sorted({*range(0, known.height, whole), known.height - 1})] if whole > 1 else known
    if known.height < 2:
        return pl.DataFrame(schema=_STRETCH)
    times = known["time_s"]
    bounds = {bound for start, end, _ in windows for bound in (start, end) if times[0] < bound < times[-1]}
    cuts = pl.DataFrame({"key": 0, "time_s": sorted({*times, *bounds})}, schema_overrides={"key": KEY}).with_row_index(
        "row"
    )
    energy = energy_at(known, cuts).sort("row")["value"]
    served = cuts.join(energy_at(_as_counter(load), cuts), on="row", how="left")["value"]
    length = pl.col("end_s") - pl.col("start_s")
    middle = (pl.col("start_s") + pl.col("end_s")) / 2
    window = pl.lit(None, pl.String)
    for start, end, name in windows:
        window = pl.when((middle > start) & (middle < end)).then(pl.lit(name)).otherwise(window)
    return (
        cuts.select(
            start_s="time_s",
            end_s=pl.col("time_s").shift(-1),
            energy_j=energy.shift(-1) - energy,
            served_s=served.shift(-1) - served,
        )
        .filter(pl.col("end_s").is_not_null())
        .select(
            "start_s", "end_s", power_w=pl.col("energy_j") / length, running=pl.col("served_s") / length, window=window
        )
    )


def _as_counter(load: pl.DataFrame) -> pl.DataFrame:
    """The integral of `running`, as a counter that analysis.energy interpolates."""
    return load.select("key", "time_s", energy_j="running_s").unique("time_s", keep="last", maintain_order=True)


_STRETCH = pl.Schema({name: TRACE[name] for name in ("start_s", "end_s", "power_w", "running", "window")})
