"""The stretch of a point that counts, and what was served in it.

A window (w0, w1] is bounded by the ends of two iterations. What an iteration did belongs to the window when
w0 < end_s <= w1. With B the maximum batch size, and the batch filled at min(B, the most that ever ran):

- queue: from the end of the first iteration with the batch filled to the end of the last with requests waiting.
- stationary: the queue window after one full turnover, from the iteration on at which as many requests had
  finished as fill the batch. Before it all requests are young, their contexts short, and each token cheap.
  With a start in equilibrium (measure/equilibrium.py) there is no queue window, and the stationary one opens as
  `Opening` says.
- batches (diffusion): from the start of the first batch after the warm-up to the end of the last.
"""

import polars as pl

from joulebench.analysis.keyed import KEY, whole_sum

FILLED = 0.95
"""Share of the maximum batch size under which memory, not the cap, limits the batch."""

MOST_ENDED = 0.5
"""Of the requests that a start in equilibrium begins with: where more have ended before the last of them begins, the
places are no longer as it found them, and one turnover is waited for."""


class Opening:
    """When the load of a start in equilibrium is stationary, told iteration by iteration; `text_windows` has the same.

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


SHORT_WINDOW_S = 10.0
BLOCK_S, SHORTEST_BLOCK_S, SHORT_WINDOW_BLOCKS = 1.0, 0.25, 10


def text_windows(iterations: pl.LazyFrame, sizes: pl.LazyFrame) -> pl.LazyFrame:
    """Bounds of the queue and the stationary window.

    `iterations`: key, end_s, running, waiting, finished, first_tokens, in the order of time. `sizes`: key,
    max_batch_size, begun (how many requests were begun in the middle).
    One row a key of `sizes`: key, queue_start_s, start_s (stationary), end_s (of both), where a window is empty
    its start null; `no_window`, why there is no stationary window, null where there is one; and `filled`, how many
    requests fill the batch.
    """
    end, filled = pl.col("end_s"), pl.min_horizontal(pl.col("max_batch_size").first(), pl.col("running").max())
    found = (
        iterations.join(sizes, on="key", how="left", maintain_order="left")
        .group_by("key", maintain_order=True)
        .agg(
            filled_s=end.filter(pl.col("running") >= filled).first(),
            waited_s=end.filter(pl.col("waiting") > 0).last(),
            turned_s=end.filter(pl.col("finished").cast(pl.Int64).cum_sum() >= filled).first(),
            finished=pl.col("finished").cast(pl.Int64).sum(),
            filled=filled,
        )
        .join(_openings(iterations, sizes), on="key", how="left", maintain_order="left")
        .with_columns(turned_s=pl.when(pl.col("begun") > 0).then("opened_s").otherwise("turned_s"))
    )
    waited = pl.col("waited_s") > pl.when(pl.col("begun") > 0).then(0.0).otherwise("filled_s")
    queue = pl.when(waited & pl.col("begun").is_null()).then(pl.col("filled_s"))
    turned = pl.when(pl.col("begun") > 0).then("turned_s").otherwise(pl.max_horizontal("filled_s", "turned_s"))
    stationary = pl.when(pl.col("turned_s").is_not_null() & (pl.col("waited_s") > turned)).then(turned)
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
        .with_columns(queue_start_s=queue, start_s=stationary)
        .select(
            "key",
            "queue_start_s",
            "start_s",
            end_s=pl.when(waited).then(pl.col("waited_s")),
            no_window=pl.when(pl.col("start_s").is_null()).then(pl.format("no stationary window: {}", why)),
            filled="filled",
        )
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


def one_size(batch: int, begun: int = 0) -> pl.LazyFrame:
    """The `sizes` of `text_windows` for one point, of key 0."""
    schema = {"key": KEY, "max_batch_size": pl.Int64, "begun": pl.Int64}
    return pl.LazyFrame({"key": [0], "max_batch_size": [batch], "begun": [begun]}, schema=schema)


def with_durations(iterations: pl.LazyFrame) -> pl.LazyFrame:
    """`iterations` with `duration_s`, from the end of the one before it in its point; null for a point's first."""
    same = pl.col("key") == pl.col("key").shift()
    return iterations.with_columns(duration_s=pl.when(same).then(pl.col("end_s") - pl.col("end_s").shift()))


def inside(rows: pl.LazyFrame, windows: pl.LazyFrame, start: str = "start_s") -> pl.LazyFrame:
    """The rows (key, end_s) of the windows (key, `start`, end_s), with the columns w0 and w1 added."""
    bounds = windows.filter(pl.col(start).is_not_null()).select("key", w0=start, w1="end_s")
    return rows.join(bounds, on="key", how="left", maintain_order="left").filter(
        (pl.col("end_s") > pl.col("w0")) & (pl.col("end_s") <= pl.col("w1"))
    )


def queue_tokens(iterations: pl.LazyFrame, windows: pl.LazyFrame) -> pl.LazyFrame:
    """key, queue_output_tokens."""
    return (
        inside(iterations.select("key", "end_s", pl.col("output_tokens").cast(pl.Int64)), windows, "queue_start_s")
        .group_by("key", maintain_order=True)
        .agg(queue_output_tokens=whole_sum("output_tokens"))
    )


def blocks(served: pl.LazyFrame) -> pl.LazyFrame:
    """Cut the rows inside windows (with w0, w1) at iteration ends into blocks, of which intervals are told.

    Blocks are of about 1 s; in windows under 10 s, of a tenth of the window, but never under 0.25 s. What is
    left over at the end joins the last block. Where all requests of a batch finish together, the batches are the
    blocks: a part of one says nothing of the whole. One row a block that holds an iteration: key, block, end_s,
    output_tokens, prompt_tokens, finished, running_s (time integral of `running`), duration_s.
    """
    length = pl.col("w1") - pl.col("w0")
    short = length < SHORT_WINDOW_S
    tenth = length / SHORT_WINDOW_BLOCKS
    smallest = tenth < SHORTEST_BLOCK_S
    block_s = pl.when(~short).then(BLOCK_S).when(smallest).then(SHORTEST_BLOCK_S).otherwise(tenth)
    count = pl.when(short & ~smallest).then(float(SHORT_WINDOW_BLOCKS)).otherwise((length / block_s).floor()).clip(1.0)
    block = pl.min_horizontal(((pl.col("end_s") - pl.col("w0")) / block_s).floor(), count - 1).cast(pl.Int32)
    emptied = (pl.col("finished") > 0) & (pl.col("finished") == pl.col("running"))
    batch = emptied.cast(pl.Int32).cum_sum().shift(1, fill_value=0).over("key")
    together = _together(served)
    if not together.is_empty():
        served = served.join(together.lazy(), on="key", how="left", maintain_order="left")
        block = (
            pl.when(pl.col("batches").is_null()).then(block).otherwise(pl.min_horizontal(batch, pl.col("batches") - 1))
        )
    return (
        served.select(
            "key",
            "end_s",
            "duration_s",
            pl.col("output_tokens", "prompt_tokens", "finished").cast(pl.Int64),
            running_s=pl.col("running") * pl.col("duration_s"),
            block=block,
        )
        .group_by("key", "block", maintain_order=True)
        .agg(
            pl.col("end_s").last(),
            *(whole_sum(name) for name in ("output_tokens", "prompt_tokens", "finished", "running_s", "duration_s")),
        )
    )


def _together(served: pl.LazyFrame) -> pl.DataFrame:
    """key, batches: the keys in which all requests of a batch finish together, and how many batches each has."""
    ends, running = pl.col("finished") > 0, pl.col("running")
    emptied = ends & (pl.col("finished") == running)
    steady = (running.min() == running.max()) & (running.max() > 1)
    found = served.group_by("key").agg(
        together=steady & emptied.any() & (emptied == ends).all(), batches=emptied.sum().cast(pl.Int32)
    )
    return found.filter("together").drop("together").collect()


def batch_windows(batches: pl.LazyFrame, keys: pl.LazyFrame) -> pl.LazyFrame:
    """Bounds of the window of a diffusion point: key, start_s, end_s, no_window.

    `batches`: key, start_s, end_s, warmup, in the order of time; `keys`: key, one row each in the result.
    """
    found = (
        batches.filter(~pl.col("warmup"))
        .group_by("key", maintain_order=True)
        .agg(pl.col("start_s").first(), pl.col("end_s").last())
    )
    why = pl.lit("no window: no batch after the warm-up was recorded")
    return (
        keys.select("key")
        .join(found, on="key", how="left", maintain_order="left")
        .with_columns(no_window=pl.when(pl.col("start_s").is_null()).then(why))
    )


def batch_blocks(batches: pl.LazyFrame) -> pl.LazyFrame:
    """One block a batch after the warm-up, from the end of the one before: key, block, end_s, outputs."""
    return batches.filter(~pl.col("warmup")).select(
        "key", "end_s", pl.col("outputs").cast(pl.Int64), block=pl.int_range(pl.len()).over("key")
    )


def overloaded(iterations: pl.DataFrame, batch: int, begun: int = 0) -> tuple[bool, float]:
    """Whether memory, not the cap, limits the batch, and the mean of `running` by which that was told.

    `iterations` holds one point (records.ITERATIONS, in the order of time), `batch` its maximum batch size.
    The mean is weighted by time, over the queue window or, with requests that were `begun` in the middle, over the
    stationary one; overloaded is one under 0.95 `batch`.
    Without a queue window no request waited once the batch had filled, so nothing limited it: the mean is then over the
    whole point, NaN for a point without two iterations, and the verdict is False.
    """
    rows = iterations.lazy().with_columns(key=pl.lit(0, KEY))
    windows = text_windows(rows, one_size(batch, begun)).collect()
    start = "start_s" if begun else "queue_start_s"
    queue = windows[start].item() is not None
    timed = with_durations(rows)
    served = (inside(timed, windows.lazy(), start) if queue else timed).filter(pl.col("duration_s").is_not_null())
    weighted = (pl.col("running") * pl.col("duration_s")).sum() / pl.col("duration_s").sum()
    mean = float(served.select(weighted).collect().item())
    return queue and mean < FILLED * batch, mean
