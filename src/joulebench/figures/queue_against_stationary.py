"""Energy per output token of the queue window over that of the stationary one, along a sweep: one line a run.

Both are plain ratios of what was drawn to what was served: the queue window has no adjusted one.
"""

import math

import altair as alt
import polars as pl

from joulebench.families import TEXT
from joulebench.figures import by_setting, captions, style
from joulebench.figures.axes import Axis

COLUMNS = 2
WIDTH_PX, HEIGHT_PX = 440, 300
SAME = 1.0
MOST_TICKS = 9
APART_PX, WIDEST_PX = 5.0, 30.0
"""Between two runs' points of one setting, and between the outermost ones."""
MANY, FAINT = 12, 0.35
"""With more runs than that, the intervals are faint."""
SPREAD = 0.1
"""How far an interval may stretch the axis beyond the ratios; what is further out is cut at the panel's edge."""


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Lines from the text tasks of `points` (tables.POINTS), a panel a task; repeats pooled as by_setting does."""
    queue, stationary = pl.col("queue_energy_per_output_token_j"), pl.col("plain_energy_per_output_token_j")
    least = pl.col("plain_energy_per_output_token_low_j")
    shown = stationary.is_not_null() & ~captions.INVALID
    text, left_out = by_setting.along_one_axis(points.filter(TEXT.rows))
    rows = (
        by_setting.pooled_points(text)
        .with_columns(
            ratio=pl.when(shown).then(queue / stationary),
            low=queue / pl.col("plain_energy_per_output_token_high_j"),
            high=pl.when(least > 0).then(queue / least).when(least <= 0).then(math.inf),
        )
        .sort("task", "run", "axis_value")
    )
    panels = [_panel(task, of_task) for task, of_task in captions.by_task(rows)]
    none = "No text task is among the results: only a text task has a queue window beside its stationary one."
    notes = [*left_out]
    drawn = rows.filter(pl.col("ratio").is_not_null())
    if not drawn.is_empty():
        notes += [
            "Queue window: from the full batch to the last waiting request, as others publish it. "
            "Stationary window: the same without its first turnover.",
            "Below 1 the queue window makes a response look cheaper than it is in the long run.",
        ]
        if drawn["low"].is_not_null().any():
            notes.append(
                "Thin lines: the 95 % interval of the stationary figure, the queue window's taken as given; cut at the "
                "panel's edge where it is very wide. Points of one "
                f"{'batch size' if captions.over_batch_sizes(drawn) else 'setting'} stand side by side."
            )
        notes += [f"Hollow points: {by_setting.overloaded(drawn)}."] if (drawn["status"] == "overloaded").any() else []
        notes += captions.repeats(rows)
    subtitle = [*captions.subtitle(text), *notes]
    title = "Energy of the queue window against the stationary window"
    return style.figure(title, subtitle, panels, COLUMNS, None if points.is_empty() else none)


def _panel(task: str, rows: pl.DataFrame) -> style.Panel:
    drawn = rows.filter(pl.col("ratio").is_not_null())
    if drawn.is_empty():
        return style.message(alt.TitleParams(task), _why_nothing(task, rows))
    left = rows.filter(pl.col("ratio").is_null())
    without = left.filter(_no_queue())
    left = left.filter(~_no_queue())
    lines = [] if without.is_empty() else [f"not drawn: {without.height} {_STARTED}"]
    lines += [] if left.is_empty() else [f"not drawn, without both windows' energy: {captions.why_not(left)}"]
    values = sorted(set(drawn["axis_value"]))
    x_axis = Axis.over(values, WIDTH_PX, log=True)
    y_axis = _ratio_axis(drawn)
    across = alt.Axis(values=values, labelFlush=False)
    x = alt.X("place:Q", title=by_setting.axis_title(drawn), scale=x_axis.scale, axis=across)
    ticks = alt.Axis(values=style.linear_ticks(y_axis.low, y_axis.high, MOST_TICKS), format=style.NUMBER_FORMAT)
    y = alt.Y("ratio:Q", title="Queue window over stationary window", scale=y_axis.scale, axis=ticks)
    tooltip = [
        *style.hover("run", "at"),
        alt.Tooltip("ratio:Q", title="queue over stationary", format=".3f"),
        *style.hover(queue="queue window (J per output token)", stationary="stationary window (J per output token)"),
    ]
    data = drawn.select(
        "run",
        "at",
        "axis_value",
        _places(drawn, x_axis),
        "ratio",
        pl.col("low", "high").clip(y_axis.low, y_axis.high),
        "status",
        queue="queue_energy_per_output_token_j",
        stationary="plain_energy_per_output_token_j",
    )
    opacity = 1 if drawn["run"].n_unique() <= MANY else FAINT
    look = by_setting.channels(drawn, COLUMNS)
    layers = [*_same(y), *by_setting.curves(data, x, y, y_axis, look, tooltip, strokeOpacity=opacity)]
    title = alt.TitleParams(task, subtitle=lines, offset=12)
    return alt.layer(*layers, title=title).properties(width=WIDTH_PX, height=HEIGHT_PX)


def _ratio_axis(drawn: pl.DataFrame) -> Axis:
    """Room for every ratio and for 1, and for the intervals as far as they do not stretch the axis by much."""
    lowest, highest = min(SAME, *drawn["ratio"]), max(SAME, *drawn["ratio"])
    ends = drawn.select(
        pl.col("low").clip(lower_bound=lowest - SPREAD), pl.col("high").clip(upper_bound=highest + SPREAD)
    )
    return Axis.over([lowest, highest, *ends["low"].drop_nulls(), *ends["high"].drop_nulls()], HEIGHT_PX, log=False)


def _places(drawn: pl.DataFrame, axis: Axis) -> pl.Series:
    """Where on the axis the rows stand: beside their setting, each run at its own distance from it."""
    runs = sorted(set(drawn["run"]))
    apart_px = min(APART_PX, WIDEST_PX / len(runs))
    shifts = {run: (place - (len(runs) - 1) / 2) * apart_px for place, run in enumerate(runs)}
    found = [axis.value(axis.px(at) + shifts[run]) for run, at in drawn.select("run", "axis_value").iter_rows()]
    return pl.Series("place", found, dtype=pl.Float64)


def _same(y: alt.Y) -> list[alt.Chart]:
    chart = alt.Chart(alt.InlineData(values=[{"ratio": SAME, "label": "the same"}]))
    text = chart.mark_text(align="left", baseline="middle", dx=5, fontSize=style.SMALL_PX, color=style.INK)
    return [
        chart.mark_rule(color=style.INK, strokeWidth=1.6).encode(y),
        text.encode(y, x=alt.value(WIDTH_PX), text="label:N"),
    ]


_STARTED = "without a queue window, as after a start in equilibrium"


def _no_queue() -> pl.Expr:
    stationary, queue = (pl.col(f"{name}_energy_per_output_token_j") for name in ("plain", "queue"))
    return stationary.is_not_null() & queue.is_null()


def _why_nothing(task: str, rows: pl.DataFrame) -> str:
    if rows.filter(~_no_queue()).is_empty():
        return f"No point of {task} has a queue window: after a start in equilibrium there is none."
    if rows["plain_energy_per_output_token_j"].is_not_null().any():
        return f"The energy of both windows is known at no point of {task}: there is no ratio to draw."
    return f"No energy was measured for {task}: there is no ratio to draw."
