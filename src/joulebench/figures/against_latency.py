"""What panels of energy against latency share: the axis' title, the target's rule, and the labels beside the points."""

import math
from collections.abc import Sequence

import altair as alt
import polars as pl

from joulebench.config.services import LatencyTarget
from joulebench.families import TEXT, of
from joulebench.figures import by_setting, captions, style
from joulebench.figures.axes import Axis
from joulebench.figures.placement import Mark, Plot, along, place

COLUMNS = 2
WIDTH_PX, HEIGHT_PX = 440, 330
RADIUS_PX = math.sqrt(by_setting.POINT_PX) / 2 + 0.5
REACH = 4
"""A target is drawn where it is no further than this factor from what is."""

Line = Sequence[tuple[float, float]]
"""A broken line through points (x, y) in pixels, y downwards."""


def title(task: str, column: str) -> str:
    """That of an axis of `column` (of tables.POINTS): `Median time per output token (s)`."""
    metric, _, quantile = column.removesuffix("_s").rpartition("_p")
    words = captions.METRICS[metric] + ("" if metric != "latency" or of(task) is TEXT else " of a batch")
    return f"Median {words} (s)" if quantile == "50" else f"{quantile}th percentile of {words} (s)"


def target(asked: LatencyTarget | None, column: str, latencies: Sequence[float]) -> tuple[float | None, list[str]]:
    """The latency target for a panel of `column`: its seconds where they are in reach; its line of subtitle."""
    lines = captions.latency_target(asked)
    limit = asked.at_most_s if asked is not None and asked.column == column else None
    if limit is None or not latencies or min(latencies) / REACH <= limit <= max(latencies) * REACH:
        return limit, lines
    return None, [f"{lines[0]} ({'right' if limit > max(latencies) else 'left'} of what is drawn)"]


def target_rule(limit: float | None, x: alt.X) -> list[alt.Chart]:
    """An upright rule at `limit`, with its seconds above the panel; nothing for None."""
    if limit is None:
        return []
    chart = alt.Chart(alt.InlineData(values=[{"latency": limit, "label": f"target {limit:g} s"}]))
    return [
        chart.mark_rule(strokeDash=[5, 4], color=style.MUTED, strokeWidth=1.3).encode(x),
        chart.mark_text(dy=-6, baseline="bottom", fontSize=style.SMALL_PX, color=style.MUTED).encode(
            x, y=alt.value(0), text="label:N"
        ),
    ]


def hover() -> list[alt.Tooltip]:
    """What is said of a point (run, at, energy, latency)."""
    return style.hover("run", "at", energy="energy per response (J)", latency="latency (s)")


def pixels(x: Axis, y: Axis, latency: float, energy: float) -> tuple[float, float]:
    return x.px(latency), HEIGHT_PX - y.px(energy)


def labels(
    points: pl.DataFrame, x: Axis, y: Axis, lines: Sequence[Line], limit: float | None, over_lines: bool
) -> alt.Chart:
    """`label` beside each of `points` (latency, energy, label) that has room for it; earlier rows choose first.

    They avoid the points, each other, and where they can the lines and the target's rule; without `over_lines` always.
    """
    marks = [
        Mark(*pixels(x, y, latency, energy), style.text_px(label, style.SMALL_PX), style.SMALL_PX * 0.8)
        for latency, energy, label in points.select("latency", "energy", "label").iter_rows()
    ]
    avoided = [*lines, *([] if limit is None else [[(x.px(limit), 0.0), (x.px(limit), HEIGHT_PX)]])]
    centres = place(marks, Plot(WIDTH_PX, HEIGHT_PX, RADIUS_PX, along(avoided)), over_lines)
    values = [
        {"latency": x.value(centre[0]), "energy": y.value(HEIGHT_PX - centre[1]), "label": label}
        for centre, label in zip(centres, points["label"], strict=True)
        if centre is not None
    ]
    texts = alt.Chart(alt.InlineData(values=values)).mark_text(fontSize=style.SMALL_PX, color=style.MUTED)
    chart: alt.Chart = texts.encode(alt.X("latency:Q"), alt.Y("energy:Q"), text="label:N")
    return chart
