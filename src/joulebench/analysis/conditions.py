"""The conditions under which points were measured: facts of their raw records that the checks look at.

They hold over a point's window (start_s, end_s], and the requests' over the whole point.

Above what devices draw with the model loaded and nothing running is what serving adds. A GPU with a CUDA context on it
keeps its clocks up: an H100 draws 71.5 W at 345 MHz without one, and 117.7 W at 1,980 MHz with one
(docs/measurements.md). So each run looks at its own devices before its first point, and what it found goes into each of
its points (records.Point.loaded_idle_power_w). Older records begin a second before a point does: the end of that second
tells the same, where it was quiet.
"""

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from joulebench.analysis.drift import geweke
from joulebench.analysis.energy import headline, longest_gaps_s
from joulebench.analysis.keyed import KEY, bounds_by_key, by_key, known_of
from joulebench.inputs.checked import checked
from joulebench.inputs.yaml_files import read_yaml
from joulebench.loads.stretch import inside
from joulebench.records.models import Machine, Run

EDGE = 0.1
"""Share of the window at its start, and at its end, over which the temperature is averaged."""

QUIET = 0.05
"""Of their median, so far at most may readings of a device at rest lie from it."""

BEFORE_S = 0.5
FEWEST_READINGS = 5
"""How long before a point older records are looked at, and how many readings that has to hold."""

_POLL = ("device", "time_s", "energy_j", "temperature_c", "clock_mhz", "throttled", "power_capped", "processes")


def of_energy(energy: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Facts of the polls `energy` (records.ENERGY with key): one row a key that has a window and polls.

    `windows`: key, start_s, end_s.

    throttled_share, power_capped_share: of the polls. processes: the most seen on one device at once.
    temperature_start_c, temperature_end_c: means over the first and the last tenth of the window. clock_mean_mhz,
    clock_min_mhz. poll_gap_s: the longest time between two polls of one device, those that straddle the window's ends
    too. counter_updates: polls at which a counter had moved, of the device that has the fewest. Null where the
    records do not say. The longest time between two updates of a counter is energy.Drawn's to tell.
    """
    read = headline(energy).select("key", *_POLL)
    devices = [read.filter(pl.col("device") == device) for device in sorted(read["device"].unique())] or [read]
    polled = [inside(_moved(one), windows, at="time_s") for one in devices]
    time, w0, w1 = pl.col("time_s"), pl.col("w0"), pl.col("w1")
    edge, temperature = EDGE * (w1 - w0), pl.col("temperature_c")
    means = (
        pl.concat(polled)
        .group_by("key", maintain_order=True)
        .agg(
            throttled_share=pl.col("throttled").mean(),
            power_capped_share=pl.col("power_capped").mean(),
            processes=pl.col("processes").max(),
            temperature_start_c=temperature.filter(time <= w0 + edge).mean(),
            temperature_end_c=temperature.filter(time > w1 - edge).mean(),
            clock_mean_mhz=pl.col("clock_mhz").mean(),
            clock_min_mhz=pl.col("clock_mhz").min(),
        )
    )
    moves = pl.concat(one.group_by("key").agg(counter_updates=pl.col("moved").sum().cast(pl.Int64)) for one in polled)
    updates = moves.group_by("key").agg(pl.col("counter_updates").min())
    gaps = longest_gaps_s(devices, windows, "poll_gap_s")
    return known_of(means, gaps, updates)


def _moved(polls: pl.DataFrame) -> pl.DataFrame:
    """The polls of one device with `moved`: whether its counter had moved since the one before."""
    same = pl.col("key") == pl.col("key").shift()
    return polls.with_columns(moved=pl.when(same).then(pl.col("energy_j") != pl.col("energy_j").shift()))


def of_processors(energy: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """others_share, stolen_share: what others had of the host's processors in the windows, by key.

    `energy`: records.ENERGY with key, all its devices; `windows`: key, start_s, end_s. Linear between two readings;
    at least 0, which clock ticks of 10 ms may miss by a little. Null where half of a window or more has no readings.
    """
    bounds = bounds_by_key(windows)
    read = energy.select("key", "time_s", *_BUSY).filter(pl.col("others_busy_s").is_not_null()).sort("key", "time_s")
    rows = []
    for key, of in by_key(read, ("time_s", *_BUSY)):
        w0, w1 = bounds.get(key, (0.0, 0.0))
        ends_s = max(w0, of["time_s"][0]), min(w1, of["time_s"][-1])
        known_s = ends_s[1] - ends_s[0]
        if known_s > (w1 - w0) / 2:
            used_s = (float(np.diff(np.interp(ends_s, of["time_s"], of[name])).item()) for name in _BUSY)
            rows.append((key, *(max(0.0, used / known_s) for used in used_s)))
    return pl.DataFrame(rows, schema=_SHARES, orient="row")


_BUSY = ("others_busy_s", "stolen_s")
_SHARES = pl.Schema({"key": KEY(), "others_share": pl.Float64(), "stolen_share": pl.Float64()})


def of_requests(requests: pl.DataFrame) -> pl.DataFrame:
    """requests_failed, and answers_cut: those that finished shorter than they were made to be, by key."""
    status = pl.col("status")
    cut = (status == "finished") & (pl.col("output_tokens") < pl.col("asked_output_tokens"))
    counts = requests.lazy().group_by("key").agg(requests_failed=(status == "failed").sum(), answers_cut=cut.sum())
    return counts.cast({"requests_failed": pl.Int64, "answers_cut": pl.Int64}).collect()


def drifts(blocks: pl.DataFrame, amount: str) -> pl.DataFrame:
    """`drift_z` by key: drift.geweke of the blocks (key, energy_j, amount); null where it knows none."""
    scores = [(key, geweke(of["energy_j"], of[amount])) for key, of in by_key(blocks, ("energy_j", amount))]
    schema = pl.Schema({"key": KEY(), "drift_z": pl.Float64()})
    return pl.DataFrame(scores, schema=schema, orient="row").with_columns(pl.col("drift_z").fill_nan(None))


def clock_steps(run: Run) -> list[float | None]:
    """For each point, by how many seconds the clock of the day was set back before it or at its end; at least 0.

    A point cannot begin before the one before it has lasted as long as the monotonic clock says; the run's own start
    and end bound the first and the last. Times of day are kept to the second, so up to 1 s of it is rounding. A clock
    set forward looks as a pause does, and cannot be told. None where a time is not readable.
    """
    starts = [
        _seconds(run.started_utc),
        *(_seconds(point.started_utc) for point in run.points),
        _seconds(run.ended_utc),
    ]
    lasted = [0.0, *(point.duration_s for point in run.points)]
    back = [
        None if begun is None or next_begun is None else max(0.0, begun + seconds - next_begun)
        for (begun, next_begun), seconds in zip(pairwise(starts), lasted, strict=True)
    ]
    return [None if None in pair else max(pair) for pair in pairwise(back)]  # type: ignore[type-var]


def _seconds(utc: str) -> float | None:
    try:
        return datetime.fromisoformat(utc).timestamp()
    except ValueError:
        return None


def read_machine(path: Path) -> Machine:
    """results/{hardware}/machine.json. Raises UserError where it is missing or damaged."""
    return checked(Machine, read_yaml(path, "machine"), str(path))


def quiet_power_w(power_w: ArrayLike) -> float | None:
    """The mean of power readings that show a device at rest, W; None where they do not.

    At rest: five readings or more, all known, each within 5 % of their median.
    """
    readings = np.asarray(power_w, dtype=float)
    if readings.size < FEWEST_READINGS or not np.isfinite(readings).all():
        return None
    median = float(np.median(readings))
    return float(readings.mean()) if np.abs(readings - median).max() <= QUIET * median else None


def before_points(energy: pl.DataFrame) -> pl.DataFrame:
    """key, rest_w: what the headline devices together drew in the half second before each point began.

    `energy`: records.ENERGY with key. Null where any of them was not at rest, or where there is no GPU: an idle
    processor is its owner's, not the run's.
    """
    polls = headline(energy)
    before = polls.filter(pl.col("time_s").is_between(-BEFORE_S, 0.0, closed="left"))
    parts: dict[int, list[float | None]] = {}
    for device in sorted(before["device"].unique()):
        for key, of in by_key(before.filter(pl.col("device") == device), ["power_w"]):
            parts.setdefault(key, []).append(quiet_power_w(of["power_w"]) if device.startswith("gpu:") else None)
    rows = [(key, None if None in watts else sum(watts)) for key, watts in parts.items()]  # type: ignore[arg-type]
    return pl.DataFrame(rows, schema={"key": KEY, "rest_w": pl.Float64}, orient="row")


def idle_power_w(used: Machine, probed: Machine | None) -> float | None:
    """What the GPUs of a run draw with nothing on them, W, summed; None without GPUs, or where one was not probed.

    `used`: the machine of run.json; `probed`: results/{hardware}/machine.json. Another card's is no stand-in.
    """
    found = {gpu.get("uuid"): gpu.get("idle_power_w") for gpu in (probed.devices if probed else [])}
    own = [found.get(gpu.get("uuid")) for gpu in used.devices]
    return None if not own or None in own else float(sum(own))  # type: ignore[arg-type]
