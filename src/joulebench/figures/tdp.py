"""What figures of the thermal design power share: the points that have a share of it, the colours of settings."""

import math
from collections.abc import Callable

import altair as alt
import polars as pl

from joulebench.analysis.sources import is_estimate
from joulebench.figures import by_setting, captions, style
from joulebench.tables.columns import BOUNDS

Draw = Callable[[str, pl.DataFrame, pl.DataFrame, bool, bool], style.Panel]
"""A panel of a task, its rows, all rows that are drawn, and whether it is the first of its figure, and the last."""

_COLORS = ((0xA9, 0xD8, 0xF5), (0x00, 0x72, 0xB2), (0x1E, 0x10, 0x3C))
"""Of the least batch size, or other value of an axis, the middle one and the largest."""


def shares(points: pl.DataFrame) -> pl.DataFrame:
    """The points of `points` (tables.POINTS), repeats pooled, with `share`; `times`, its inverse, low, high.

    share = power / (TDP x GPUs that drew it, or one device): that of the power drawn, and of the energy against what it
    would have been at the TDP, since both are over the same time. Null where the power or the TDP is not known, where a
    check voids the point, and where the power is CodeCarbon's estimate: that is the TDP times the load, no finding.
    """
    tdp_w = pl.when(captions.SHOWN & ~is_estimate() & (pl.col("tdp_w") > 0)).then(
        pl.col("tdp_w") * pl.col("gpus").fill_null(1)
    )
    share, low, high = (pl.col(f"power{bound}_w") / tdp_w for bound in BOUNDS)
    return (
        by_setting.pooled_points(points)
        .with_columns(
            share=share, times=_inverse(share), low=_inverse(high), high=_inverse(low), name=captions.run_name()
        )
        .sort("task", "run", "axis_value")
    )


def _inverse(share: pl.Expr) -> pl.Expr:
    return pl.when(share > 0).then(1 / share)


def figure(
    title: str, points: pl.DataFrame, value: str, panel: Draw, note: Callable[[pl.DataFrame], str]
) -> alt.ConcatChart:
    """A figure of `points` (tables.POINTS), one panel a task, all with the same axis.

    `value`: `share` or `times`; `panel`: see Draw; `note`: what is said of the points that have a value.
    """
    points, left_out = by_setting.along_one_axis(points)
    rows = shares(points)
    drawn = rows.filter(pl.col(value).is_not_null())
    having = captions.tasks(drawn)
    panels = [
        panel(task, of_task, drawn, task == having[0], task == having[-1])
        if task in having
        else style.message(alt.TitleParams(task), _nothing_to_draw(task, of_task))
        for task, of_task in captions.by_task(rows)
    ]
    notes = [note(drawn)] if having else []
    return style.figure(title, [*_subtitle(points, rows), *left_out, *notes], panels)


def _subtitle(points: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    drawn = rows.filter(pl.col("share").is_not_null())
    lines = captions.subtitle(points)
    if not drawn.is_empty():
        watts = [style.significant(watts) for watts in drawn["tdp_w"].unique().sort()]
        a_device = f"{' or '.join(watts)} W a device" if len(watts) <= 3 else f"{watts[0]} to {watts[-1]} W a device"
        lines.append(f"TDP: thermal design power, {a_device}.")
    estimates = rows.filter(is_estimate() & pl.col("energy_per_response_j").is_not_null())
    if not estimates.is_empty() and not drawn.is_empty():
        no_finding = "CodeCarbon's estimate is the TDP times the load, so its share of the TDP is no finding"
        count = "1 point" if len(estimates) == 1 else f"{len(estimates)} points"
        lines.append(f"{count} not drawn: {no_finding}.")
    return [*lines, *captions.repeats(drawn)]


def left_out(rows: pl.DataFrame) -> list[str]:
    """A line on the points of one task that have no share though nothing else names them, if there are any."""
    estimated = is_estimate() & pl.col("energy_per_response_j").is_not_null()
    left = rows.filter(pl.col("share").is_null() & ~estimated)
    return [] if left.is_empty() else [f"not drawn: {captions.why_not(left)}"]


def _nothing_to_draw(task: str, rows: pl.DataFrame) -> str:
    """Why none of `rows`, which are of `task`, has a share."""
    known = rows.filter(captions.SHOWN)
    if known.is_empty():
        return f"{captions.no_energy(task, rows)}: there is nothing to hold against the TDP."
    if known.select(is_estimate().all()).item():
        return f"The energy of {task} is CodeCarbon's estimate, which is made of the TDP itself."
    return f"No TDP is known of what served {task}."


def dots(data: pl.DataFrame) -> alt.Chart:
    chart: alt.Chart = alt.Chart(data).mark_circle(size=70, opacity=1, stroke="white", strokeWidth=0.8)
    return chart


def value_color(rows: pl.DataFrame, legend: bool) -> alt.Color:
    """The colour of `axis_value`, darker for larger, even in its logarithm; one scale for all `rows`."""
    sizes = rows["axis_value"].drop_nulls().unique().sort().to_list()
    doublings = math.log2(sizes[-1] / sizes[0]) or 1.0
    colors = [_between(math.log2(size / sizes[0]) / doublings) for size in sizes]
    shown = alt.Legend(
        orient="top",
        direction="horizontal",
        columns=12,
        title=by_setting.axis_title(rows),
        titleOrient="left",
        titleFontWeight="normal",
        offset=14,
    )
    scale = alt.Scale(domain=sizes, range=colors)
    return alt.Color("axis_value:O", scale=scale, legend=shown if legend else None)


def _between(share: float) -> str:
    part = min(int(share * (len(_COLORS) - 1)), len(_COLORS) - 2)
    rest = share * (len(_COLORS) - 1) - part
    pairs = zip(_COLORS[part], _COLORS[part + 1], strict=True)
    return "#" + "".join(f"{round(start + rest * (end - start)):02x}" for start, end in pairs)
