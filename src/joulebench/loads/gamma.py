"""Arrivals at a rate, with gaps of a gamma distribution; with the shape 1, its burstiness, a Poisson process.

The gaps have the mean 1 / rate and the variance 1 / (burstiness rate^2): under 1 requests come in bursts, above 1
more evenly (`burstiness` as in vLLM's own serving benchmark). Drawn ones are stretched so that their mean is 1 / rate
exactly, as that benchmark does too: few gaps would else miss the rate by much. The same seed gives the same arrivals at
every rate, only faster, so that points differ by the rate alone. Who has come when B are in flight waits.

The window is stationary: it opens WARMUP mean latencies after the first arrival, when those that came into an empty
engine have gone, and closes with the last arrival, after which the batch empties.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from joulebench.loads.base import STATIONARY, WINDOWS
from joulebench.loads.setting import Setting

STREAM = 0x61727276
"""Keeps these draws apart from those of the serving order."""

WARMUP = 3.0
"""Mean latencies: of exponential service times, 1 - e^-3 = 95 % of those in service at the end came after the start."""

MOST_WAITING, ALWAYS_ALLOWED = 0.05, 5
"""Of all requests, and how many in any case: where more wait when the last one comes, the queue grew, and would have
gone on."""


class Gaps:
    """The first request comes when the load begins."""

    waiting = 0

    def __init__(self, requests: int, rate_per_s: float, burstiness: float, seed: Sequence[int]) -> None:
        gaps = np.random.default_rng(list(seed)).gamma(burstiness, 1 / (rate_per_s * burstiness), requests)
        gaps[0] = 0.0
        if requests > 1:
            gaps *= (requests - 1) / (rate_per_s * gaps.sum())
        self._times = np.cumsum(gaps).tolist()
        self._given = 0

    def due(self, now_s: float, room: int) -> Sequence[float]:
        first = self._given
        while self._given < len(self._times) and self._times[self._given] <= now_s:
            self._given += 1
        found: list[float] = self._times[first : self._given]
        return found

    def next_s(self) -> float | None:
        return float(self._times[self._given]) if self._given < len(self._times) else None


class Gamma:
    needs: tuple[str, ...] = ("requests", "rate_per_s", "burstiness")
    counts = True
    ends_overloaded = False

    def arrivals(self, setting: Setting, requests: int, seed: int, repeat: int) -> Gaps:
        assert setting.rate_per_s is not None
        return Gaps(requests, setting.rate_per_s, setting.burstiness or 1.0, [seed, STREAM, repeat])

    def windows(self, iterations: pl.LazyFrame, sizes: pl.LazyFrame, requests: pl.LazyFrame) -> pl.LazyFrame:
        latency_s = (pl.col("finished_s") - pl.col("submitted_s")).mean()
        came = requests.group_by("key").agg(last_s=pl.col("submitted_s").max(), warm_s=WARMUP * latency_s)
        end, last_s, warm_s = pl.col("end_s"), pl.col("last_s"), pl.col("warm_s")
        found = (
            iterations.join(came, on="key", how="left", maintain_order="left")
            .group_by("key", maintain_order=True)
            .agg(
                opens_s=end.filter(end >= warm_s).first(),
                end_s=end.filter(end <= last_s).last(),
                filled=pl.col("running").max().cast(pl.Int64),
                last_s=last_s.first(),
                warm_s=warm_s.first(),
            )
        )
        start = pl.when(pl.col("opens_s") < pl.col("end_s")).then("opens_s")
        why = (
            pl.when(pl.col("filled").is_null())
            .then(pl.lit("no iterations were recorded"))
            .when(pl.col("warm_s").is_null())
            .then(pl.lit("no request finished"))
            .otherwise(
                pl.format(
                    f"requests came for {{}} s, {WARMUP:g} mean latencies are {{}} s",
                    *(pl.col(name).round(3) for name in ("last_s", "warm_s")),
                )
            )
        )
        none = pl.lit(None, pl.Float64)
        return (
            sizes.select("key")
            .join(found, on="key", how="left", maintain_order="left")
            .with_columns(
                start_s=start,
                queue_start_s=none,
                queue_end_s=none,
                no_window=pl.when(start.is_null()).then(pl.format("no stationary window: {}", why)),
                window=pl.lit(STATIONARY),
            )
            .select(*WINDOWS)
        )

    def overloaded(self, iterations: pl.DataFrame, requests: pl.DataFrame, batch: int, begun: int) -> str | None:
        """More than MOST_WAITING wait when the last one comes."""
        last_s = requests["submitted_s"].max()
        until = iterations.filter(pl.col("end_s") <= last_s)
        unfinished = requests.filter(pl.col("finished_s").is_null() | (pl.col("finished_s") > last_s)).height
        waiting = max(int(until["waiting"].tail(1).sum()), unfinished - batch)
        if waiting <= max(ALWAYS_ALLOWED, MOST_WAITING * requests.height):
            return None
        return f"{waiting} of {requests.height} requests waiting when the last one came: the queue grows"


class Poisson(Gamma):
    """Of the shape 1: the arrivals of a Poisson process at a rate."""

    needs: tuple[str, ...] = ("requests", "rate_per_s")
