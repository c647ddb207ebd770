"""The points that a table may offer for choice, their repeats pooled, and which of them are not told apart.

The intervals of pooled repeats also hold what differs from run to run. With n repeats whose figures are x_1 .. x_n,
each with an interval of its own, of half-width h_i, the figure is their mean, and its half-width

    max( t(0.975, n - 1) s / sqrt(n),  sqrt(mean h_i^2) / sqrt(n) ),    s^2 = sum (x_i - mean)^2 / (n - 1)

The first is the interval of the mean in the balanced one-way random model, x_i = mean + run_i + error_i: s^2 has the
expectation var(run) + var(error), so nothing of the error is to be added to it (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 3). The second is what is known of the error from inside the runs, and a floor: s of two or
three repeats can be small by chance. With one repeat the interval is its own, and says nothing of another run.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from joulebench.analysis.intervals import CONFIDENCE
from joulebench.analysis.sources import cards_of_repeats
from joulebench.analysis.verdicts import NO_ENERGY, USABLE, Severity, has_severity, trusted
from joulebench.config.services import LatencyTarget
from joulebench.families import of
from joulebench.loads.setting import COORDINATES, in_words
from joulebench.tables.point import AT, SETTING

Row = Mapping[str, Any]

ENTRANT = ("task", "model", "answers")
"""What has a row of its own in the leaderboard: answers that end otherwise are other work."""
POINT = ("task", "dataset", "model", "variant", "answers", *SETTING)
"""What the repeats of one point have in common."""
NAMED = ("task", "dataset", "model", "variant", "answers", *AT)
"""The same of tables that name a point's setting alone, as pareto.csv does."""
NORMAL_QUANTILE = 1.96


def placed(points: pl.DataFrame) -> pl.DataFrame:
    """`points` (tables.SETTING) with `axis_value`, of the coordinate that the sweep varies, and `at`: it in words.

    `at` is `B = 8`, `4 requests/s`.
    """
    values = (pl.when(pl.col("axis") == axis).then(pl.col(axis).cast(pl.Float64)) for axis in COORDINATES)
    found = points.with_columns(axis_value=pl.coalesce(values))
    words = (
        None if value is None else in_words(axis, value)
        for axis, value in found.select("axis", "axis_value").iter_rows()
    )
    return found.with_columns(at=pl.Series(list(words), dtype=pl.String))


def choices(points: pl.DataFrame, publish_flagged: bool = False) -> pl.DataFrame:
    """The repeats of each point of `points` (tables.POINTS) `pooled` and `placed`, with `usable`.

    `usable`: the point has figures and its verdict is `valid`, with `publish_flagged` or flagged.
    """
    served = pl.col("status").is_in(USABLE) & pl.col("responses_per_s").is_not_null()
    return placed(pooled(points)).with_columns(usable=(served & trusted(publish_flagged)).fill_null(False))


def latency_column(task: str, target: LatencyTarget | None) -> str:
    """What latency means for a task: the column of its target; without one TPOT's median, of pictures their batch's."""
    return of(task).latency if target is None else target.column


def interval(row: Row, column: str) -> tuple[float, float]:
    """The 95 % interval of the figure `column` of a row of points: `x_j` is between `x_low_j` and `x_high_j`.

    Of a figure that has none, the estimate alone.
    """
    name, _, unit = column.rpartition("_")
    low, high = (row.get(f"{name}_{end}_{unit}") for end in ("low", "high"))
    return row[column] if low is None else low, row[column] if high is None else high


def tied(one: Row, other: Row, column: str, card_spread: float) -> bool:
    """Whether two points are not told apart in the figure `column`: their intervals have a value in common.

    Where they were measured on different cards, which may differ by `card_spread` (a share) in the same work, each
    interval is widened by half of it at either end.
    """
    share = card_spread / 2 if one.get("card") != other.get("card") else 0.0
    (low, high), (least, most) = interval(one, column), interval(other, column)
    return low * (1 - share) <= most * (1 + share) and least * (1 - share) <= high * (1 + share)


def order(row: Row) -> tuple[float, str]:
    """Of points that are equally good, that of least `order` comes first: the smaller batch, then by the variant.

    Where the sweep varies another coordinate, the smaller value of that.
    """
    return row["axis_value"], row["variant"] or ""


def named(row: Row, beside: Row | None = None) -> str:
    """A point in words: `B = 64`; with its variant where that is not `beside`'s: `B = 64 +fp8`, `B = 64 plain`."""
    at, variant = row["at"], row["variant"]
    if variant == (None if beside is None else beside["variant"]):
        return str(at)
    return f"{at} +{variant}" if variant else f"{at} plain"


def pooled(points: pl.DataFrame) -> pl.DataFrame:
    """One row a point of `points` (columns of tables.POINTS), in the order in which they come first.

    Of the repeats that have figures the valid ones are pooled; where none is valid, the flagged ones that have an
    energy; then those of which nothing measures it, then other flagged ones. Of a point that has none of them the first
    repeat stands as it is. Numbers with a fraction are means, those with an interval as above; the rest is the first
    pooled repeat's, but the status is overloaded where that of any is. Three columns are added, all of the energy per
    response: `repeats`, how many it is the mean of; `between_run_sd_j`, s, null for one repeat; `within_run_sd_j`, the
    root mean square of h_i / 1.96, which is a little more than the standard error where h_i has few degrees of freedom.
    """
    figures = pl.col("energy_per_response_j").is_not_null() | pl.col("responses_per_s").is_not_null()
    served = pl.col("status").is_in(USABLE) & figures
    flagged = has_severity(Severity.FLAGGED)
    best = (
        has_severity(Severity.VALID) & (pl.col("verdict") != NO_ENERGY),
        flagged & pl.col("energy_per_response_j").is_not_null(),
        trusted(),
        flagged,
    )
    grade = pl.coalesce(
        *(pl.when(served & one).then(place) for place, one in enumerate(best)), len(best) + pl.int_range(pl.len())
    )
    ordered = points.sort("repeat", maintain_order=True).with_columns(grade=grade.over(POINT))
    groups = ordered.filter(pl.col("grade") == pl.col("grade").min().over(POINT)).group_by(POINT, maintain_order=True)
    most = max(groups.len()["len"].to_list(), default=1)
    from scipy.special import stdtrit  # not while planning, which asks the page for its tables alone

    quantiles = {n: float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) for n in range(2, most + 1)}
    energy, overloaded = "energy_per_response", pl.col("status") == "overloaded"
    result = groups.agg(
        *(_of(name, dtype, points.columns, quantiles) for name, dtype in points.schema.items() if name not in POINT),
        repeats=pl.max_horizontal(pl.col(f"{energy}_j").count(), 1),
        between_run_sd_j=pl.col(f"{energy}_j").std(),
        within_run_sd_j=_own_half_width(f"{energy}_low_j", f"{energy}_high_j") / NORMAL_QUANTILE,
        any_overloaded=overloaded.any(),
    )
    status = pl.when("any_overloaded").then(pl.lit("overloaded")).otherwise("status")
    added = ("repeats", "between_run_sd_j", "within_run_sd_j")
    return result.with_columns(status=status).select(*points.columns, *added)


def _of(name: str, dtype: pl.DataType, columns: list[str], quantiles: dict[int, float]) -> pl.Expr:
    """A column over the repeats of a point."""
    if name == "card":
        return cards_of_repeats(pl.col(name)).alias(name)
    if dtype != pl.Float64:
        return pl.col(name).first()
    for end, sign in (("low", -1), ("high", 1)):
        figure, low, high = (name.replace(f"_{end}_", between) for between in ("_", "_low_", "_high_"))
        if f"_{end}_" in name and {figure, low, high} <= set(columns):
            count = pl.col(figure).count()
            quantile = count.replace_strict(quantiles, default=None, return_dtype=pl.Float64)
            half_width = pl.max_horizontal(quantile * pl.col(figure).std(), _own_half_width(low, high)) / count.sqrt()
            several = pl.col(figure).mean() + sign * half_width
            return pl.when(count > 1).then(several).otherwise(pl.col(name).drop_nulls().first()).alias(name)
    return pl.col(name).mean()


def _own_half_width(low: str, high: str) -> pl.Expr:
    """The root mean square of the repeats' own half-widths."""
    return ((pl.col(high) - pl.col(low)) / 2).pow(2).mean().sqrt()
