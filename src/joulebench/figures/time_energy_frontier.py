"""The least energy per response at each latency: a staircase a model over its frontier, one panel a task."""

from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl

from joulebench.analysis import choices
from joulebench.analysis.verdicts import Severity, has_severity
from joulebench.config.services import LatencyTarget, Targets
from joulebench.figures import against_latency as frame
from joulebench.figures import by_setting, captions, style
from joulebench.figures.axes import Axis, around, intervals

NAMED = len(style.PALETTE)  # models of a panel that have a colour and a name; those of the lowest frontier always do
BAND, OTHERS = "#dadada", "#c4c4c4"
FAINT_PX = 12


def draw(points: pl.DataFrame, pareto: pl.DataFrame, targets: Targets) -> alt.ConcatChart:
    """Staircases from `pareto` (tables.PARETO) among all `points` (tables.POINTS), with the tasks' `targets`."""
    known = choices.placed(points).select(*choices.NAMED, "weights", "load", "axis", "axis_value", "at").unique()
    names = {"run": captions.run_name(), "model": captions.entrant()}
    best = pareto.join(known, on=choices.NAMED, how="left", nulls_equal=True)
    beaten = (
        by_setting.pooled_points(points)
        .filter(captions.SHOWN)
        .join(best, on=choices.NAMED, how="anti", nulls_equal=True)
    )
    pale = beaten.join(best, on=choices.ENTRANT, how="semi", nulls_equal=True)
    best, pale = _steps(best.with_columns(**names)), pale.with_columns(energy="energy_per_response_j", **names)
    panels = []
    for task, of_task in captions.by_task(points.with_columns(model=captions.entrant())):
        pale_of, best_of = (table.filter(pl.col("task") == task) for table in (pale, best))
        panels.append(_panel(task, of_task, pale_of, best_of, targets.get(task)))
    title = "Least energy per response at each latency"
    subtitle = [*captions.subtitle(points), *_notes(pale, best)]
    return style.figure(title, subtitle, panels, frame.COLUMNS)


def _steps(pareto: pl.DataFrame) -> pl.DataFrame:
    """The frontiers as drawn: `lowest`, no point of any model beats it by the estimates; `step`, none of its own."""
    energy = pl.col("energy_per_response_j")

    def unbeaten(*group: str) -> pl.Expr:
        least = energy.cum_min().over(group)
        before = least.shift(1).over(group)
        return before.is_null() | (energy < before)

    return (
        pareto.sort("task", "latency_s", "energy_per_response_j", "model", "axis_value", "variant")
        .with_columns(lowest=unbeaten("task"), step=unbeaten("task", "model"))
        .with_columns(energy=energy, low="energy_per_response_low_j", high="energy_per_response_high_j")
        .rename({"latency_s": "latency"})
    )


def _notes(pale: pl.DataFrame, best: pl.DataFrame) -> list[str]:
    if best.is_empty():
        return []
    several = max(of_task["model"].n_unique() for of_task in best.partition_by("task")) > 1
    lines = [
        {
            "Steps: the least that a model draws within a latency.": True,
            "Grey band: the least of all models, whose answers are not equally good.": several,
        },
        {
            "Numbers at the points: maximum batch size.": captions.over_batch_sizes(best),
            "Thin lines: 95 % intervals.": best["low"].is_not_null().any(),
            "Diamonds: beaten by the estimates alone, not told apart by the intervals.": not best["step"].all(),
        },
        {
            "Pale points: beaten by another of the same model, or left out by a check.": not pale.is_empty(),
            f"Hollow points: {by_setting.overloaded(best)}.": (best["status"] == "overloaded").any(),
        },
    ]
    notes = [" ".join(text for text, said in line.items() if said) for line in lines]
    return [*filter(None, notes), *captions.repeats(best)]


def _panel(
    task: str, points: pl.DataFrame, pale: pl.DataFrame, best: pl.DataFrame, target: LatencyTarget | None
) -> style.Panel:
    if best.is_empty():
        _, lines = frame.target(target, "", [])
        valid = pl.col("energy_per_response_j").is_not_null() & has_severity(Severity.VALID)
        without_latency = not points.filter(valid).is_empty()
        missing = f"No latency was measured for {task}" if without_latency else captions.no_energy(task, points)
        title = alt.TitleParams(task, subtitle=lines)
        return style.message(title, f"{missing}: there is no frontier to draw.").properties(width=frame.WIDTH_PX)
    column = best["latency_metric"][0]
    pale = pale.select("model", "run", "at", "energy", latency=column).drop_nulls("latency")
    latencies = [*best["latency"], *pale["latency"]]
    limit, lines = frame.target(target, column, latencies)
    if without := points["model"].n_unique() - best["model"].n_unique():
        lines.append(
            f"not drawn, without a point that passed every check: {without} of {points['model'].n_unique()} models"
        )
    x_axis = Axis.over([*latencies, *([limit] if limit is not None else [])], frame.WIDTH_PX)
    seen = pl.concat([best.select("energy", "low", "high"), pale.select("energy", low="energy", high="energy")])
    y_axis = around(seen, "energy", frame.HEIGHT_PX)
    x = alt.X("latency:Q", title=frame.title(task, column), scale=x_axis.scale, axis=x_axis.axis)
    y = alt.Y("energy:Q", title=captions.energy_title(points), scale=y_axis.scale, axis=y_axis.axis)

    color, legend = _colors(best)
    best, pale = (table.join(legend, on="model", how="left") for table in (best, pale))
    layers = [
        *(_band(best, x, y, x_axis.high) if best["model"].n_unique() > 1 else []),
        *frame.target_rule(limit, x),
        alt.Chart(pale)
        .mark_point(filled=True, size=by_setting.POINT_PX * 0.7, opacity=0.3)
        .encode(x, y, color, tooltip=frame.hover()),
        *_stairs(best, x, y, color, x_axis.high),
        *_intervals(best, x, y, color, x_axis, y_axis),
        *_dots(best, x, y, color),
        _labels(best, x_axis, y_axis, limit),
    ]
    title = alt.TitleParams(task, subtitle=lines, offset=12)
    return alt.layer(*layers, title=title).properties(width=frame.WIDTH_PX, height=frame.HEIGHT_PX)


def _colors(best: pl.DataFrame) -> tuple[alt.Color, pl.DataFrame]:
    """The colour of a model, and `model`, `group`: its name in the legend, or that of all others."""
    lowest = best.filter("lowest")["model"].unique(maintain_order=True).to_list()
    rest = best.group_by("model").agg(pl.col("energy").min()).sort("energy", "model")["model"].to_list()
    models = [*lowest, *(model for model in rest if model not in lowest)]
    count = max(NAMED, len(lowest)) if len(models) > NAMED else len(models)
    others = f"{len(models) - count} other models"
    groups = [style.wrapped(model) if place < count else others for place, model in enumerate(models)]
    domain = list(dict.fromkeys(groups))
    colors = [OTHERS if name == others else style.PALETTE[i % NAMED] for i, name in enumerate(domain)]
    legend = alt.Legend(
        orient="bottom", columns=frame.COLUMNS, labelExpr=style.LINES, symbolType="circle", symbolOpacity=1, offset=8
    )
    color = alt.Color("group:N", scale=alt.Scale(domain=domain, range=colors), legend=legend)
    return color, pl.DataFrame({"model": models, "group": groups, "named": [name != others for name in groups]})


def _stairs(best: pl.DataFrame, x: alt.X, y: alt.Y, color: alt.Color, end: float) -> list[alt.Chart]:
    """A model's steps: the least energy within a latency, on to the end of the axis. Those of other models are thin."""
    steps = best.filter("step").select("model", "group", "named", "latency", "energy")
    last = steps.group_by("model", maintain_order=True).last().with_columns(latency=pl.lit(end))
    data = pl.concat([steps, last.select(steps.columns)]).sort("model", "latency")
    layers = []
    for named, width in ((False, 0.7), (True, 1.6)):
        line = alt.Chart(data.filter(named=named)).mark_line(interpolate="step-after", strokeWidth=width)
        layers.append(line.encode(x, y, color, alt.Detail("model:N"), alt.Order("latency:Q")))
    return layers


def _band(best: pl.DataFrame, x: alt.X, y: alt.Y, end: float) -> list[alt.Chart]:
    steps = best.filter("lowest").select("latency", "energy")
    data = pl.concat([steps, steps.tail(1).with_columns(latency=pl.lit(end))])
    line = alt.Chart(data).mark_line(interpolate="step-after", strokeWidth=9, color=BAND, strokeJoin="round")
    return [line.encode(x, y, order=alt.Order("latency:Q"))]


def _intervals(best: pl.DataFrame, x: alt.X, y: alt.Y, color: alt.Color, x_axis: Axis, y_axis: Axis) -> list[alt.Chart]:
    """Those of the named models' energy and latency, their ends kept inside the panel."""
    columns = ("group", "latency", "energy", "low", "high", "latency_low_s", "latency_high_s")
    data = best.filter("named").select(columns)
    upright = intervals(data, y_axis)
    level = intervals(data.with_columns(low="latency_low_s", high="latency_high_s"), x_axis)
    return [
        alt.Chart(upright).mark_rule(strokeWidth=1).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color),
        alt.Chart(level).mark_rule(strokeWidth=1).encode(alt.X("low:Q"), y, alt.X2("high:Q"), color),
    ]


def _dots(best: pl.DataFrame, x: alt.X, y: alt.Y, color: alt.Color) -> list[alt.Chart]:
    """A point for each row, a diamond where it is only tied with the frontier, hollow where it is overloaded."""
    named, size = pl.col("named"), by_setting.POINT_PX
    kinds: list[tuple[pl.Expr, dict[str, Any]]] = [
        (~named, {"size": FAINT_PX}),
        (named & pl.col("step"), {"size": size}),
        (named & ~pl.col("step"), {"size": size * 1.8, "shape": "diamond"}),
        (named & (pl.col("status") == "overloaded"), {"size": size / 2.5, "color": "white"}),
    ]
    data = best.select("group", "run", "at", "latency", "energy", "status", "step", "named")
    layers = []
    for where, look in kinds:
        points = alt.Chart(data.filter(where)).mark_point(filled=True, opacity=1, **look)
        channels = [x, y] if "color" in look else [x, y, color]
        layers.append(points.encode(*channels, tooltip=frame.hover()))
    return layers


def _labels(best: pl.DataFrame, x_axis: Axis, y_axis: Axis, limit: float | None) -> alt.Chart:
    """The setting, and the variant, beside each point that has room for it; the lowest frontier's first.

    Where models are too many to be named, the lowest frontier's alone.
    """
    variant = pl.when(pl.col("variant").is_not_null()).then(pl.format(" +{}", "variant")).otherwise(pl.lit(""))
    labelled = best.filter("named" if best["named"].all() else "lowest")
    points = labelled.sort("lowest", "step", "group", "latency", descending=[True, True, False, False])
    points = points.with_columns(label=by_setting.number() + variant)
    stairs = [model.select("latency", "energy").rows() for model in best.filter("step").partition_by("model")]
    lines = []
    for steps in stairs:
        corners = [frame.pixels(x_axis, y_axis, *step) for step in steps]
        turns = [turn for (_, y0), (x1, y1) in pairwise(corners) for turn in ((x1, y0), (x1, y1))]
        lines.append([corners[0], *turns, (x_axis.length_px, corners[-1][1])])
    for latency, low, high in intervals(best, y_axis).select("latency", "low", "high").iter_rows():
        lines.append([frame.pixels(x_axis, y_axis, latency, end) for end in (low, high)])
    return frame.labels(points, x_axis, y_axis, lines, limit, over_lines=False)
