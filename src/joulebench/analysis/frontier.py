"""pareto.csv: of each task, model and kind of answers, the points that none other beats in both energy per response
and latency.

One point beats another if neither its energy per response nor its latency is larger, and one of them is smaller. Two
points are tied if their 95 % intervals overlap, those of the energy and those of the latency: then they are not told
apart. A figure without an interval stands for an interval of no width, so that such points are compared by their
estimates.

The frontier is the points that no point of the frontier both beats and is not tied with. It is found from the least
latency up: a point that beats another comes before it. So a point that others beat by the estimates alone, tied with
each of these that is on the frontier, is on it too. Every point that is left out is beaten by one that is there and not
tied with it, and has no say in what else is left out. `tied_with` names the other points of the frontier that a point
is tied with.

Points of different cards of one kind are told apart only beyond what cards differ by (choices.tied).

Latency is what the task's target is about; without a target, the median time per output token of a text task, and the
median latency of a batch of the others. Batch sizes, variants and parallelism of a model all compete.
"""

from collections.abc import Callable, Iterable

import polars as pl

from joulebench.analysis.choices import ENTRANT, Row, choices, latency_column, named, order, tied
from joulebench.config.services import Targets
from joulebench.tables.columns import BOUNDS
from joulebench.tables.schemas import PARETO

ENERGY, LATENCY = "energy_per_response_j", "latency_s"


def frontier(
    points: pl.DataFrame, targets: Targets, publish_flagged: bool = False, card_spread: float = 0.0
) -> pl.DataFrame:
    """The frontier of each task, model and kind of answers (tables.PARETO), sorted by these and latency.

    `points`: tables.POINTS, of one piece of hardware; `targets`: task -> its latency target, or None;
    `card_spread`: the share by which its cards differ. Points compete as analysis.choices pools them: usable ones that
    have both an energy and a latency.
    """
    found: list[Row] = []
    for (task, *_), rows in choices(points, publish_flagged).group_by(ENTRANT, maintain_order=True):
        column = latency_column(str(task), targets.get(str(task)))
        name = column.removesuffix("_s")
        known = rows.filter(pl.col("usable") & pl.col(ENERGY).is_not_null() & pl.col(column).is_not_null())
        competing = known.with_columns(
            latency_metric=pl.lit(column),
            **{f"latency{bound}_s": pl.col(f"{name}{bound}_s") for bound in BOUNDS},
        )
        found += _frontier(list(competing.iter_rows(named=True)), card_spread)
    kept = [{name: row[name] for name in PARETO} for row in found]
    return pl.DataFrame(kept, schema=PARETO).sort(ENTRANT, maintain_order=True)


def _frontier(rows: list[Row], card_spread: float) -> list[Row]:
    def same(one: Row, other: Row) -> bool:
        return all(tied(one, other, figure, card_spread) for figure in (ENERGY, LATENCY))

    on_it = unbeaten(sorted(rows, key=order), lambda row: (row[LATENCY], row[ENERGY]), same)
    ties = ("; ".join(named(other, row) for other in on_it if other is not row and same(row, other)) for row in on_it)
    return [{**row, "tied_with": tied_with or None} for row, tied_with in zip(on_it, ties, strict=True)]


def unbeaten(
    rows: Iterable[Row], costs: Callable[[Row], tuple[float, float]], same: Callable[[Row, Row], bool]
) -> list[Row]:
    """Those of `rows` on the frontier of two costs, by rising cost; of rows of equal costs the first comes first.

    `same`: whether two rows are tied, which beat each other by the estimates alone.
    """
    found: list[Row] = []
    for row in sorted(rows, key=costs):
        if all(same(row, other) for other in found if _beats(costs(other), costs(row))):
            found.append(row)
    return found


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] and one != other
