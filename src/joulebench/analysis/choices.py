"""The points that a table may offer for choice, and which of them are not told apart."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from joulebench.analysis.repeats import pooled
from joulebench.analysis.verdicts import USABLE, trusted
from joulebench.config.services import LatencyTarget
from joulebench.families import of
from joulebench.loads.setting import COORDINATES, in_words

Row = Mapping[str, Any]


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
    """The repeats of each point of `points` (tables.POINTS) pooled (analysis.repeats), `placed`, with `usable`.

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
