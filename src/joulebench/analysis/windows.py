"""The stretch of a point that counts, and what was served in it.

A window (w0, w1] is bounded by times at which nothing is half done: the ends of two iterations, or the start of the
load. What an iteration did belongs to the window when w0 < end_s <= w1. Of text its load says which stretch counts
(joulebench.loads); of diffusion it is that from the start of the first batch after the warm-up to the end of the last.
"""

from collections.abc import Sequence

import polars as pl

from joulebench.analysis.keyed import whole_sum
from joulebench.loads import LOADS
from joulebench.loads.base import SIZES, WINDOWS
from joulebench.loads.setting import CLOSED_LOOP
from joulebench.loads.stretch import beside, inside

QUEUE = ("queue_start_s", "queue_end_s")
"""The bounds of the queue window."""

SHORT_WINDOW_S = 10.0
BLOCK_S, SHORTEST_BLOCK_S, SHORT_WINDOW_BLOCKS = 1.0, 0.25, 10


def text_windows(iterations: pl.LazyFrame, sizes: pl.LazyFrame, requests: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """loads.base.WINDOWS of text points, each as its load says: one row a key of `sizes` (loads.base.SIZES).

    `iterations` and `requests` as loads.base.Load has them; without `requests`, of closed loops.
    """
    requests = pl.LazyFrame(schema=_SUBMITTED) if requests is None else requests
    names = sizes.select(pl.col("load").unique()).collect().to_series().sort().to_list()
    if len(names) == 1:
        return LOADS[names[0]].windows(iterations, sizes, requests)
    parts = [pl.LazyFrame(schema=WINDOWS)]
    for name in names:
        own = sizes.filter(pl.col("load") == name)
        of_load = own.select("key")
        parts.append(
            LOADS[name].windows(
                iterations.join(of_load, on="key", how="semi", maintain_order="left"),
                own,
                requests.join(of_load, on="key", how="semi", maintain_order="left"),
            )
        )
    return pl.concat(parts).sort("key")


_SUBMITTED = pl.Schema({"key": pl.UInt32, "submitted_s": pl.Float64, "finished_s": pl.Float64})


def one_size(batch: int, begun: int = 0, load: str = CLOSED_LOOP) -> pl.LazyFrame:
    """The `sizes` of `text_windows` for one point, of key 0."""
    of = {"key": [0], "load": [load], "max_batch_size": [batch], "begun": [begun]}
    return pl.LazyFrame(of, schema=SIZES)


def queue_tokens(iterations: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """key, queue_output_tokens."""
    tokens = inside(iterations.select("key", "end_s", "output_tokens"), windows, *QUEUE)
    return tokens.group_by("key", maintain_order=True).agg(
        queue_output_tokens=whole_sum("output_tokens").cast(pl.Int64)
    )


def blocks(served: pl.DataFrame, whole: Sequence[int] = ()) -> pl.DataFrame:
    """Cut the rows inside windows (with w0, w1) at iteration ends into blocks, of which intervals are told.

    Blocks are of about 1 s; in windows under 10 s, of a tenth of the window, but never under 0.25 s. What is
    left over at the end joins the last block. The windows of the keys `whole` are one block each: a ramp and a drain
    are no chance, of which an interval could be told. Where all requests of a batch finish together, the batches are
    the blocks: a part of one says nothing of the whole. One row a block that holds an iteration: key, block, end_s,
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
        served = beside(served.lazy(), together.lazy()).collect()
        block = (
            pl.when(pl.col("batches").is_null()).then(block).otherwise(pl.min_horizontal(batch, pl.col("batches") - 1))
        )
    if whole:
        block = pl.when(pl.col("key").is_in(list(whole))).then(0).otherwise(block)
    return (
        served.lazy()
        .select(
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
        .collect()
    )


def _together(served: pl.DataFrame) -> pl.DataFrame:
    """key, batches: the keys in which all requests of a batch finish together, and how many batches each has."""
    ends, running = pl.col("finished") > 0, pl.col("running")
    emptied = ends & (pl.col("finished") == running)
    steady = (running.min() == running.max()) & (running.max() > 1)
    found = served.group_by("key").agg(
        together=steady & emptied.any() & (emptied == ends).all(), batches=emptied.sum().cast(pl.Int32)
    )
    return found.filter("together").drop("together")


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
