"""Stretches of a point's iterations: rows inside bounds, and how long each iteration took."""

import polars as pl


def with_durations(iterations: pl.LazyFrame) -> pl.LazyFrame:
    """`iterations` with `duration_s`, from the end of the one before it in its point, or the point's start."""
    before = pl.when(pl.col("key") == pl.col("key").shift()).then(pl.col("end_s").shift()).otherwise(0.0)
    return iterations.with_columns(duration_s=pl.col("end_s") - before)


def inside(rows: pl.LazyFrame, windows: pl.LazyFrame, start: str = "start_s", end: str = "end_s") -> pl.LazyFrame:
    """The rows (key, end_s) of the windows (key, `start`, `end`), with the columns w0 and w1 added."""
    bounds = windows.filter(pl.col(start).is_not_null()).select("key", w0=start, w1=end)
    return rows.join(bounds, on="key", how="left", maintain_order="left").filter(
        (pl.col("end_s") > pl.col("w0")) & (pl.col("end_s") <= pl.col("w1"))
    )
