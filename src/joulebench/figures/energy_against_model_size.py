"""Energy against the number of parameters, each model at its best point: one panel for text, images and videos each."""

import math

import altair as alt
import polars as pl

from joulebench import families
from joulebench.analysis.choices import placed
from joulebench.figures import captions, scatter, style

BILLION = 1e9
GROUPS = {"response": "Text", "image": "Images", "video": "Videos"}
"""What a response is -> the title of its panel."""


def draw(leaderboard: pl.DataFrame) -> alt.ConcatChart:
    """Points from `leaderboard` (tables.LEADERBOARD).

    Text by energy per output token, since answers of two tasks have other lengths; the rest by energy per response.
    """
    is_text = families.TEXT.rows
    bounds = {"y": "", "low": "_low", "high": "_high"}
    rows = placed(leaderboard).with_columns(
        run=captions.run_label(),
        group=pl.col("task").map_elements(_word, return_dtype=pl.String),
        x=pl.col("parameters") / BILLION,
        hollow=pl.col("meets_latency_target").not_().fill_null(False),
        **{
            name: pl.when(is_text).then(f"energy_per_output_token{bound}_j").otherwise(f"energy_per_response{bound}_j")
            for name, bound in bounds.items()
        },
    )
    drawn = rows.filter(scatter.KNOWN)
    panels = [_panel(group, of) for group in GROUPS if not (of := rows.filter(pl.col("group") == group)).is_empty()]
    notes = scatter.notes(drawn)
    if _several_sizes(drawn):
        notes.append("Dashed: energy in proportion to parameters, through the geometric mean of a panel's points.")
    subtitle = [*captions.subtitle(leaderboard), *notes, *captions.repeats(drawn)]
    return style.figure("Energy against model size, each model at its best point", subtitle, panels)


def _word(task: str) -> str:
    return families.of(task).word(task)


def _several_sizes(drawn: pl.DataFrame) -> bool:
    """Whether models of one task have other numbers of parameters."""
    return bool(drawn.select((pl.col("x").n_unique().over("task") > 1).any()).item())


def _detail(row: dict[str, object]) -> str:
    whole = f"{style.significant(float(str(row['energy_per_response_j'])))} J per {_word(str(row['task']))}"
    return f"{whole}, {row['at']}"


def _panel(group: str, rows: pl.DataFrame) -> style.Panel:
    drawn = rows.filter(scatter.KNOWN)
    title = style.panel_title(GROUPS[group], scatter.left_out(rows, drawn))
    if drawn.is_empty():
        return style.message(title, "There is no energy to set against parameters.")
    points = drawn.with_columns(
        detail=pl.Series([_detail(row) for row in drawn.iter_rows(named=True)], dtype=pl.String)
    )
    x, y = scatter.axes(points)
    guides = []
    if _several_sizes(points):
        ratio = math.exp(points.select((pl.col("y") / pl.col("x")).log().mean()).item())
        guides = [(ratio, "")]
    per = "output token" if group == "response" else group
    y_title = captions.energy_title(drawn, f"Energy per {per} (J)")
    return scatter.panel(points, x, y, "Parameters (billions)", y_title, guides, title)
