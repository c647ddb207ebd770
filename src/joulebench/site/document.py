"""What the page carries: the pooled points of all hardware, the tasks' targets, and the recommendations, as JSON."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from joulebench.analysis.choices import placed
from joulebench.analysis.repeats import NAMED, POINT, pooled
from joulebench.analysis.verdicts import FLAGGED, USABLE, trusted
from joulebench.names import TASKS
from joulebench.tables.columns import QUANTILES
from joulebench.tables.files import SIGNIFICANT_DIGITS
from joulebench.tables.point import LATENCIES
from joulebench.tables.schemas import COLUMNS

_TARGET = re.compile(rf"({'|'.join(LATENCIES)})_p({'|'.join(map(str, QUANTILES))})_s <= ([0-9.]+(?:e[+-]?\d+)?)")

_SHOWN = (
    *dict.fromkeys(
        column.name for table in ("points", "leaderboard", "footprint") for column in COLUMNS[table] if column.on_page
    ),
    *("card_spread", "axis_value", "at", "footprint_reason", "frontier"),
)


def document(
    tables: Mapping[str, Mapping[str, pl.DataFrame]],
    publish_flagged: bool,
    services: Mapping[str, str | None],
    card_spread: Mapping[str, float],
) -> dict[str, Any]:
    """What JSON can say of hardware -> table -> rows. A table is its `columns` and `rows`, without columns of nulls,
    whose names are `absent`."""
    parts = list(tables.values())
    shown = [
        _points(part, publish_flagged, card_spread.get(hardware, 0.0)).select(_SHOWN)
        for hardware, part in tables.items()
    ]
    points = pl.concat(shown) if parts else pl.DataFrame({"task": []})
    leaderboards = [part["leaderboard"] for part in parts]
    recommendations = [_recommendations(part) for part in parts]
    found = set(points["task"])
    return {
        "tasks": [*(task for task in TASKS if task in found), *sorted(found.difference(TASKS))],
        "targets": _targets(pl.concat(leaderboards)) if parts else {},
        "publish_flagged": publish_flagged,
        "services": dict(services),
        "points": _table(points.sort("task", "hardware", "model", "variant", "axis_value")) if parts else _EMPTY,
        "recommendations": _table(pl.concat(recommendations)) if parts else _EMPTY,
    }


_EMPTY: dict[str, Any] = {"columns": [], "absent": [], "rows": []}


def _points(part: Mapping[str, pl.DataFrame], publish_flagged: bool, card_spread: float) -> pl.DataFrame:
    """One row a point of one hardware: its repeats pooled and placed, with its footprint and its frontiers.

    Pooled are the valid repeats; flagged ones where none is valid, and beside them where `publish_flagged` says so.
    """
    key = [name for name in (*NAMED, "repeat") if name in part["footprint"].columns]
    footprint = part["footprint"].rename({"reason": "footprint_reason"}).drop("energy_source")
    points = part["points"].join(footprint, on=key, how="left", nulls_equal=True, maintain_order="left")
    served = pl.col("status").is_in(USABLE) & pl.col("responses_per_s").is_not_null()
    valid = (served & trusted(publish_flagged=False)).fill_null(False)
    flagged = (served & FLAGGED).fill_null(False)
    usable = valid | (flagged & (pl.lit(publish_flagged) | ~valid.any().over(POINT)))
    frontier = part["pareto"].group_by(NAMED).agg(frontier=pl.col("latency_metric").unique().sort().str.join(" "))
    rows = pooled(points, usable).join(frontier, on=NAMED, how="left", nulls_equal=True, maintain_order="left")
    return placed(rows).with_columns(card_spread=pl.lit(card_spread))


def _recommendations(part: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Those of one hardware, with their points in words (choices.placed)."""
    points = placed(part["points"]).select(*NAMED, "at").unique()
    return part["recommendations"].join(points, on=NAMED, how="left", nulls_equal=True, maintain_order="left")


def _targets(leaderboard: pl.DataFrame) -> dict[str, Any]:
    """Task -> its own latency target, where it has one that the page can set its controls to."""
    found = {}
    for task, target in leaderboard.select("task", "latency_target").drop_nulls().unique().sort("task").iter_rows():
        if parts := _TARGET.fullmatch(target):
            found[task] = {"metric": parts[1], "quantile": int(parts[2]), "at_most_s": float(parts[3])}
    return found


def _table(rows: pl.DataFrame) -> dict[str, Sequence[Any]]:
    absent = [column.name for column in rows if not column.count()]
    kept = rows.drop(absent)
    rounded = kept.with_columns(pl.col(pl.Float64).round_sig_figs(SIGNIFICANT_DIGITS))
    return {"columns": rounded.columns, "absent": absent, "rows": [list(row) for row in rounded.iter_rows()]}
