"""A closed loop: B requests are kept in flight until the queue of requests is empty.

A window (w0, w1] is bounded by the ends of two iterations. With B the maximum batch size, and the batch filled at
min(B, the most that ever ran):

- queue: from the end of the first iteration with the batch filled to the end of the last with requests waiting.
- stationary: the queue window after one full turnover, from the iteration on at which as many requests had
  finished as fill the batch. Before it all requests are young, their contexts short, and each token cheap.
  With a start in equilibrium (measure/equilibrium.py) there is no queue window, and the stationary one opens as
  `Opening` says.
"""

from collections.abc import Sequence

import polars as pl

from joulebench.loads.base import SIZES, STATIONARY, WINDOWS
from joulebench.loads.setting import CLOSED_LOOP, Setting
from joulebench.loads.stretch import beside, full_batch, inside, with_durations

FILLED = 0.95
"""Share of the maximum batch size under which memory, not the cap, limits the batch."""

MOST_ENDED = 0.5
"""Of the requests that a start in equilibrium begins with: where more have ended before the last of them begins, the
places are no longer as it found them, and one turnover is waited for."""


class Opening:
    """When the load of a start in equilibrium is stationary, told iteration by iteration; `_openings` has the same.

    That is with the first token of the last request that was begun in the middle. It is a turnover later where more
    than MOST_ENDED of the batch size had finished by then, or where the batch had never been FILLED: as many further
    requests have to finish as the most that ever ran.
    """

    def __init__(self, begun: int) -> None:
        self._begun = begun
        self._first_tokens = self._finished = self._most = 0
        self._further: int | None = None
        """How many have to finish in all; None until the last has begun."""

    def towards(self, running: int, first_tokens: int, finished: int) -> float:
        """How much is done, 1 at the opening; of one iteration: running, first tokens, requests finished."""
        self._first_tokens += first_tokens
        self._finished += finished
        self._most = max(self._most, running)
        if self._further is None and self._first_tokens >= self._begun:
            late = self._finished > MOST_ENDED * self._begun or self._most < FILLED * self._begun
            self._further = self._finished + (self._most if late else 0)
        if self._further is None:
            return 0.5 * self._first_tokens / self._begun
        return 1.0 if self._finished >= self._further else 0.5 + 0.5 * self._finished / self._further


class _Arrivals:
    """Whoever ends makes room for another."""

    def __init__(self, requests: int) -> None:
        self.waiting = requests

    def due(self, now_s: float, room: int) -> Sequence[float]:
        count = min(room, self.waiting)
        self.waiting -= count
        return [now_s] * count

    def next_s(self) -> float | None:
        return None


class ClosedLoop:
    needs: tuple[str, ...] = ()
    counts = False
    ends_overloaded = True

    def arrivals(self, setting: Setting, requests: int, seed: int, repeat: int) -> _Arrivals:
        return _Arrivals(requests)

    def windows(self, iterations: pl.LazyFrame, sizes: pl.LazyFrame, requests: pl.LazyFrame) -> pl.LazyFrame:
        return _windows(iterations, sizes)

    def overloaded(self, iterations: pl.DataFrame, requests: pl.DataFrame, batch: int, begun: int) -> str | None:
        """The batch is not FILLED while others wait."""
        limited, running = overloaded(iterations, batch, begun)
        return f"{running:.3g} of {batch} requests running on average while others wait" if limited else None


def _windows(iterations: pl.LazyFrame, sizes: pl.LazyFrame) -> pl.LazyFrame:
    full, finished = full_batch(), pl.col("finished").cast(pl.Int64)
    found = (
        beside(iterations, sizes.select("key", "max_batch_size"))
        .group_by("key", maintain_order=True)
        .agg(
            **full,
            turned_s=pl.col("end_s").filter(finished.cum_sum() >= full["filled"]).first(),
            finished=finished.sum(),
        )
        .join(_openings(iterations, sizes), on="key", how="left", maintain_order="left")
        .with_columns(turned_s=pl.when(pl.col("begun") > 0).then("opened_s").otherwise("turned_s"))
    )
    waited = pl.col("waited_s") > pl.when(pl.col("begun") > 0).then(0.0).otherwise("filled_s")
    queue = pl.when(waited & pl.col("begun").is_null()).then(pl.col("filled_s"))
    turned = pl.when(pl.col("begun") > 0).then("turned_s").otherwise(pl.max_horizontal("filled_s", "turned_s"))
    stationary = pl.when(pl.col("turned_s").is_not_null() & (pl.col("waited_s") > turned)).then(turned)
    until = pl.when(waited).then("waited_s")
    why = (
        pl.when(pl.col("filled").is_null())
        .then(pl.lit("no iterations were recorded"))
        .when(waited.not_().fill_null(True))
        .then(pl.lit("no request waited once the batch had filled"))
        .when(pl.col("turned_s").is_null() & (pl.col("begun") > 0))
        .then(
            pl.format(
                "{} of {} requests begun in the middle got their first token, {} finished",
                *("first_tokens", "begun", "finished"),
            )
        )
        .when(pl.col("turned_s").is_null())
        .then(pl.format("{} requests finished, one turnover needs {}", "finished", "filled"))
        .otherwise(
            pl.format(
                "the load was stationary at {} s, the last request waited at {} s",
                pl.col("turned_s").round(3),
                pl.col("waited_s").round(3),
            )
        )
    )
    return (
        sizes.select("key")
        .join(found, on="key", how="left", maintain_order="left")
        .with_columns(
            pl.col("filled").cast(pl.Int64),
            queue_start_s=queue,
            queue_end_s=until,
            start_s=stationary,
            end_s=until,
            no_window=pl.when(stationary.is_null()).then(pl.format("no stationary window: {}", why)),
            window=pl.lit(STATIONARY),
        )
        .select(*WINDOWS)
    )


def _openings(iterations: pl.LazyFrame, sizes: pl.LazyFrame) -> pl.LazyFrame:
    """key, begun, first_tokens, opened_s, of the keys of which requests were begun in the middle.

    How many they were, first tokens in all, and the end of the iteration at which `Opening` comes to 1, null without.
    """
    of = iterations.join(sizes.select("key", "begun").filter(pl.col("begun") > 0), on="key", maintain_order="left")
    begun, count = pl.col("begun").first(), pl.col("finished").cast(pl.Int64).cum_sum()
    first_tokens = pl.col("first_tokens").cast(pl.Int64)
    told = first_tokens.cum_sum() >= begun
    ended, most = count.filter(told).first(), pl.col("running").cum_max().filter(told).first()
    late = (ended > MOST_ENDED * begun) | (most < FILLED * begun)
    wanted = pl.when(late).then(ended + most).otherwise(ended)
    opened_s = pl.col("end_s").filter(told & (count >= wanted)).first()
    return of.group_by("key", maintain_order=True).agg(begun=begun, first_tokens=first_tokens.sum(), opened_s=opened_s)


def overloaded(iterations: pl.DataFrame, batch: int, begun: int = 0) -> tuple[bool, float]:
    """Whether memory, not the cap, limits the batch, and the mean of `running` by which that was told.

    `iterations` holds one point (records.ITERATIONS, in the order of time), `batch` its maximum batch size.
    The mean is weighted by time, over the queue window or, with requests that were `begun` in the middle, over the
    stationary one, and over the iterations that ran anything: an empty engine is limited by no memory, and vLLM steps
    once or twice without work between answers of one token. Overloaded is a mean under 0.95 `batch`.
    Without a queue window no request waited once the batch had filled, so nothing limited it: the mean is then over the
    whole point, NaN for a point without iterations, and the verdict is False.
    """
    rows = iterations.lazy().with_columns(key=pl.lit(0, pl.UInt32))
    of = {"key": [0], "load": [CLOSED_LOOP], "max_batch_size": [batch], "begun": [begun]}
    windows = _windows(rows, pl.LazyFrame(of, schema=SIZES)).collect()
    start = "start_s" if begun else "queue_start_s"
    queue = windows[start].item() is not None
    timed = with_durations(rows).collect()
    served = (inside(timed, windows, start) if queue else timed).filter(pl.col("running") > 0)
    weighted = (pl.col("running") * pl.col("duration_s")).sum() / pl.col("duration_s").sum()
    mean = float(served.select(weighted).item())
    return queue and mean < FILLED * batch, mean
