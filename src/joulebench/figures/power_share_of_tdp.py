"""The power that tasks draw as a share of the TDP: one strip a task, a dot for each model and point of its sweep."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import polars as pl

from joulebench.figures import captions, style, tdp

DIAMETER_PX = 8.5
LEAST_PX, MOST_PX = 36, 140
"""The height of a strip: as much as its dots need beside each other, and no more than the second."""
PERCENT = "format(100 * datum.value, '.0f') + ' %'"


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Strips from `points` (tables.POINTS), all with the same axis."""
    return tdp.figure("Power drawn, as a share of the TDP, by task", points, "share", _strip, _note)


def _note(drawn: pl.DataFrame) -> str:
    at = "batch size (B)" if captions.over_batch_sizes(drawn) else "setting"
    return f"A dot: one model at one {at}. Dashed: the TDP. Upright line: the median of the dots."


def _strip(task: str, rows: pl.DataFrame, drawn: pl.DataFrame, legend: bool, axis_title: bool) -> style.Panel:
    end = max(1.0, *drawn["share"]) * 1.02
    data = rows.filter(pl.col("share").is_not_null()).sort("share", "run", "axis_value")
    height, ys = _swarm([share / end * style.PANEL_PX for share in data["share"]])
    data = data.with_columns(y=pl.Series(ys, dtype=pl.Float64))

    axis = alt.Axis(values=style.linear_ticks(0, end), labelExpr=PERCENT, labelFlush=False)
    title = "Power / TDP" if axis_title else None
    x = alt.X("share:Q", title=title, scale=alt.Scale(domain=[0, end], nice=False), axis=axis)
    y = alt.Y("y:Q", title=None, scale=alt.Scale(domain=[0, height], nice=False), axis=None)
    share = alt.Tooltip("share:Q", title="power / TDP", format=".1%")
    tooltip = [*style.hover("run", "at"), share, *style.hover(power_w="power (W)")]
    median = float(np.median(data["share"]))
    marks = alt.Chart(alt.InlineData(values=[{"share": 1.0, "dash": "TDP"}, {"share": median, "dash": "median"}]))
    dashes = alt.StrokeDash("dash:N", scale=alt.Scale(domain=["TDP", "median"], range=[[5, 4], [1, 0]]), legend=None)
    dots = tdp.dots(data.select("run", "at", "axis_value", "share", "power_w", "y"))
    layers = [
        marks.mark_rule(color=style.MUTED, strokeWidth=1.3).encode(alt.X("share:Q"), dashes),
        dots.encode(x, y, tdp.value_color(drawn, legend), tooltip=tooltip),
    ]
    ends = {"lowest": data.row(0, named=True), "highest": data.row(-1, named=True)} if len(data) > 1 else {}
    words = [f"{which} {100 * one['share']:.0f} %: {one['name']}, {one['at']}" for which, one in ends.items()]
    subtitle = captions.lines([f"median {100 * median:.0f} %", *words, *tdp.left_out(rows)])
    heading = alt.TitleParams(task, subtitle=subtitle)
    return alt.layer(*layers, title=heading).properties(width=style.PANEL_PX, height=height)


def _swarm(xs: Sequence[float]) -> tuple[float, list[float]]:
    """The height of a strip and of each dot in it, in pixels: dots that would meet (`xs`, rising) are set apart."""
    lanes: list[int] = []
    ends: list[float] = []
    for x in xs:
        lane = next((k for k, end in enumerate(ends) if x - end >= DIAMETER_PX), len(ends))
        ends[lane : lane + 1] = [x]
        lanes.append(lane)
    to_each_side = max(len(ends) // 2, 1)
    height = min(max(LEAST_PX, DIAMETER_PX * (2 * to_each_side + 1)), MOST_PX)
    apart = min(DIAMETER_PX, (height - DIAMETER_PX) / 2 / to_each_side)
    # The first lane in the middle, the next ones above and below it in turn.
    return height, [height / 2 + apart * ((lane + 1) // 2) * (1 if lane % 2 else -1) for lane in lanes]
