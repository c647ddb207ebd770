"""How long people wait: quantiles over the same window as the energy.

Quantiles of requests are by nearest rank: the smallest value whose rank is at least q n. Quantiles of iterations
and batches are weighted: the smallest duration whose cumulative weight reaches q times the total. None of them
lies between two measured values.
"""

import polars as pl

from joulebench.tables import QUANTILES


def inter_token_latency(served: pl.LazyFrame) -> pl.LazyFrame:
    """key, itl_p50_s ...: iteration durations, weighted by the tokens that were not an answer's first.

    `served`: the iterations inside the windows (key, duration_s, output_tokens, first_tokens). Null where any
    weight is unknown, or all are 0.
    """
    return _weighted(served, "duration_s", pl.col("output_tokens") - pl.col("first_tokens"), "itl")


def batch_latency(batches: pl.LazyFrame) -> pl.LazyFrame:
    """key, latency_p50_s ...: durations of the batches after the warm-up, weighted by their outputs."""
    durations = batches.filter(~pl.col("warmup")).with_columns(duration_s=pl.col("end_s") - pl.col("start_s"))
    return _weighted(durations, "duration_s", pl.col("outputs"), "latency")


def request_latency(requests: pl.LazyFrame, windows: pl.LazyFrame) -> pl.LazyFrame:
    """Quantiles of the requests of a text point: key, ttft_p50_s ..., submission_ttft, tpot, latency.

    ttft and submission_ttft: from admission and from submission to the first output, of requests whose first
    output lies in the window. tpot: (finish - first output) / (output tokens - 1), of finished requests of more
    than one token, and latency: from submission to finish, of finished ones, both where the finish lies in the
    window. `requests`: records.REQUESTS with key; `windows`: key, start_s, end_s. A metric is null where nothing
    of it lies in the window, or a time that it needs was not recorded.
    """
    bounds = windows.filter(pl.col("start_s").is_not_null()).select("key", w0="start_s", w1="end_s")
    rows = requests.join(bounds, on="key", how="left", maintain_order="left")
    first, done, tokens = pl.col("first_output_s"), pl.col("finished_s"), pl.col("output_tokens")
    opened = (first > pl.col("w0")) & (first <= pl.col("w1"))
    ended = (pl.col("status") == "finished") & (done > pl.col("w0")) & (done <= pl.col("w1"))
    samples = {
        "ttft": (first - pl.col("admitted_s"), opened),
        "submission_ttft": (first - pl.col("submitted_s"), opened),
        "tpot": ((done - first) / (tokens - 1), ended & (tokens > 1)),
        "latency": (done - pl.col("submitted_s"), ended),
    }
    figures = bounds.select("key")
    for name, (value, wanted) in samples.items():
        figures = figures.join(
            _nearest_rank(rows.filter(wanted).select("key", value=value), name), on="key", how="left"
        )
    return figures


def _nearest_rank(values: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """Quantiles of `value` by key; null where any value is null."""
    value = pl.col("value")
    return values.group_by("key", maintain_order=True).agg(
        pl.when(value.null_count() == 0)
        .then(value.quantile(q / 100, interpolation="equiprobable"))
        .alias(f"{name}_p{q}_s")
        for q in QUANTILES
    )


def _weighted(rows: pl.LazyFrame, column: str, weight: pl.Expr, name: str) -> pl.LazyFrame:
    """Weighted quantiles of `column` by key; null where any weight is null, or their sum is 0."""
    value, total = pl.col("value"), pl.col("cumulative").list.last()

    def reached(q: int) -> pl.Expr:
        return pl.col("cumulative").list.eval(pl.element() * 100 >= pl.element().last() * q)

    ranked = (
        rows.select("key", value=column, weight=weight.cast(pl.Int64))
        .group_by("key", maintain_order=True)
        .agg(
            value.sort(),
            cumulative=pl.col("weight").sort_by("value").cum_sum(),
            known=pl.col("weight").null_count() == 0,
        )
    )
    return ranked.select(
        "key",
        *(
            pl.when(pl.col("known") & (total > 0))
            .then(value.list.get(reached(q).list.arg_max()))
            .alias(f"{name}_p{q}_s")
            for q in QUANTILES
        ),
    )
