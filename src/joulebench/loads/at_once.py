"""All requests at once: N are there when the point begins, and at most B of them are in flight.

The window is the whole of the point, from the first submission to the end of the last answer: its ramp, in which
answers are young, and its drain, in which the batch empties, are part of what N requests cost. The stretch with the
batch full and requests waiting is the queue window, beside it.
"""

from collections.abc import Sequence

import polars as pl

from joulebench.loads.base import WHOLE, WINDOWS
from joulebench.loads.setting import Setting
from joulebench.loads.stretch import beside, full_batch


class _Arrivals:
    waiting = 0

    def __init__(self, requests: int) -> None:
        self._left = requests

    def due(self, now_s: float, room: int) -> Sequence[float]:
        count, self._left = self._left, 0
        return [now_s] * count

    def next_s(self) -> float | None:
        return None


class AtOnce:
    needs: tuple[str, ...] = ("requests",)
    counts = True
    ends_overloaded = False

    def arrivals(self, setting: Setting, requests: int, seed: int, repeat: int) -> _Arrivals:
        return _Arrivals(requests)

    def windows(self, iterations: pl.LazyFrame, sizes: pl.LazyFrame, requests: pl.LazyFrame) -> pl.LazyFrame:
        found = (
            beside(iterations, sizes.select("key", "max_batch_size"))
            .group_by("key", maintain_order=True)
            .agg(**full_batch(), last_s=pl.col("end_s").last())
        )
        known = pl.col("last_s").is_not_null()
        return (
            sizes.select("key")
            .join(found, on="key", how="left", maintain_order="left")
            .with_columns(
                pl.col("filled").cast(pl.Int64),
                queue_start_s=pl.when(pl.col("waited_s") > pl.col("filled_s")).then("filled_s"),
                queue_end_s="waited_s",
                start_s=pl.when(known).then(0.0),
                end_s="last_s",
                no_window=pl.when(~known).then(pl.lit("no window: no iterations were recorded")),
                window=pl.lit(WHOLE),
            )
            .select(*WINDOWS)
        )

    def overloaded(self, iterations: pl.DataFrame, requests: pl.DataFrame, batch: int, begun: int) -> str | None:
        """Never, since nobody else comes."""
        return None
