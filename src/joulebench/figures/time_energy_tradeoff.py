"""Energy per response against latency over a run's sweep: one line a run, one panel a task."""

import altair as alt
import polars as pl

from joulebench.config.services import LatencyTarget, Targets
from joulebench.families import FAMILIES, of
from joulebench.figures import against_latency as frame
from joulebench.figures import by_setting, captions, style
from joulebench.figures.axes import Axis, around, intervals

CROWDED = 60  # points of a panel, from which on a label is left out rather than set over a line


def draw(points: pl.DataFrame, targets: Targets) -> alt.ConcatChart:
    """Lines from `points` (tables.POINTS), with the tasks' latency targets.

    The repeats of a point are pooled: the valid ones, or those that are flagged where none is valid.
    """
    points, left_out = by_setting.along_one_axis(points)
    rows = (
        by_setting.pooled_points(points)
        .with_columns(
            latency=pl.coalesce(pl.when(family.rows).then(family.latency) for family in FAMILIES),
            energy=pl.when(captions.SHOWN).then("energy_per_response_j"),
            low=pl.col("energy_per_response_low_j"),
            high=pl.col("energy_per_response_high_j"),
        )
        .sort("task", "run", "axis_value")
    )
    panels = [_panel(task, of_task, targets.get(task)) for task, of_task in captions.by_task(rows)]
    notes = [*left_out]
    if rows["energy"].is_not_null().any():
        said = ["Numbers at the points: maximum batch size."] if captions.over_batch_sizes(rows) else []
        said += ["Thin lines: 95 % intervals."] if rows["low"].is_not_null().any() else []
        notes += [" ".join(said)] if said else []
        if (rows["status"] == "overloaded").any():
            notes.append(f"Hollow points: {by_setting.overloaded(rows)}.")
        notes += captions.repeats(rows)
    subtitle = [*captions.subtitle(points), *notes]
    return style.figure("Energy per response against latency", subtitle, panels, frame.COLUMNS)


def _panel(task: str, rows: pl.DataFrame, target: LatencyTarget | None) -> style.Panel:
    drawn = rows.filter(pl.col("energy").is_not_null() & pl.col("latency").is_not_null())
    column = of(task).latency
    latencies = drawn["latency"].to_list()
    limit, lines = frame.target(target, column, latencies)
    if drawn.is_empty():
        missing = "energy" if rows["energy"].is_null().all() else "latency"
        text = f"No {missing} was measured for {task}: there is no trade-off to draw."
        return style.message(alt.TitleParams(task, subtitle=lines), text)
    if len(drawn) < len(rows):
        left = rows.filter(pl.col("energy").is_null() | pl.col("latency").is_null())
        lines.append(f"not drawn, without energy or latency: {captions.why_not(left)}")

    x_axis = Axis.over([*latencies, *([limit] if limit is not None else [])], frame.WIDTH_PX)
    y_axis = around(drawn, "energy", frame.HEIGHT_PX)
    x = alt.X("latency:Q", title=frame.title(task, column), scale=x_axis.scale, axis=x_axis.axis)
    y = alt.Y("energy:Q", title=captions.energy_title(rows), scale=y_axis.scale, axis=y_axis.axis)
    data = drawn.select("run", "at", "axis_value", "latency", "energy", "low", "high", "status")
    look, tooltip = by_setting.channels(drawn, frame.COLUMNS), [*frame.hover(), *style.hover("status")]
    layers = [
        *frame.target_rule(limit, x),
        *by_setting.curves(data, x, y, y_axis, look, tooltip),
        _settings(drawn, x_axis, y_axis, limit),
    ]
    title = alt.TitleParams(task, subtitle=lines, offset=12)
    return alt.layer(*layers, title=title).properties(width=frame.WIDTH_PX, height=frame.HEIGHT_PX)


def _settings(drawn: pl.DataFrame, x_axis: Axis, y_axis: Axis, limit: float | None) -> alt.Chart:
    """The setting beside each point that has room for it; the ends of the lines choose first."""
    value = pl.col("axis_value")
    at_end = (value == value.min().over("run")) | (value == value.max().over("run"))
    points = drawn.with_columns(at_end=at_end, label=by_setting.number())
    points = points.sort("at_end", "run", "axis_value", descending=[True, False, False])
    lines = [run.select("latency", "energy").rows() for run in drawn.partition_by("run")]
    bars = intervals(drawn, y_axis).select("latency", "low", "high").rows()
    lines += [[(latency, low), (latency, high)] for latency, low, high in bars]
    drawn_px = [[frame.pixels(x_axis, y_axis, *at) for at in line] for line in lines]
    return frame.labels(points, x_axis, y_axis, drawn_px, limit, over_lines=len(points) <= CROWDED)
