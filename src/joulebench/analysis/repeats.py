"""Repeats of a point pooled: one row a point, whose intervals also hold what differs from run to run.

With n repeats whose figures are x_1 .. x_n, each with an interval of its own, of half-width h_i, the figure is their
mean, and its half-width

    max( t(0.975, n - 1) s / sqrt(n),  sqrt(mean h_i^2) / sqrt(n) ),    s^2 = sum (x_i - mean)^2 / (n - 1)

The first is the interval of the mean in the balanced one-way random model, x_i = mean + run_i + error_i: s^2 has the
expectation var(run) + var(error), so nothing of the error is to be added to it (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 3). The second is what is known of the error from inside the runs, and a floor: s of two or
three repeats can be small by chance. With one repeat the interval is its own, and says nothing of another run.
"""

import polars as pl
from scipy.special import stdtrit

from joulebench.analysis.intervals import CONFIDENCE
from joulebench.analysis.sources import cards_of_repeats
from joulebench.analysis.verdicts import NO_ENERGY, USABLE, Severity, has_severity, trusted
from joulebench.tables.point import AT, SETTING

POINT = ("task", "dataset", "model", "variant", *SETTING)
"""What the repeats of one point have in common."""
NAMED = ("task", "dataset", "model", "variant", *AT)
"""The same of tables that name a point's setting alone, as pareto.csv does."""
NORMAL_QUANTILE = 1.96


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
