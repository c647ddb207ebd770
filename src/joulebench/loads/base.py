"""What a load is asked for."""

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from joulebench.loads.setting import Setting

WINDOWS = pl.Schema(
    {
        "key": pl.UInt32,
        "queue_start_s": pl.Float64,
        "queue_end_s": pl.Float64,
        "start_s": pl.Float64,
        "end_s": pl.Float64,
        "no_window": pl.String,
        "filled": pl.Int64,
        "window": pl.String,
    }
)
"""One row a point. start_s to end_s is the stretch that counts, `window` its name; queue_start_s to queue_end_s the one
in which the batch is full and requests wait. Where either is not there its start is null. `no_window`: why there is
none that counts. `filled`: how many requests fill the batch. Seconds from the start of the point's load."""

SIZES = pl.Schema({"key": pl.UInt32, "load": pl.String, "max_batch_size": pl.Int64, "begun": pl.Int64})
"""One row a point: its load, its cap, and how many of its requests were begun in the middle."""

STATIONARY, WHOLE = "stationary", "whole"
"""Names of windows: a stretch in which the load is the same throughout, which is cut into blocks, and all of a point,
its ramp and drain included, which is one."""


class Arrivals(Protocol):
    """Decides when requests are submitted, of one point."""

    @property
    def waiting(self) -> int:
        """How many are not submitted for want of room: those that nothing but room keeps back."""

    def due(self, now_s: float, room: int) -> Sequence[float]:
        """When the requests that are to be submitted by now were due, in order; each is told once.

        `now_s`: seconds since the load began. `room`: how many more may be in flight.
        """

    def next_s(self) -> float | None:
        """When the next one is due, in seconds since the load began; None where room decides, or nothing is left."""


class Load(Protocol):
    """One load: its arrivals, its windows, and when it is more than can be served."""

    needs: tuple[str, ...]
    """Coordinates of a Setting that it needs, beside max_batch_size."""
    counts: bool
    """Whether a point ends when all its requests have been served; else the sweep's protocol ends it."""
    ends_overloaded: bool
    """Whether a point that is overloaded is the last of its sweep."""

    def arrivals(self, setting: Setting, requests: int, seed: int, repeat: int) -> Arrivals:
        """Of a point of so many `requests`; random ones are drawn of `seed` and `repeat`."""

    def windows(self, iterations: pl.LazyFrame, sizes: pl.LazyFrame, requests: pl.LazyFrame) -> pl.LazyFrame:
        """WINDOWS of points of this load: one row a key of `sizes` (SIZES).

        `iterations`: key, end_s, running, waiting, finished, first_tokens, in the order of time; `requests`: key,
        submitted_s, finished_s.
        """

    def overloaded(self, iterations: pl.DataFrame, requests: pl.DataFrame, batch: int, begun: int) -> str | None:
        """Why a point is more than can be served, None where it is not.

        `iterations`, `requests`: records.ITERATIONS and REQUESTS of one point; `batch` its cap, `begun` how many
        requests were begun in the middle.
        """
