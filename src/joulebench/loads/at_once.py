"""All requests at once: N are there when the point begins, and at most B of them are in flight.

The window is the whole of the point, from the first submission to the end of the last answer: its ramp, in which
answers are young, and its drain, in which the batch empties, are part of what N requests cost. The stretch with the
batch full and requests waiting is the queue window, beside it.
"""

from collections.abc import Sequence

import polars as pl

from joulebench.loads.base import WHOLE, WINDOWS
from joulebench.setting import Setting


class _Arrivals:
    """See loads.base.Arrivals."""

    waiting = 0

    def __init__(self, requests: int) -> None:
        self._left = requests

    def due(self, now_s: float, room: int) -> Sequence[float]:
        count, self._left = self._left, 0
        return [now_s] * count

    def next_s(self) -> float | None:
        return None


class AtOnce:
    """See loads.base.Load."""

    needs: tuple[str, ...] = ("requests",)
    counts = True
    ends_overloaded = False

    def arrivals(self, setting: Setting, requests: int, seed: int, repeat: int) -> _Arrivals:
        """See loads.base.Load."""
        return _Arrivals(requests)

    def windows(self, iterations: pl.LazyFrame, sizes: pl.LazyFrame, requests: pl.LazyFrame) -> pl.LazyFrame:
        """See loads.base.Load."""
        end, filled = pl.col("end_s"), pl.min_horizontal(pl.col("max_batch_size").first(), pl.col("running").max())
        found = (
            iterations.join(sizes, on="key", how="left", maintain_order="left")
            .group_by("key", maintain_order=True)
            .agg(
                filled_s=end.filter(pl.col("running") >= filled).first(),
                queue_end_s=end.filter(pl.col("waiting") > 0).last(),
                end_s=end.last(),
                filled=filled.cast(pl.Int64),
            )
        )
        queue = pl.when(pl.col("queue_end_s") > pl.col("filled_s")).then("filled_s")
        return (
            sizes.select("key")
            .join(found, on="key", how="left", maintain_order="left")
            .with_columns(
                queue_start_s=queue,
                start_s=pl.when(pl.col("end_s").is_not_null()).then(0.0),
                no_window=pl.when(pl.col("end_s").is_null()).then(pl.lit("no window: no iterations were recorded")),
                window=pl.lit(WHOLE),
            )
            .select(*WINDOWS)
        )

    def overloaded(self, iterations: pl.DataFrame, requests: pl.DataFrame, batch: int, begun: int) -> str | None:
        """See loads.base.Load: never, since nobody else comes."""
        return None
