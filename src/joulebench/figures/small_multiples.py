"""Metrics against what a sweep varies as small multiples: one row a task, one column a metric, one colour a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from joulebench.analysis.verdicts import USABLE
from joulebench.families import Family, of
from joulebench.figures import by_setting, captions, style
from joulebench.figures.axes import Axis, around

CROSS = "M-1,-1L1,1M-1,1L1,-1"
CROSS_PX = 9
EXTENT_PX = 44
"""The labels of a cell's axis."""
GAP_PX = 18


@dataclass(frozen=True)
class Metric:
    """A column of the grid. Metrics of one unit share the axis of a row."""

    stem: str
    """Its columns of tables.POINTS are `{stem}_{unit}`, and, of a figure with an interval, `{stem}_low_{unit}` and
    `{stem}_high_{unit}`."""
    unit: str
    title: str
    """What it is; `{response}` stands for what a response of the task is."""
    log: bool
    """Whether its axis is logarithmic, else it begins at 0."""

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with the metric as value, low and high, without those that have no value."""
        bounds = (("value", ""), ("low", "_low"), ("high", "_high"))
        stems = {name: f"{self.stem}{bound}_{self.unit}" for name, bound in bounds}
        columns = {
            name: pl.col(stem) if stem in rows.columns else pl.lit(None, pl.Float64) for name, stem in stems.items()
        }
        return rows.with_columns(**columns).filter(pl.col("value").is_not_null())


@dataclass(frozen=True)
class Cell:
    """The size of a panel in pixels."""

    width_px: int
    height_px: int


def draw(
    points: pl.DataFrame, family: Family, metrics: Sequence[Metric], cell: Cell, title: str, none: str
) -> alt.ConcatChart:
    """The grid of the rows of `points` (tables.POINTS) of `family`, or `none` in words where there are none.

    `title` says `by {at}`. The repeats of a point are pooled, without those that are invalid.
    """
    shown = pl.col("status").is_in(USABLE) & ~captions.INVALID
    of_family, left_out = by_setting.along_one_axis(points.filter(family.rows))
    pooled = by_setting.pooled_points(of_family).with_columns(shown=shown).sort("task", "run", "axis_value")
    at = "batch size" if pooled.is_empty() or captions.over_batch_sizes(pooled) else "setting"
    rows = []
    for task, of_task in captions.by_task(pooled):
        alike = pooled.filter(pl.col("axis") == of_task["axis"][0])
        rows.append(_row(task, of_task, metrics, cell, _sweep_axis(alike, cell)))
    drawn = pl.concat([metric.of(pooled.filter("shown")) for metric in metrics])
    notes = []
    if drawn["low"].is_not_null().any():
        notes.append("Thin lines: 95 % intervals.")
    if (drawn["status"] == "overloaded").any():
        notes.append(f"Hollow points: {by_setting.overloaded(drawn)}.")
    if (pooled["status"] == "out_of_memory").any():
        notes.append(f"Crosses at the top: the {at} at which a model ran out of memory, and so stopped.")
    words = [" ".join(notes)] if notes else []
    subtitle = [*captions.subtitle(of_family), *left_out, *words, *captions.repeats(drawn)]
    return style.figure(title.format(at=at), subtitle, rows, none=None if points.is_empty() else none)


def _sweep_axis(rows: pl.DataFrame, cell: Cell) -> Axis:
    values = rows["axis_value"].drop_nulls().to_list() or [1]
    return Axis(min(values) / math.sqrt(2), max(values) * math.sqrt(2), cell.width_px, True)


def _across(axis: Axis, title: str) -> alt.X:
    """The powers of two as grid lines; as labels so many of them as there is room for, the last one first."""
    powers = [2**k for k in range(math.ceil(math.log2(axis.low)), math.floor(math.log2(axis.high)) + 1)]
    room = axis.length_px / math.log2(axis.high / axis.low)
    every = math.ceil((style.text_px(str(powers[-1]), style.LABEL_PX) + 8) / room)
    labelled = powers[::-1][::every]
    return alt.X(
        "axis_value:Q",
        title=title,
        scale=alt.Scale(type="log", base=2, domain=[axis.low, axis.high], nice=False),
        axis=alt.Axis(
            values=powers,
            labelExpr=f"indexof({labelled}, datum.value) < 0 ? '' : datum.value",
            labelFlush=False,
            labelOverlap=False,
        ),
    )


def _row(task: str, rows: pl.DataFrame, metrics: Sequence[Metric], cell: Cell, along: Axis) -> style.Panel:
    drawn = rows.filter("shown")
    lines = []
    if not any(metric.unit == "j" and len(metric.of(drawn)) for metric in metrics):
        lines.append(f"{captions.no_energy(task, rows)}.")
    stopped = rows.filter(pl.col("status") == "out_of_memory")
    left = rows.filter(~pl.col("shown") & (pl.col("status") != "out_of_memory").fill_null(True))
    if not left.is_empty():
        lines.append(f"not drawn: {captions.why_not(left)}")
    if not any(len(metric.of(drawn)) for metric in metrics):
        return style.message(style.panel_title(task, lines), "There is no sweep to draw.")

    width = len(metrics) * (cell.width_px + EXTENT_PX + GAP_PX)
    named = pl.concat([drawn, stopped])
    look = by_setting.channels(named, by_setting.legend_columns(named["run"], width))
    x = _across(along, by_setting.axis_title(rows))
    cells = []
    for metric in metrics:
        alike = [other.of(drawn) for other in metrics if other.unit == metric.unit]
        cells.append(
            _cell(metric, _title(metric, task, rows), metric.of(drawn), pl.concat(alike), stopped, cell, x, look)
        )
    title = style.panel_title(task, lines)
    row: alt.HConcatChart = alt.hconcat(*cells, spacing=EXTENT_PX + GAP_PX, bounds="flush", title=title)
    row = row.resolve_scale(color="shared", shape="shared", strokeDash="shared")
    return row


def _title(metric: Metric, task: str, rows: pl.DataFrame) -> str:
    words = metric.title.format(response=of(task).word(task))
    return captions.energy_title(rows, words) if metric.unit in ("j", "w") else words


def _cell(
    metric: Metric,
    words: str,
    data: pl.DataFrame,
    alike: pl.DataFrame,
    stopped: pl.DataFrame,
    cell: Cell,
    x: alt.X,
    look: by_setting.Channels,
) -> style.Panel:
    title = alt.TitleParams(words, fontSize=style.LABEL_PX + 1, fontWeight="normal", offset=8)
    if data.is_empty():
        nothing = alt.Chart(alt.InlineData(values=[{"text": "not measured"}])).mark_text(color=style.MUTED)
        text = nothing.encode(text="text:N", x=alt.value(cell.width_px / 2), y=alt.value(cell.height_px / 2))
        return alt.layer(text, title=title).properties(width=cell.width_px, height=cell.height_px)

    axis = around(alike, "value", cell.height_px, log=metric.log)
    tdp = _tdp(data) if metric.unit == "w" else None
    if not metric.log:
        axis = Axis(0.0, max(axis.high + 0.06 * axis.high, 1.2 * (tdp or 0.0)), cell.height_px, False)
    y = alt.Y("value:Q", title=None, scale=axis.scale, axis=axis.axis)
    tooltip = [*style.hover("run", "at", value=words), *style.hover("status")]
    data = data.select("run", "at", "axis_value", "value", "low", "high", "status")
    layers = [
        *(_level(tdp, f"TDP {style.significant(tdp)} W", y) if tdp else []),
        *by_setting.curves(data, x, y, axis, look, tooltip),
        *_crosses(stopped, axis, x, y, look[0]),
    ]
    return alt.layer(*layers, title=title).properties(width=cell.width_px, height=cell.height_px)


def _tdp(rows: pl.DataFrame) -> float | None:
    """The TDP of a point's GPUs, in W, where all points have the same."""
    found = rows.select(tdp=pl.col("tdp_w") * pl.col("gpus").fill_null(1))["tdp"].unique()
    return found[0] if len(found) == 1 else None


def _level(value: float, label: str, y: alt.Y) -> list[alt.Chart]:
    chart = alt.Chart(alt.InlineData(values=[{"value": value, "label": label}]))
    text = chart.mark_text(align="left", dy=-3, baseline="bottom", fontSize=style.SMALL_PX, color=style.MUTED)
    return [
        chart.mark_rule(strokeDash=[5, 4], color=style.MUTED).encode(y),
        text.encode(y, x=alt.value(3), text="label:N"),
    ]


def _crosses(stopped: pl.DataFrame, axis: Axis, x: alt.X, y: alt.Y, color: alt.Color) -> list[alt.Chart]:
    """A cross at the top for each run that ran out of memory, those at one setting below each other."""
    if stopped.is_empty():
        return []
    place = pl.int_range(pl.len()).over("axis_value")
    most = stopped.select(place.max()).item() + 1
    apart = min(CROSS_PX + 3, (axis.length_px - CROSS_PX) / most)
    heights = [axis.value(axis.length_px - CROSS_PX / 2 - apart * k) for k in stopped.select(place).to_series()]
    data = stopped.select("run", "axis_value", "status", value=pl.Series(heights, dtype=pl.Float64))
    mark = alt.Chart(data).mark_point(shape=CROSS, size=CROSS_PX**2, strokeWidth=2, filled=False, opacity=1)
    return [mark.encode(x, y, color, tooltip=style.hover("run", "status"))]
