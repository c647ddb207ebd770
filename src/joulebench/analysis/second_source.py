"""What the GPUs of a point drew by the log of nvidia-smi that lies beside its run, to compare the meter with.

A log has the clock of its machine, without a zone. A point says when its load began by that same clock (records.Point,
`load_began`), so that the difference of the two is a time of the point, whatever the zone: the log has to be written
on the machine that measures, in the same time zone. The energy over a window is the integral of the power, linear
between two readings (trapezoids). A log that does not cover a window is refused, and so is one with a gap in it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from joulebench.analysis.energy import Drawn, at_each
from joulebench.analysis.keyed import KEY, bounds_by_key
from joulebench.files import RecordError
from joulebench.records.models import Machine, Point
from joulebench.records.nvidia_smi import LOG, REMEDY, read_log
from joulebench.records.schemas import ENERGY
from joulebench.records.sources import NVML_COUNTER, NVML_POWER

MOST_GAP_S = 2.0
"""Between two readings: what voids a measurement of our own (meters.sampling)."""
_FOUND = pl.Schema({"key": KEY(), "nvidia_smi_energy_j": pl.Float64()})


def logged_energy(folder: Path, machine: Machine, points: Mapping[int, Point], windows: pl.DataFrame) -> pl.DataFrame:
    """key, nvidia_smi_energy_j: energy over the windows of a run's points by its log; no row where there is no log.

    `folder`, `machine`: the run's; `points`: key -> its point; `windows`: key, start_s, end_s of these and others.
    Raises RecordError, which names the log, where it cannot be read, is of other GPUs or does not cover a window.
    """
    path = folder / LOG
    bounds = {key: ends for key, ends in bounds_by_key(windows).items() if key in points}
    if not bounds or not os.path.lexists(path):
        return _FOUND.to_frame()
    readings = _of_the_runs_gpus(path, machine)
    polls = []
    for key, (start_s, end_s) in bounds.items():
        own = _relative(path, readings, points[key])
        for gpu, of in own.group_by("gpu", maintain_order=True):
            known_s = of.filter(pl.col("power_w").is_not_null())["time_s"]
            _require_covered(path, str(gpu[0] or "the GPU"), points[key], known_s, start_s, end_s)
        polls.append(own.select(pl.lit(key, KEY).alias("key"), "time_s", "power_w", device="gpu"))
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in ENERGY.items()]
    read = pl.concat(polls).with_columns(one for one in absent if one.meta.output_name() not in polls[0].columns)
    asked = windows.filter(pl.col("key").is_in(list(bounds))).select("key", "start_s", "end_s")
    start_j, end_j = at_each(Drawn(read).integrated_power_j, asked, "start_s", "end_s")
    return asked.select("key", nvidia_smi_energy_j=end_j - start_j)


def _of_the_runs_gpus(path: Path, machine: Machine) -> pl.DataFrame:
    """The readings of the run's GPUs: by their UUIDs, else all, where they are as many."""
    ours = [name for name, source in machine.energy_sources.items() if source in (NVML_COUNTER.name, NVML_POWER.name)]
    if not ours:
        raise _refused(path, "the run's energy is of no NVIDIA GPU", "a run on NVIDIA GPUs")
    read = read_log(path)
    named, uuids = read["gpu"].unique().sort().to_list(), [gpu.get("uuid") for gpu in machine.devices]
    if read["is_uuid"][0] and None not in uuids:
        if missing := [uuid for uuid in uuids if uuid not in named]:
            raise _refused(path, f"no reading of {missing[0]}, but of {', '.join(named)[:80]}", "the run's GPUs")
        read = read.filter(pl.col("gpu").is_in(uuids))
    elif len(named) != len(ours):
        raise _refused(
            path, f"{len(named)} GPUs, without the run's UUIDs, and the run is of {len(ours)}", "a column uuid"
        )
    return read


def _relative(path: Path, readings: pl.DataFrame, point: Point) -> pl.DataFrame:
    """`readings` with `time_s`: seconds from the start of the point's load."""
    if point.load_began is None:
        said = f"point {point.folder} does not say when its load began, as earlier versions measured it"
        raise _refused(path, said, "a run of this version")
    began = point.load_began.replace(tzinfo=None)
    since = pl.col("time") - pl.lit(began, pl.Datetime("us"))
    return readings.with_columns(time_s=since.dt.total_microseconds() / 1e6)


def _require_covered(path: Path, gpu: str, point: Point, time_s: pl.Series, start_s: float, end_s: float) -> None:
    began = f"{point.load_began:%Y/%m/%d %H:%M:%S} (UTC{point.load_began:%z})"
    where = f"the window of {point.folder}, {start_s:.1f} to {end_s:.1f} s after {began}"
    if time_s.is_empty() or time_s[0] > start_s or time_s[-1] < end_s:
        read = f"{time_s[0]:.1f} to {time_s[-1]:.1f} s after it" if time_s.len() else "never"
        raise _refused(path, f"{gpu} was read {read}", f"readings over {where}, by the same clock and zone")
    gap_s = float(time_s.diff().filter((time_s > start_s) & (time_s.shift(1) < end_s)).max() or 0.0)  # type: ignore[arg-type]
    if gap_s > MOST_GAP_S:
        raise _refused(path, f"{gpu} was not read for {gap_s:.1f} s in {where}", f"{MOST_GAP_S:g} s at most")


def _refused(path: Path, found: str, expected: str) -> RecordError:
    return RecordError(f"{path}: {found}, expected {expected}; {REMEDY}")
