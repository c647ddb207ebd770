"""The power that tasks draw as a share of the TDP: one strip a task, a dot for each model and point of its sweep."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import polars as pl

from joulebench.figures import by_setting, captions, style, tdp

DIAMETER_PX = 8.5
LEAST_PX, MOST_PX = 36, 140
"""The height of a strip: as much as its dots need beside each other, and no more than the second."""
PERCENT = "format(100 * datum.value, '.0f') + ' %'"


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Strips from `points` (tables.POINTS), all with the same axis."""
    points, left_out = by_setting.along_one_axis(points)
    rows = tdp.shares(points)
    drawn = rows.filter(pl.col("share").is_not_null())
    tasks = captions.tasks(rows)
    with_share = [task for task in tasks if task in set(drawn["task"])]
    panels: list[style.Panel] = []
    for task in tasks:
        of_task = rows.filter(pl.col("task") == task)
        if task in with_share:
            first, last = task == with_share[0], task == with_share[-1]
            panels.append(_strip(task, of_task, drawn, first, last))
        else:
            panels.append(style.message(alt.TitleParams(task), tdp.nothing_to_draw(task, of_task)))
    notes = []
    if with_share:
        at = "batch size (B)" if captions.over_batch_sizes(drawn) else "setting"
        notes = [f"A dot: one model at one {at}. Dashed: the TDP. Upright line: the median of the dots."]
    title = "Power drawn, as a share of the TDP, by task"
    return style.figure(title, [*tdp.subtitle(points, rows), *left_out, *notes], panels or [style.nothing()])


def _strip(task: str, rows: pl.DataFrame, drawn: pl.DataFrame, legend: bool, axis_title: bool) -> style.Panel:
    end = max(1.0, *drawn["share"]) * 1.02
    data = rows.filter(pl.col("share").is_not_null()).sort("share", "run", "axis_value")
    height, ys = _swarm([share / end * style.PANEL_PX for share in data["share"]])
    data = data.with_columns(y=pl.Series(ys, dtype=pl.Float64))

    axis = alt.Axis(values=style.linear_ticks(0, end), labelExpr=PERCENT, labelFlush=False)
    title = "Power / TDP" if axis_title else None
    x = alt.X("share:Q", title=title, scale=alt.Scale(domain=[0, end], nice=False), axis=axis)
    y = alt.Y("y:Q", title=None, scale=alt.Scale(domain=[0, height], nice=False), axis=None)
    tooltip = [
        alt.Tooltip("run:N", title="model"),
        alt.Tooltip("at:N", title="setting"),
        alt.Tooltip("share:Q", title="power / TDP", format=".1%"),
        alt.Tooltip("power_w:Q", title="power (W)", format=".3~r"),
    ]
    median = float(np.median(data["share"]))
    marks = alt.Chart(alt.InlineData(values=[{"share": 1.0, "dash": "TDP"}, {"share": median, "dash": "median"}]))
    dashes = alt.StrokeDash("dash:N", scale=alt.Scale(domain=["TDP", "median"], range=[[5, 4], [1, 0]]), legend=None)
    dots = alt.Chart(data.select("run", "at", "axis_value", "share", "power_w", "y"))
    layers = [
        marks.mark_rule(color=style.MUTED, strokeWidth=1.3).encode(alt.X("share:Q"), dashes),
        dots.mark_circle(size=tdp.DOT_PX, opacity=1, stroke="white", strokeWidth=0.8).encode(
            x, y, tdp.value_color(drawn, legend), tooltip=tooltip
        ),
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
