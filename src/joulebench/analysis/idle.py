"""What devices draw with the model loaded and nothing running: above it is what serving adds.

A GPU with a CUDA context on it keeps its clocks up: an H100 draws 71.5 W at 345 MHz without one, and 117.7 W at
1,980 MHz with one (docs/measurements.md). So each run looks at its own devices before its first point, and what it
found goes into each of its points (records.Point.loaded_idle_power_w). Older records begin a second before a point
does: the end of that second tells the same, where it was quiet.
"""

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from joulebench.analysis.energy import headline
from joulebench.analysis.keyed import KEY, by_key

QUIET = 0.05
"""Of their median, so far at most may readings of a device at rest lie from it."""

BEFORE_S = 0.5
FEWEST_READINGS = 5
"""How long before a point older records are looked at, and how many readings that has to hold."""


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
