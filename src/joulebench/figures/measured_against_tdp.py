"""What an estimate from the TDP would be against what was measured: one row a run, a dot for each point."""

import altair as alt
import polars as pl

from joulebench.figures import captions, style, tdp
from joulebench.figures.axes import Axis, around, intervals

ROW_PX, GAP_PX, EDGE_PX = 44, 6, 8
"""A run's row, what is left free between two, and how far the first and the last dot are from the row's end."""
LABEL_X_PX = style.PANEL_PX + 10


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Dots from `points` (tables.POINTS), one panel a task; every panel has the same axis."""
    return tdp.figure("Energy as estimated from the TDP, against the measured energy", points, "times", _panel, _note)


def _note(drawn: pl.DataFrame) -> str:
    rising = "batch sizes (B)" if captions.over_batch_sizes(drawn) else "points"
    words = " Thin lines: 95 % intervals." if drawn["low"].is_not_null().any() else ""
    return (
        f"One row a model, its {rising} rising from top to bottom. "
        f"At the dashed line the device draws its TDP throughout.{words}"
    )


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

    found = around(drawn, "times", style.PANEL_PX, log=False)
    axis = Axis(min(found.low, 0.95), max(found.high, 2.05), style.PANEL_PX, False)  # with 1 and 2 on it
    title = "Energy at the TDP, times the measured energy" if axis_title else None
    x = alt.X("times:Q", title=title, scale=axis.scale, axis=axis.axis)
    y = style.run_axis(runs["run"].to_list())
    lane = alt.YOffset("lane:Q", scale=alt.Scale(domain=[0, 1], range=[EDGE_PX, ROW_PX - EDGE_PX]))
    figures = {"energy_per_response_j": "energy per response (J)", "tdp_estimate_j": "at the TDP (J)"}
    tooltip = style.hover("run", "at", times="energy at the TDP / measured", **figures)
    kept = ("run", "lane", "at", "axis_value", "times", *figures)
    both = intervals(data, axis).select("run", "lane", "low", "high")
    bands = alt.Chart(runs.select("run", start=pl.lit(axis.low), end=pl.lit(axis.high)))
    at_tdp = alt.Chart(alt.InlineData(values=[{"times": 1}]))
    labels = alt.Chart(runs.select("run", "label")).mark_text(align="left", fontSize=style.LABEL_PX, color=style.INK)
    layers = [
        bands.mark_bar(color=style.GRID, opacity=0.4, size=ROW_PX - GAP_PX).encode(
            alt.X("start:Q"), y, alt.X2("end:Q")
        ),
        at_tdp.mark_rule(strokeDash=[5, 4], color=style.MUTED).encode(alt.X("times:Q")),
        alt.Chart(both).mark_rule(color=style.INK, strokeWidth=1).encode(alt.X("low:Q"), y, alt.X2("high:Q"), lane),
        tdp.dots(data.select(kept)).encode(x, y, tdp.value_color(drawn, legend), lane, tooltip=tooltip),
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
