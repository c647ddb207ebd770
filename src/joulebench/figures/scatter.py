"""Models as named points in a plane, with lines of a constant ratio, or a line of their frontier."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl

from joulebench.figures import captions, style
from joulebench.figures.axes import Axis, around, intervals
from joulebench.figures.placement import Box, Mark, Plot, along, lead, place

WIDTH_PX, HEIGHT_PX = 700, 380
POINT_PX = 70
RADIUS_PX = math.sqrt(POINT_PX) / 2 + 0.5
LINE_PX = 13
LEADS_PX = (10.0, 20.0, 32.0)
"""How far from its point a number may stand where there is no room beside it."""
CLEAR_PX = 4.0
"""How far a name keeps from the points of others."""
LEAST_SPAN = 4.0
"""An axis spans at least this factor, so that models that are nearly alike look it."""
LEAST_GUIDE_PX = 150
LABEL_PLACES = 9
"""Along a guide, of which its label takes the first that is FAR_PX from all points, or the furthest."""
FAR_PX = 30.0
STAIRS, STAIRS_PX = "#cfcfcf", 3
HOLLOW = "Hollow points: miss the latency target."

KNOWN = (pl.col("x") > 0) & (pl.col("y") > 0)
"""Of a point that can be drawn."""

Guides = Sequence[tuple[float, str]]
"""Lines of constant y / x, each with its label, which may be empty; those that are too short are not drawn."""


def axes(points: pl.DataFrame) -> tuple[Axis, Axis]:
    """The axes of x and y; see `panel`."""
    x = Axis.over([*points["x"], *least_span(points["x"])], WIDTH_PX, log=True)
    wide = pl.DataFrame({"y": least_span(points["y"])}).with_columns(low="y", high="y")
    return x, around(pl.concat([points.select("y", "low", "high"), wide]), "y", HEIGHT_PX, log=True)


def panel(
    points: pl.DataFrame,
    x: Axis,
    y: Axis,
    x_title: str,
    y_title: str,
    guides: Guides,
    title: alt.TitleParams,
    stairs: Sequence[tuple[float, float]] = (),
    name_leads: Sequence[float] = (),
) -> style.Panel:
    """One panel of `points`: run, x, y, low, high (the interval of y), detail (words under the name), task, hollow;
    x_low and x_high where x has an interval. `stairs`: the corners (x, y) of a line under the points. `name_leads`: how
    far from its point a name may stand, in pixels, with a line to it.

    The names stand beside the points; where there is no room for all of them, numbers do, and a list below says whose.
    """
    none = {name: pl.lit(None, pl.Float64) for name in ("x_low", "x_high") if name not in points.columns}
    rows = points.with_columns(**none).sort("x", "y", "run").with_row_index("number", offset=1)
    inside = _inside(guides, x, y)
    drawn = [line for line, _ in inside]
    edges = [[(x.value(x.px(a) + d), y.value(y.px(b) + d)) for a, b in stairs] for d in (-STAIRS_PX, STAIRS_PX)]
    lines = [*drawn, *(part for edge in edges for part in pairwise(edge))]
    guide_labels = _guide_labels(inside, rows, x, y)
    fixed = [box for *_, boxes in guide_labels for box in boxes]
    texts = [f"{name}\n{detail}" for name, detail in rows.select("run", "detail").iter_rows()]
    key: list[str] = []
    labels = _labels(rows, texts, x, y, lines, fixed, clear=CLEAR_PX, over_lines=False, leads=name_leads)
    if len(labels) < len(rows):
        labels = _labels(rows, [str(number) for number in rows["number"]], x, y, lines, fixed, leads=LEADS_PX)
        numbered = {label["label"] for label in labels}
        for number, name, detail in rows.select("number", "run", "detail").iter_rows():
            shown = number if str(number) in numbered else "(no room)"
            key.append(f"{shown}  {name.replace(chr(10), '')}: {detail}")
    across = alt.X("x:Q", title=x_title, scale=x.scale, axis=x.axis)
    up = alt.Y("y:Q", title=y_title, scale=y.scale, axis=y.axis)
    words = alt.Chart(alt.InlineData(values=labels)).mark_text(
        fontSize=style.SMALL_PX, color=style.MUTED, lineBreak="\n", lineHeight=LINE_PX, baseline="middle"
    )
    far = [label for label in labels if label["away_px"] > LEADS_PX[0]]
    leads = alt.Chart(alt.InlineData(values=far)).mark_rule(color="#aaaaaa", strokeWidth=0.8)
    layers = [
        *_guides(drawn, guide_labels, x, y),
        *_stairs(stairs, across, up),
        *([leads.encode(alt.X("from_x:Q"), alt.Y("from_y:Q"), alt.X2("to_x:Q"), alt.Y2("to_y:Q"))] if far else []),
        *_points(rows, across, up, x, y),
        words.encode(alt.X("x:Q"), alt.Y("y:Q"), text="label:N"),
    ]
    plane = alt.layer(*layers, title=title).properties(width=WIDTH_PX, height=HEIGHT_PX)
    return alt.vconcat(plane, _key(key), spacing=8).resolve_scale(color="independent") if key else plane


def least_span(values: pl.Series) -> list[float]:
    """The ends of an axis of LEAST_SPAN around `values`; nothing where these span as much."""
    low, high = min(values), max(values)
    middle = math.sqrt(low * high)
    return [middle / math.sqrt(LEAST_SPAN), middle * math.sqrt(LEAST_SPAN)] if high / low < LEAST_SPAN else []


def level(rows: pl.DataFrame, axis: Axis) -> pl.DataFrame:
    """The rows whose x has an interval (`low`, `high`, from x_low and x_high), its ends kept inside `axis`."""
    return intervals(rows.with_columns(low="x_low", high="x_high"), axis)


def _stairs(corners: Sequence[tuple[float, float]], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    if not corners:
        return []
    values = [{"x": at, "y": up, "place": place} for place, (at, up) in enumerate(corners)]
    line = alt.Chart(alt.InlineData(values=values)).mark_line(strokeWidth=STAIRS_PX, color=STAIRS, strokeJoin="round")
    return [line.encode(x, y, order=alt.Order("place:Q"))]


def _points(rows: pl.DataFrame, x: alt.X, y: alt.Y, x_axis: Axis, y_axis: Axis) -> list[alt.Chart]:
    tasks = rows["task"].unique(maintain_order=True).sort().to_list()
    legend = alt.Legend(orient="top", offset=10) if len(tasks) > 1 else None
    colors = [style.PALETTE[k % len(style.PALETTE)] for k in range(len(tasks))]
    color = alt.Color("task:N", scale=alt.Scale(domain=tasks, range=colors), legend=legend)
    tooltip = [alt.Tooltip("run:N", title="model"), alt.Tooltip("detail:N", title="best point")]
    known = [name for name in ("x_low", "x_high") if rows[name].is_not_null().any()]
    data = rows.select("run", "task", "x", "y", "low", "high", "detail", "hollow", *known)
    points = alt.Chart(data).mark_point(filled=True, size=POINT_PX, opacity=1)
    hollows = alt.Chart(data.filter("hollow")).mark_point(filled=True, size=POINT_PX / 2.5, opacity=1, color="white")
    bars = alt.Chart(intervals(data, y_axis)).mark_rule(strokeWidth=1.2)
    across = [alt.Chart(level(data, x_axis).drop(known)).mark_rule(strokeWidth=1.2)] if known else []
    return [
        bars.encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color),
        *(one.encode(alt.X("low:Q"), y, alt.X2("high:Q"), color) for one in across),
        points.encode(x, y, color, tooltip=tooltip),
        hollows.encode(x, y, tooltip=tooltip),
    ]


def _pixels(x: Axis, y: Axis, at: tuple[float, float]) -> tuple[float, float]:
    return x.px(at[0]), HEIGHT_PX - y.px(at[1])


def _labels(
    rows: pl.DataFrame,
    texts: Sequence[str],
    x: Axis,
    y: Axis,
    guides: Sequence["_Line"],
    fixed: Sequence[Box],
    **where: Any,
) -> list[dict[str, Any]]:
    """The labels that have room: the middle of their first line, and the line that leads to them from their point."""
    marks = []
    for at, text in zip(rows.select("x", "y").iter_rows(), texts, strict=True):
        lines = text.split("\n")
        width = max(style.text_px(line, style.SMALL_PX) for line in lines)
        marks.append(Mark(*_pixels(x, y, at), width, LINE_PX * len(lines) - 3))
    bars = [[(at, low), (at, high)] for at, low, high in intervals(rows, y).select("x", "low", "high").iter_rows()]
    bars += [[(low, at), (high, at)] for at, low, high in level(rows, x).select("y", "low", "high").iter_rows()]
    avoided = along([[_pixels(x, y, end) for end in line] for line in [*bars, *guides]])
    labels: list[dict[str, Any]] = []
    centres = place(marks, Plot(WIDTH_PX, HEIGHT_PX, RADIUS_PX, avoided, fixed), **where)
    for mark, text, centre in zip(marks, texts, centres, strict=True):
        if centre is not None:
            end = lead(mark, centre)
            labels.append(
                {
                    "label": text,
                    "away_px": math.dist((mark.x, mark.y), end),
                    "x": x.value(centre[0]),
                    "y": y.value(HEIGHT_PX - centre[1] + LINE_PX / 2 * text.count("\n")),
                    "from_x": x.value(mark.x),
                    "from_y": y.value(HEIGHT_PX - mark.y),
                    "to_x": x.value(end[0]),
                    "to_y": y.value(HEIGHT_PX - end[1]),
                }
            )
    return labels


_Line = tuple[tuple[float, float], tuple[float, float]]


def _inside(guides: Guides, x: Axis, y: Axis) -> list[tuple[_Line, str]]:
    """The part of each guide that lies in the panel, from its lower end to its upper, where it is long enough."""
    found = []
    for ratio, label in guides:
        low, high = max(x.low, y.low / ratio), min(x.high, y.high / ratio)
        line = (low, low * ratio), (high, high * ratio)
        if low < high and math.dist(*(_pixels(x, y, end) for end in line)) >= LEAST_GUIDE_PX:
            found.append((line, label))
    return found


def _guide_labels(
    guides: Sequence[tuple[_Line, str]], rows: pl.DataFrame, x: Axis, y: Axis
) -> list[tuple[str, float, float, list[Box]]]:
    """Each guide's label, its place in pixels and what it covers: along its line, where the points are furthest."""
    points = [_pixels(x, y, at) for at in rows.select("x", "y").iter_rows()]
    labels = []
    for line, label in ((line, label) for line, label in guides if label):
        (x0, y0), (x1, y1) = (_pixels(x, y, end) for end in line)
        length, half = math.hypot(x1 - x0, y1 - y0), style.text_px(label, style.SMALL_PX) / 2
        near_end = (half + 6) / length
        options = []
        for step in range(LABEL_PLACES):
            share = near_end + (1 - 2 * near_end) * step / (LABEL_PLACES - 1)
            at = (x0 + (x1 - x0) * share, y0 + (y1 - y0) * share)
            ends = [(at[0] + (x1 - x0) * s, at[1] + (y1 - y0) * s - 7) for s in (-half / length, half / length)]
            boxes = [Box(part.left - 6, part.top - 6, part.right + 6, part.bottom + 6) for part in along([ends])]
            away = min(math.dist((part.left, part.top), (x - 7, y - 7)) for part in boxes for x, y in points)
            options.append((min(away, FAR_PX), at, boxes))
        _, at, boxes = max(options, key=lambda option: option[0])
        labels.append((label, *at, boxes))
    return labels


def _guides(
    lines: Sequence[_Line], labels: Sequence[tuple[str, float, float, list[Box]]], x: Axis, y: Axis
) -> list[alt.Chart]:
    if not lines:
        return []
    (x0, y0), (x1, y1) = (_pixels(x, y, end) for end in lines[0])
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 360
    words = [{"label": text, "x": x.value(left), "y": y.value(HEIGHT_PX - top)} for text, left, top, _ in labels]
    values = [{"x": a[0], "y": a[1], "x2": b[0], "y2": b[1]} for a, b in lines]
    rules = alt.Chart(alt.InlineData(values=values)).mark_rule(color="#bbbbbb", strokeDash=[4, 3])
    texts = alt.Chart(alt.InlineData(values=words)).mark_text(
        fontSize=style.SMALL_PX, color="#888888", angle=angle, dy=-7
    )
    return [
        rules.encode(alt.X("x:Q"), alt.Y("y:Q"), alt.X2("x2:Q"), alt.Y2("y2:Q")),
        texts.encode(alt.X("x:Q"), alt.Y("y:Q"), text="label:N"),
    ]


def _key(entries: Sequence[str]) -> alt.Chart:
    """The list of numbered models, in columns read downwards."""
    widest = max(style.text_px(entry, style.SMALL_PX) for entry in entries)
    columns = max(1, int((WIDTH_PX + 60) // (widest + 16)))
    deep = math.ceil(len(entries) / columns)
    values = [{"label": text, "x": (k // deep) * (widest + 16), "y": (k % deep) * 15} for k, text in enumerate(entries)]
    chart = alt.Chart(alt.InlineData(values=values)).mark_text(
        align="left", baseline="top", fontSize=style.SMALL_PX, color=style.MUTED
    )
    key: alt.Chart = chart.encode(
        alt.X("x:Q", scale=None, axis=None), alt.Y("y:Q", scale=None, axis=None), text="label:N"
    ).properties(width=WIDTH_PX, height=15 * deep)
    return key


def notes(drawn: pl.DataFrame) -> list[str]:
    """What the subtitle of a figure says of the points of its panels."""
    words = ["Thin lines: 95 % intervals."] if drawn["low"].is_not_null().any() else []
    words += ["B: maximum batch size of the point."] if captions.over_batch_sizes(drawn) else []
    words += [HOLLOW] if drawn["hollow"].any() else []
    return [" ".join(words)] if words else []


def left_out(rows: pl.DataFrame, drawn: pl.DataFrame) -> list[str]:
    """Lines on the models of `rows` that are not among those `drawn`."""
    lines = []
    for task, of_task in captions.by_task(rows):
        shown = drawn.filter(pl.col("task") == task)
        if of_task["energy_per_response_j"].is_null().all():
            lines.append(f"{captions.no_energy(task, of_task)}.")
        elif left := len(of_task) - len(shown):
            lines.append(f"not drawn, without energy or what it is set against: {left} of {len(of_task)} of {task}")
    return lines
