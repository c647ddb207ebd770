"""What figures of whole sweeps share: which points they show, along which axis, and how they tell runs apart."""

from collections.abc import Iterable
from typing import Any

import altair as alt
import polars as pl

from joulebench.analysis.choices import POINT, placed, pooled
from joulebench.figures import captions, style
from joulebench.figures.axes import Axis, intervals

POINT_PX = 60  # an area, as Vega counts point sizes
AXES = {
    "max_batch_size": "Maximum batch size",
    "requests": "Requests at once",
    "rate_per_s": "Requests per second",
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
}
"""What a sweep varies -> the title of its axis."""

Channels = tuple[alt.Color, alt.Shape, alt.StrokeDash]


def pooled_points(points: pl.DataFrame) -> pl.DataFrame:
    """One row a point of `points` (tables.POINTS), its repeats pooled, placed, with its `run` as a legend names it."""
    return placed(pooled(points)).with_columns(run=captions.run_label())


def along_one_axis(points: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The points (tables.POINTS) of each task that one axis can hold, and lines of subtitle on those that it cannot.

    Of several loads and axes of a task these are a closed loop, or batches, over the batch size; else the first.
    """
    kept, lines = [points.clear()], []
    for of_task in points.partition_by("task", maintain_order=True):
        first, *others = sorted(of_task.partition_by("load", "axis", maintain_order=True), key=_unusual)
        kept.append(first)
        for other in others:
            task, load, axis = other.select("task", "load", "axis").row(0)
            count = other.select(POINT).n_unique()
            lines.append(f"not drawn: {count} of {task} ({captions.load_words(load)}, by {AXES[axis].lower()})")
    return pl.concat(kept), captions.lines(lines)


def _unusual(part: pl.DataFrame) -> tuple[bool, int]:
    return part["load"][0] not in captions.CLOSED, [*AXES].index(part["axis"][0])


def axis_title(rows: pl.DataFrame) -> str:
    """That of an axis, or a legend, of the `axis_value` of `rows`."""
    return " or ".join(AXES[axis] for axis in rows["axis"].unique(maintain_order=True))


def number() -> pl.Expr:
    """What stands beside a point where no axis tells its setting: `8` for a batch size, else `4 requests/s`."""
    of_batches = pl.col("axis") == "max_batch_size"
    return pl.when(of_batches).then(pl.col("axis_value").cast(pl.Int64).cast(pl.String)).otherwise("at")


def overloaded(rows: pl.DataFrame) -> str:
    """What it is that those of `rows` are which are overloaded."""
    loads = rows.filter(pl.col("status") == "overloaded")["load"]
    queued = [load not in captions.CLOSED for load in loads.unique(maintain_order=True)]
    why = {"memory, not the maximum, limits the batch": not all(queued)}
    why["requests come faster than they are served"] = any(queued)
    return f"overloaded ({' or '.join(words for words, is_so in why.items() if is_so)})"


def channels(rows: pl.DataFrame, columns: int) -> Channels:
    """Colour, shape and dashes of the runs of `rows` (run, tables.POINTS), above a legend of so many columns.

    The run with the most energy comes first. A model has one colour; its variants differ in shape and dashes.
    """
    highest = pl.col("energy_per_response_j").max().over("model")
    runs = rows.sort(-highest, "model", "run", nulls_last=True).select("run", "model").unique(maintain_order=True)
    names, of = runs["run"].to_list(), runs["model"].to_list()
    models = list(dict.fromkeys(of))
    colors = [style.PALETTE[models.index(model) % len(style.PALETTE)] for model in of]
    shapes = [style.SHAPES[colors[:i].count(color) % len(style.SHAPES)] for i, color in enumerate(colors)]
    dashes = [style.DASHES[of[:i].count(model) % len(style.DASHES)] for i, model in enumerate(of)]
    legend = alt.Legend(orient="bottom", columns=columns, labelExpr=style.LINES, symbolStrokeWidth=0, offset=8)
    return (
        alt.Color("run:N", scale=alt.Scale(domain=names, range=colors), legend=legend),
        alt.Shape("run:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
        alt.StrokeDash("run:N", scale=alt.Scale(domain=names, range=dashes), legend=None),
    )


def legend_columns(runs: Iterable[str], width_px: float) -> int:
    """How many of a legend's `runs` have room beside each other."""
    widest = max(style.text_px(line, style.LABEL_PX) for run in runs for line in run.split("\n"))
    return max(1, int(width_px // (widest + 40)))


def curves(
    data: pl.DataFrame, x: alt.X, y: alt.Y, y_axis: Axis, look: Channels, tooltip: list[alt.Tooltip], **rule: Any
) -> list[alt.Chart]:
    """A line a run along its sweep, the intervals (low, high), of a look of their own (`rule`), and the points.

    These are hollow where they are overloaded.
    """
    color, shape, dash = look
    points = alt.Chart(data).mark_point(filled=True, size=POINT_PX, opacity=1)
    overloaded = alt.Chart(data.filter(pl.col("status") == "overloaded"))
    hollows = overloaded.mark_point(filled=True, size=POINT_PX / 2.5, opacity=1, color="white")
    bars = alt.Chart(intervals(data, y_axis)).mark_rule(strokeWidth=1, **rule)
    return [
        alt.Chart(data).mark_line(strokeWidth=1.5).encode(x, y, color, dash, alt.Order("axis_value:Q")),
        bars.encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color),
        points.encode(x, y, color, shape, tooltip=tooltip),
        hollows.encode(x, y, shape, tooltip=tooltip),
    ]
