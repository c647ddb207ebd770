"""What an estimate from the TDP would be against what was measured: one row a run, a dot for each point."""

import altair as alt
import polars as pl

from joulebench.figures import by_setting, captions, style, tdp
from joulebench.figures.axes import Axis, around, intervals

ROW_PX, GAP_PX, EDGE_PX = 44, 6, 8
"""A run's row, what is left free between two, and how far the first and the last dot are from the row's end."""
LABEL_X_PX = style.PANEL_PX + 10


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Dots from `points` (tables.POINTS), one panel a task; every panel has the same axis."""
    points, left_out = by_setting.along_one_axis(points)
    rows = tdp.shares(points).with_columns(
        times=_inverse("share"), low=_inverse("share_high"), high=_inverse("share_low")
    )
    drawn = rows.filter(pl.col("times").is_not_null())
    with_dots = [task for task in captions.tasks(rows) if task in set(drawn["task"])]
    panels: list[style.Panel] = []
    for task in captions.tasks(rows):
        of_task = rows.filter(pl.col("task") == task)
        if task in with_dots:
            panels.append(_panel(task, of_task, drawn, task == with_dots[0], task == with_dots[-1]))
        else:
            panels.append(style.message(alt.TitleParams(task), tdp.nothing_to_draw(task, of_task)))
    notes = []
    if with_dots:
        words = " Thin lines: 95 % intervals." if drawn["low"].is_not_null().any() else ""
        notes = [
            f"One row a model, its {'batch sizes (B)' if captions.over_batch_sizes(drawn) else 'points'} rising from "
            "top to bottom. "
            f"At the dashed line the device draws its TDP throughout.{words}"
        ]
    title = "Energy as estimated from the TDP, against the measured energy"
    return style.figure(title, [*tdp.subtitle(points, rows), *left_out, *notes], panels or [style.nothing()])


def _inverse(share: str) -> pl.Expr:
    return pl.when(pl.col(share) > 0).then(1 / pl.col(share))


def _panel(task: str, rows: pl.DataFrame, drawn: pl.DataFrame, legend: bool, axis_title: bool) -> style.Panel:
    place = pl.int_range(pl.len()).over("run", order_by="axis_value") / (pl.len().over("run") - 1)
    data = rows.filter(pl.col("times").is_not_null()).sort("axis_value", "run").with_columns(lane=place.fill_nan(0.5))
    runs = data.group_by("run").agg(
        most=pl.col("times").max(),
        ends=pl.struct("times", "at").sort_by("times", "axis_value", descending=True),
    )
    runs = runs.sort("most", "run", descending=[True, False]).with_columns(
        label=pl.col("ends").map_elements(_label, return_dtype=pl.String)
    )

    axis = _axis(drawn)
    title = "Energy at the TDP, times the measured energy" if axis_title else None
    x = alt.X("times:Q", title=title, scale=axis.scale, axis=axis.axis)
    y = style.run_axis(runs["run"].to_list())
    lane = alt.YOffset("lane:Q", scale=alt.Scale(domain=[0, 1], range=[EDGE_PX, ROW_PX - EDGE_PX]))
    tooltip = [
        alt.Tooltip("run:N", title="model"),
        alt.Tooltip("at:N", title="setting"),
        alt.Tooltip("times:Q", title="energy at the TDP / measured", format=".3~r"),
        alt.Tooltip("energy_per_response_j:Q", title="energy per response (J)", format=".3~r"),
        alt.Tooltip("tdp_estimate_j:Q", title="at the TDP (J)", format=".3~r"),
    ]
    kept = ("run", "lane", "at", "axis_value", "times", "energy_per_response_j", "tdp_estimate_j")
    both = intervals(data, axis).select("run", "lane", "low", "high")
    bands = alt.Chart(runs.select("run", start=pl.lit(axis.low), end=pl.lit(axis.high)))
    at_tdp = alt.Chart(alt.InlineData(values=[{"times": 1}]))
    dots = alt.Chart(data.select(kept)).mark_circle(size=tdp.DOT_PX, opacity=1, stroke="white", strokeWidth=0.8)
    labels = alt.Chart(runs.select("run", "label")).mark_text(align="left", fontSize=style.LABEL_PX, color=style.INK)
    layers = [
        bands.mark_bar(color=style.GRID, opacity=0.4, size=ROW_PX - GAP_PX).encode(
            alt.X("start:Q"), y, alt.X2("end:Q")
        ),
        at_tdp.mark_rule(strokeDash=[5, 4], color=style.MUTED).encode(alt.X("times:Q")),
        alt.Chart(both).mark_rule(color=style.INK, strokeWidth=1).encode(alt.X("low:Q"), y, alt.X2("high:Q"), lane),
        dots.encode(x, y, tdp.value_color(drawn, legend), lane, tooltip=tooltip),
        labels.encode(y, alt.Text("label:N"), x=alt.value(LABEL_X_PX)),
    ]
    heading = alt.TitleParams(task)
    if left_out := tdp.left_out(rows):
        heading.subtitle = left_out
    return alt.layer(*layers, title=heading).properties(width=style.PANEL_PX, height=ROW_PX * len(runs))


def _label(points: pl.Series) -> str:
    """`1.83 at B = 8, 1.05 at B = 1024`, of the (times, at) of a run, the largest first."""
    ends = [points[0], points[-1]] if len(points) > 1 else [points[0]]
    return ", ".join(f"{end['times']:.2f} at {end['at']}" for end in ends)


def _axis(drawn: pl.DataFrame) -> Axis:
    """Around all dots, with 1 and 2 on it."""
    found = around(drawn, "times", style.PANEL_PX, log=False)
    return Axis(min(found.low, 0.95), max(found.high, 2.05), style.PANEL_PX, False)
