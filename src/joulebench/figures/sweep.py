"""What figures of whole sweeps share: which points they show, and how they tell runs apart."""

import altair as alt
import polars as pl

from joulebench.analysis.repeats import POINT, pooled
from joulebench.analysis.verdicts import VALID
from joulebench.figures import captions, style

POINT_PX = 60  # an area, as Vega counts point sizes
OVERLOADED = "Hollow points: overloaded (memory, not the maximum, limits the batch)."

Channels = tuple[alt.Color, alt.Shape, alt.StrokeDash]


def pooled_points(points: pl.DataFrame, shown: pl.Expr) -> pl.DataFrame:
    """One row a point of `points` (tables.POINTS) and its `run`, as a legend names it.

    Of the repeats that are `shown` the valid ones are pooled, or those that are flagged where none is valid.
    """
    valid = shown & (pl.col("verdict") == VALID).fill_null(False)
    return pooled(points, valid | shown & ~valid.any().over(POINT)).with_columns(
        run=captions.run_name().map_elements(style.wrapped, return_dtype=pl.String)
    )


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


def dots(data: pl.DataFrame, x: alt.X, y: alt.Y, look: Channels, tooltip: list[alt.Tooltip]) -> list[alt.Chart]:
    """A point for each row, hollow where it is overloaded."""
    color, shape, _ = look
    points = alt.Chart(data).mark_point(filled=True, size=POINT_PX, opacity=1)
    overloaded = alt.Chart(data.filter(pl.col("status") == "overloaded"))
    hollows = overloaded.mark_point(filled=True, size=POINT_PX / 2.5, opacity=1, color="white")
    return [
        points.encode(x, y, color, shape, tooltip=tooltip),
        hollows.encode(x, y, shape, tooltip=tooltip),
    ]
