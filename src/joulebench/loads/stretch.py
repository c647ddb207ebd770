"""Stretches of a point's iterations: how long each took, when the batch was full, rows inside bounds."""

import polars as pl


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


def inside(rows: pl.LazyFrame, windows: pl.LazyFrame, start: str = "start_s", end: str = "end_s") -> pl.LazyFrame:
    """The rows (key, end_s) of the windows (key, `start`, `end`), with the columns w0 and w1 added."""
    bounds = windows.filter(pl.col(start).is_not_null()).select("key", w0=start, w1=end)
    return rows.join(bounds, on="key", how="left", maintain_order="left").filter(
        (pl.col("end_s") > pl.col("w0")) & (pl.col("end_s") <= pl.col("w1"))
    )
