"""Stretches of a point's iterations: how long each took, when the batch was full, rows inside bounds."""

import numpy as np
import polars as pl


def beside(rows: pl.LazyFrame, known: pl.LazyFrame) -> pl.LazyFrame:
    """`rows` (key, in rising order) with what is `known` of their keys, one row each; null where nothing is."""
    return rows.join(known, on="key", how="left", maintain_order="left").with_columns(pl.col("key").set_sorted())


def with_durations(iterations: pl.LazyFrame) -> pl.LazyFrame:
    """`iterations` with `duration_s`, from the end of the one before it in its point, or the point's start."""
    before = pl.when(pl.col("key") == pl.col("key").shift()).then(pl.col("end_s").shift()).otherwise(0.0)
    return iterations.with_columns(duration_s=pl.col("end_s") - before)


def full_batch() -> dict[str, pl.Expr]:
    """Of the iterations of one point (running, waiting, end_s, max_batch_size): when its batch was full.

    filled: how many requests fill it; filled_s: the end of the first iteration with so many; waited_s: of the last with
    requests waiting.
    """
    end, filled = pl.col("end_s"), pl.min_horizontal(pl.col("max_batch_size").first(), pl.col("running").max())
    return {
        "filled": filled,
        "filled_s": end.filter(pl.col("running") >= filled).first(),
        "waited_s": end.filter(pl.col("waiting") > 0).last(),
    }


def inside(
    rows: pl.DataFrame, windows: pl.DataFrame, start: str = "start_s", end: str = "end_s", at: str = "end_s"
) -> pl.DataFrame:
    """The rows whose time `at` lies in their key's window (`start`, `end`], with its bounds as columns w0 and w1.

    `rows`: key, in rising order, and `at`; `windows`: one row a key that has one, null bounds where it has no window.
    """
    bounds = windows.lazy().select("key", w0=start, w1=end)
    keys = rows["key"].rle().struct.unnest()
    found = keys.lazy().join(bounds, left_on="value", right_on="key", how="left", maintain_order="left").collect()
    w0, w1 = (pl.Series(name, np.repeat(found[name].to_numpy(), found["len"].to_numpy())) for name in ("w0", "w1"))
    bounded = pl.col("w0").is_not_nan() & pl.col("w1").is_not_nan()
    within = bounded & (pl.col(at) > pl.col("w0")) & (pl.col(at) <= pl.col("w1"))
    return rows.with_columns(w0, w1).filter(within)
