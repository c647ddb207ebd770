"""One study: energy per response against what varies, its knees, and what ramp, steady part and drain take of it."""

import math
import textwrap

import altair as alt
import numpy as np
import polars as pl

from joulebench import families
from joulebench.analysis.study import with_intervals
from joulebench.figures import by_setting, captions, style
from joulebench.figures.axes import Axis, around, intervals
from joulebench.figures.small_multiples import CROSS
from joulebench.tables.columns import BOUNDS

WIDTH_PX, HEIGHT_PX, KNEE_PX, SHARE_PX, GAP_PX = 720, 380, 17, 90, 40
PALE = 0.35
MARKED = ("low", "high", "status", "opacity")
UNSPLIT = "no steady part"
PARTS = {"ramp": style.ORANGE, "steady part": "#cfe9dc", "drain": style.BLUE, UNSPLIT: "white"}
"""A part of a point -> its colour, from the bottom of a bar."""

Look = tuple[alt.Color, alt.Shape]


def draw(table: pl.DataFrame, name: str, asks: str) -> alt.ConcatChart:
    """Curves and bars from the table of one study (tables.STUDY); repeats pooled as in by_setting.pooled_points.

    `name`: the study's; `asks`: what it asks.
    """
    title, question = name.replace("-", " ").capitalize(), asks.strip()
    words = textwrap.wrap(question[:1].upper() + question[1:], captions.LINE_CHARACTERS)
    if table.is_empty():
        return style.figure(title, words, [])
    rows = _rows(table)
    shown = ((pl.col("energy_per_response_j") > 0) & (pl.col("x") > 0)).fill_null(False)
    drawn, left = rows.filter(shown), rows.filter(~shown)
    about = [*words, *captions.subtitle(rows)]
    task = rows["task"][0]
    if drawn.is_empty():
        text = f"{captions.no_energy(task, rows)}: there is no curve to draw."
        return style.figure(title, about, [style.message(alt.TitleParams(task), text)])
    split = drawn.filter(pl.col("whole_energy_j") > 0)
    lines = [] if left.is_empty() else [f"not drawn: {captions.why_not(left)}"]
    panels = [_curves(drawn, style.panel_title(task, lines))]
    panels += [_shares(split)] if len(split) else []
    chart = style.figure(title, [*about, *_notes(drawn), *captions.repeats(drawn)], panels)
    chart.resolve.scale.fill = "independent"
    return chart


def _rows(table: pl.DataFrame) -> pl.DataFrame:
    """The pooled points by run, that with the most energy first, and by `x`, what varies.

    The study's figure is energy_per_response_j, null where it is no number, with the interval where it is of that
    figure: a whole has none of its own.
    """
    found = with_intervals(table)
    energy, low, high = (found[f"study_energy_per_response{end}_j"] for end in BOUNDS)
    given = found.with_columns(
        energy_per_response_j=pl.when(energy.is_finite()).then(energy),
        energy_per_response_low_j=low,
        energy_per_response_high_j=high,
    )
    pooled = by_setting.pooled_points(given)
    most = pl.col("energy_per_response_j").max().over("model")
    return pooled.with_columns(
        x="axis_value",
        low="energy_per_response_low_j",
        high="energy_per_response_high_j",
        opacity=pl.when(captions.DOUBTED).then(PALE).otherwise(1.0),
    ).sort(-most, "model", "run", "x", nulls_last=True)


def _notes(drawn: pl.DataFrame) -> list[str]:
    """What the marks stand for, in as few lines as hold it."""
    notes = []
    if drawn["whole_energy_per_response_j"].is_not_null().any():
        notes.append("Full lines: all of a point, its ramp and drain included.")
        if drawn["steady_energy_per_response_j"].is_not_null().any():
            notes.append("Dashed lines, hollow points: its steady part alone.")
    if drawn["low"].is_not_null().any():
        notes.append("Thin upright lines: 95 % intervals.")
    if drawn["knee"].is_not_null().any():
        notes.append("Ticks and bars: each knee and its 95 % interval.")
    if (drawn["status"] == "overloaded").any():
        notes.append(f"Crosses: {by_setting.overloaded(drawn)}.")
    if (drawn["opacity"] == PALE).any():
        notes.append("Pale: a check flagged the point or voids it.")
    return textwrap.wrap(" ".join(notes), captions.LINE_CHARACTERS)


def _look(drawn: pl.DataFrame) -> Look:
    """Colour and shape of each run, variants of one model too: no two neighbours have one of either."""
    names = drawn["run"].unique(maintain_order=True).to_list()
    colors = [style.PALETTE[i % len(style.PALETTE)] for i in range(len(names))]
    shapes = [style.SHAPES[i % len(style.SHAPES)] for i in range(len(names))]
    columns = by_setting.legend_columns(names, WIDTH_PX)
    legend = alt.Legend(orient="bottom", columns=columns, labelExpr=style.LINES, symbolStrokeWidth=0, offset=10)
    return (
        alt.Color("run:N", scale=alt.Scale(domain=names, range=colors), legend=legend),
        alt.Shape("run:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
    )


def _curves(drawn: pl.DataFrame, title: alt.TitleParams) -> style.Panel:
    data, steady = (
        drawn.select("run", "x", pl.col(f"{part}energy_per_response_j").alias("energy"), *MARKED)
        for part in ("", "steady_")
    )
    steady = steady.filter(drawn["whole_energy_per_response_j"].is_not_null() & (pl.col("energy") > 0))
    x_axis = Axis.over(drawn["x"], WIDTH_PX, log=True)
    y_axis = around(pl.concat([data, steady]), "energy", HEIGHT_PX, log=True)
    task = drawn["task"][0]
    words = captions.energy_title(drawn, f"Energy per {families.of(task).word(task)} (J)")
    y = alt.Y("energy:Q", title=words, scale=y_axis.scale, axis=y_axis.axis)
    color, shape = look = _look(drawn)
    knees = _knees(drawn)
    titled = alt.X("x:Q", title=by_setting.axis_title(drawn), scale=x_axis.scale, axis=x_axis.axis)
    ticks = alt.Axis(values=x_axis.ticks, labels=False)
    x = titled if knees.is_empty() else alt.X("x:Q", title=None, scale=x_axis.scale, axis=ticks)
    opacity = alt.Opacity("opacity:Q", scale=None, legend=None)
    tooltip = [
        *style.hover("run"),
        alt.Tooltip("x:Q", title=by_setting.axis_title(drawn), format=style.NUMBER_FORMAT),
        *style.hover(energy=words),
        *style.hover("status"),
    ]
    order, over = alt.Order("x:Q"), pl.col("status") == "overloaded"
    whole = alt.Chart(data.filter(~over)).mark_point(filled=True, opacity=1, size=by_setting.POINT_PX)
    hollow = alt.Chart(steady).mark_point(filled=False, fill="white", size=0.7 * by_setting.POINT_PX, strokeWidth=1.3)
    under = alt.Chart(pl.concat([data, steady]).filter(pl.col("opacity") < 1))
    crosses = alt.Chart(data.filter(over)).mark_point(shape=CROSS, filled=False, size=81, strokeWidth=2.2)
    layers = [
        alt.Chart(data).mark_line(strokeWidth=1.6).encode(x, y, color, order),
        alt.Chart(steady).mark_line(strokeWidth=1.2, strokeDash=[5, 3]).encode(x, y, color, order),
        alt.Chart(intervals(data, y_axis)).mark_rule(strokeWidth=1).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color),
        alt.Chart(knees).mark_tick(size=20, thickness=2, opacity=1, orient="vertical").encode(x, y, color),
        under.mark_point(filled=True, opacity=1, size=by_setting.POINT_PX, color="white").encode(x, y, shape),
        hollow.encode(x, y, color, shape, opacity, tooltip=tooltip),
        whole.encode(x, y, color, shape, opacity, tooltip=tooltip),
        crosses.encode(x, y, color, opacity, tooltip=tooltip),
    ]
    panel = alt.layer(*layers, title=title).properties(width=WIDTH_PX, height=HEIGHT_PX)
    if knees.is_empty():
        return panel
    both: alt.VConcatChart = alt.vconcat(panel, _knee_rows(knees, titled, look), spacing=8)
    both = both.resolve_scale(color="shared", shape="shared")
    return both


def _knees(drawn: pl.DataFrame) -> pl.DataFrame:
    """One row a run that has a knee, in the legend's order: x, low, high, label, the energy of its curve there, px."""
    found: list[tuple[object, ...]] = []
    for of in drawn.partition_by("run", maintain_order=True):
        x, low, high = of.select("knee", "knee_low", "knee_high").row(0)
        if x is not None:
            energy = np.exp(np.interp(np.log(x), of["x"].log(), of["energy_per_response_j"].log()))
            at, *ends = (style.significant(value, 2) for value in (x, low, high))
            label = f"knee at {at} ({' to '.join(ends)})"
            found.append((of["run"][0], x, low, high, float(energy), label, KNEE_PX * (len(found) + 0.5)))
    names = {"run": pl.String, **dict.fromkeys(("x", "low", "high", "energy"), pl.Float64), "label": pl.String}
    return pl.DataFrame(found, schema={**names, "px": pl.Float64}, orient="row")


def _knee_rows(knees: pl.DataFrame, x: alt.X, look: Look) -> style.Panel:
    """Under the curves, a row a knee: its interval, itself and its words."""
    color, shape = look
    y = alt.Y("px:Q", scale=None, axis=None)
    chart = alt.Chart(knees)
    text = chart.mark_text(align="left", baseline="middle", dx=22, fontSize=style.SMALL_PX, color=style.INK)
    layers = [
        chart.mark_bar(size=7, opacity=PALE).encode(alt.X("low:Q"), y, color, alt.X2("high:Q")),
        chart.mark_tick(size=13, thickness=2.5, opacity=1, orient="vertical").encode(x, y, color),
        chart.mark_point(filled=True, opacity=1, size=by_setting.POINT_PX, xOffset=12).encode(
            y, color, shape, x=alt.value(WIDTH_PX)
        ),
        text.encode(y, x=alt.value(WIDTH_PX), text="label:N"),
    ]
    return alt.layer(*layers).properties(width=WIDTH_PX, height=KNEE_PX * len(knees))


def _shares(split: pl.DataFrame) -> style.Panel:
    """A row of bars a run, a bar a point: the parts of what it drew, which add up to all of it."""
    energies = [pl.col(f"{part}_energy_j") for part in ("ramp", "steady", "drain")]
    whole = pl.sum_horizontal(*energies, ignore_nulls=False)
    whole = pl.when(whole > 0).then(whole)
    parted = split.with_columns((energy / whole).alias(part) for part, energy in zip(PARTS, energies, strict=False))
    parted = parted.with_columns(pl.when(pl.col("ramp").is_null()).then(1.0).alias(UNSPLIT))
    data = parted.unpivot(list(PARTS), index=["run", "x"], variable_name="part", value_name="share").drop_nulls("share")
    data = data.with_columns(order=pl.col("part").replace_strict(list(PARTS), list(range(len(PARTS)))))
    values, runs = sorted(set(split["x"])), split["run"].unique(maintain_order=True).to_list()
    width = WIDTH_PX if len(runs) == 1 else (WIDTH_PX - GAP_PX) / 2
    room = max(style.text_px(f"{value:,.6g}", style.SMALL_PX) for value in values) + 2
    labelled = values[::-1][:: math.ceil(room * len(values) / width)]
    format_ = f"indexof({labelled}, datum.value) < 0 ? '' : format(datum.value, '{style.NUMBER_FORMAT}')"
    axis = alt.Axis(labelExpr=format_, labelAngle=0, labelFontSize=style.SMALL_PX, labelOverlap=False, ticks=False)
    x = alt.X("x:O", title=None, scale=alt.Scale(domain=values, paddingInner=0.2), axis=axis)
    y = alt.Y("share:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=[0, 0.5, 1], format="%"))
    colors = {part: color for part, color in PARTS.items() if part in set(data["part"])}
    legend = alt.Legend(orient="top", symbolType="square", symbolSize=160, offset=10)
    fill = alt.Fill("part:N", scale=alt.Scale(domain=list(colors), range=list(colors.values())), legend=legend)
    tooltip = [alt.Tooltip("x:Q"), alt.Tooltip("part:N"), alt.Tooltip("share:Q", format=".1%")]
    mark = alt.Chart(data).mark_bar(stroke="#999999", strokeWidth=0.5).properties(width=width, height=SHARE_PX)
    bars = mark.encode(x, y, fill, alt.Order("order:Q"), tooltip=tooltip)
    header = alt.Header(title=None, labelExpr=style.LINES, labelAnchor="start", labelFontWeight="bold", labelLimit=0)
    facet = alt.Facet("run:N", sort=runs, header=header)
    by, spacing = by_setting.axis_title(split), alt.RowColnumber(row=20, column=8)
    title = f"Parts of what a point drew, by {by[:1].lower()}{by[1:]}"
    rows: alt.FacetChart = bars.facet(facet, columns=2, spacing=spacing, title=title)
    rows = rows.resolve_axis(x="independent", y="independent")
    return rows
