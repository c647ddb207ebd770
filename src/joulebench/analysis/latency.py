"""How long people wait: quantiles over the same window as the energy, each with a 95 % interval.

Quantiles are weighted: the smallest value whose cumulative weight reaches q times the total. Requests weigh 1 each, so
that theirs are by nearest rank: the smallest value whose rank is at least q n. None lies between two measured values.

Intervals are by sectioning: the window is cut into k = 5 sections of equal time, long enough to depend on each other
but little. With Q the quantile of the whole window and Q_i that of section i, the half-width is

    t(0.975, k - 1) sqrt(sum (Q_i - Q)^2 / (k (k - 1)))

It is null where a section has fewer than 1 / (1 - q) observations (2 for p50, 10, 20, 100 for p99): its largest value
would pass for the quantile, or nothing was observed in it. On exponential values of an autocorrelation up to 0.5 it
covers in 92 to 96 % of the cases at every quantile; of 0.9, from 1,000 values on, in 93 to 95 % up to p95, and in 89 to
92 % at p99 (benchmarks/quantiles.py).

Sectioning: Asmussen and Glynn, Stochastic Simulation (2007), section III.5a; of quantiles: Nakayama, Confidence
Intervals for Quantiles Using Sectioning When Applying Variance-Reduction Techniques, ACM TOMACS 24:4 (2014).
"""

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtrit

from joulebench.analysis.keyed import KEY, by_key, known_of
from joulebench.loads.stretch import beside, inside
from joulebench.tables.columns import BOUNDS, QUANTILES

SECTIONS = 5
_T = float(stdtrit(SECTIONS - 1, 0.975))
_Q = np.array(QUANTILES)

Floats = NDArray[np.float64]


def inter_token_latency(served: pl.DataFrame) -> pl.DataFrame:
    """key, itl_p50_s, itl_p50_low_s, itl_p50_high_s ...: times between two tokens of an answer, one of them in each.

    Where a token's own is recorded (token_gaps_s), that; else its iteration's duration, which weighs as many tokens as
    opened no answer. `served`: the iterations inside the windows (key, end_s, w0, w1, duration_s, output_tokens,
    first_tokens, token_gaps_s). Null where any weight is unknown, or all are 0.
    """
    weight, gaps = pl.col("output_tokens").cast(pl.Int64) - pl.col("first_tokens"), pl.col("token_gaps_s")
    observed = served.filter(gaps.is_null()).select("key", _section("end_s"), value="duration_s", weight=weight)
    told = served.filter(gaps.list.len() > 0).select("key", _section("end_s"), value="token_gaps_s", weight=1)
    if not told.is_empty():
        rows = told.explode("value").with_columns(pl.col("value").cast(pl.Float64), pl.col("weight").cast(pl.Int64))
        observed = pl.concat([observed, rows]).sort("key", maintain_order=True)
    return _quantiles(observed, "itl")


def batch_latency(batches: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """key, latency_p50_s ...: durations of the batches after the warm-up, weighted by their outputs.

    `batches`: records.BATCHES with key; `windows`: key, start_s, end_s.
    """
    rows = inside(batches.filter(~pl.col("warmup")), windows)
    value = pl.col("end_s") - pl.col("start_s")
    return _quantiles(rows.select("key", _section("end_s"), value=value, weight="outputs"), "latency")


def request_latency(requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Quantiles of the requests of a text point: key, ttft_p50_s ..., submission_ttft, tpot, latency; and ttft_told.

    ttft_told: how many first outputs in the window were recorded, of which TTFT is told. An engine that tells them at a
    request's end alone leaves out those of the requests that were aborted, and the longest waits with them.
    ttft and submission_ttft: from admission and from submission to the first output, of requests whose first
    output lies in the window. tpot: (finish - first output) / (output tokens - 1), of finished requests of more
    than one token, and latency: from submission to finish, of finished ones, both where the finish lies in the
    window. Requests that were begun in the middle (begun_output_tokens) are left out: their first token lies before
    the window. As long as any of them is in flight, whole requests that finish are short above all, so that latency is
    of the rest of the window. `requests`: records.REQUESTS with key; `windows`: key, start_s, end_s. A
    metric is null where nothing of it lies in the window, or a time that it needs was not recorded.
    """
    bounds = windows.filter(pl.col("start_s").is_not_null()).select("key", w0="start_s", w1="end_s")
    whole, first, done = pl.col("begun_output_tokens").is_null(), pl.col("first_output_s"), pl.col("finished_s")
    opened = whole & (first > pl.col("w0")) & (first <= pl.col("w1"))
    ended = whole & (pl.col("status") == "finished") & (done > pl.col("w0")) & (done <= pl.col("w1"))
    placed = beside(requests.lazy().select("key", *_TIMED), bounds.lazy())
    rows = beside(placed.filter(opened | ended), _cleared(requests))
    rest_s, tokens = pl.max_horizontal("w0", "cleared_s"), pl.col("output_tokens")
    samples = {
        "ttft": (first - pl.col("admitted_s"), opened, _section("first_output_s")),
        "submission_ttft": (first - pl.col("submitted_s"), opened, _section("first_output_s")),
        "tpot": ((done - first) / (tokens - 1), ended & (tokens > 1), _section("finished_s")),
        "latency": (done - pl.col("submitted_s"), ended & (done > rest_s), _section("finished_s", rest_s)),
    }
    columns = []
    for name, (value, wanted, section) in samples.items():
        columns += [value.alias(name), pl.when(wanted).then(section).alias(f"{name}_section")]
    observed = rows.select("key", *columns).collect()
    told = observed.filter(pl.col("ttft_section").is_not_null()).group_by("key").agg(ttft_told=pl.len())
    of = {name: observed.select("key", section=f"{name}_section", value=name) for name in samples}
    return known_of(bounds.select("key"), told, *(_quantiles(values, name) for name, values in of.items()))


def _cleared(requests: pl.DataFrame) -> pl.LazyFrame:
    """key, cleared_s: of the points that have requests begun in the middle, when the last of them had finished."""
    done = pl.col("finished_s")
    begun = requests.lazy().filter(pl.col("begun_output_tokens").is_not_null())
    return begun.group_by("key").agg(cleared_s=pl.when(done.null_count() == 0).then(done.max()).otherwise(math.inf))


_TIMED = (
    *("submitted_s", "admitted_s", "first_output_s", "finished_s"),
    *("status", "output_tokens", "begun_output_tokens"),
)
"""Of a request, what tells how long it waited."""


def _section(at_s: str, start: pl.Expr | None = None) -> pl.Expr:
    """In which section of its window (w0, w1], or of the rest of it from `start` on, the time `at_s` lies, 0 to 4."""
    w0 = pl.col("w0") if start is None else start
    share = (pl.col(at_s) - w0) / (pl.col("w1") - w0)
    return (share * SECTIONS).ceil().clip(1, SECTIONS).alias("section") - 1


def _quantiles(observed: pl.DataFrame, name: str) -> pl.DataFrame:
    """key, {name}_p50_s, {name}_p50_low_s, {name}_p50_high_s ... of `observed` (key, section, value, maybe weight).

    Rows without a section are not of the metric. Null where any value or weight of the key is null, or the weights
    sum to 0.
    """
    rows = []
    of_metric = observed.filter(pl.col("section").is_finite())
    for key, of in by_key(of_metric, observed.columns[1:]):
        figure, half_width = _sectioned(of["section"], of["value"], of.get("weight"))
        rows.append((key, *np.stack([figure, figure - half_width, figure + half_width], axis=1).ravel().tolist()))
    names = [f"{name}_p{q}{bound}_s" for q in QUANTILES for bound in BOUNDS]
    table = pl.DataFrame(rows, schema={"key": KEY, **dict.fromkeys(names, pl.Float64)}, orient="row")
    return table.with_columns(pl.col(names).fill_nan(None))


def _sectioned(section: Floats, value: Floats, weight: Floats | None) -> tuple[Floats, Floats]:
    """The quantiles of a window and their half-widths; NaN where unknown."""
    unknown = np.full(_Q.size, np.nan)
    if not np.isfinite(value).all():
        return unknown, unknown
    if weight is not None:
        if not (np.isfinite(weight).all() and weight.sum() > 0):
            return unknown, unknown
        weighs = weight > 0
        section, value, weight = section[weighs], value[weighs], weight[weighs]
        order = np.argsort(value)
        section, value, weight = section[order], value[order], weight[order]
    figure = _reached(value, weight)
    number = section.astype(np.int8)
    sizes = np.bincount(number, minlength=SECTIONS)
    known = sizes.min() * (100 - _Q) >= 100
    if not known.any():
        return figure, unknown
    order = np.argsort(number, kind="stable")
    value, weight = value[order], None if weight is None else weight[order]
    ends = np.cumsum(sizes)
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    found = np.array([_reached(value[part], None if weight is None else weight[part]) for part in parts])
    squares = np.square(found - figure).sum(axis=0)
    return figure, np.where(known, _T * np.sqrt(squares / (SECTIONS * (SECTIONS - 1))), np.nan)


def _reached(value: Floats, weight: Floats | None) -> Floats:
    """The values whose cumulative weight reaches each quantile's share; in rising order where they have weights."""
    found: Floats
    if weight is None:
        ranks = -(-_Q * value.size // 100) - 1
        found = np.partition(value, ranks)[ranks]
    else:
        cumulative = np.cumsum(weight)
        found = value[np.searchsorted(100 * cumulative, _Q * cumulative[-1])]
    return found
