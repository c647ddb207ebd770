"""Output length and its part in energy: a response's energy is its output tokens times the energy of each.

One panel of all text tasks, and one bar chart a task of how far each factor is from the mean of the task.
"""

import math
from typing import Any

import altair as alt
import polars as pl

from joulebench.analysis.choices import placed
from joulebench.families import TEXT
from joulebench.figures import captions, scatter, style

BAR_PX, ROW_PX, OFFSET_PX = 9, 32, 5
LEAST_FACTOR = 1.25
TICKS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
LENGTH, ENERGY = "output tokens", "energy per output token"
PARTS = {LENGTH: (style.ORANGE, -OFFSET_PX), ENERGY: (style.BLUE, OFFSET_PX)}
"""A factor -> its colour and its place in the row."""


def draw(leaderboard: pl.DataFrame) -> alt.ConcatChart:
    """Points and bars from the text tasks of `leaderboard` (tables.LEADERBOARD)."""
    of_text = leaderboard.filter(TEXT.rows)
    rows = placed(of_text).with_columns(
        run=captions.run_label(),
        x=pl.col("response_output_tokens"),
        y=pl.col("energy_per_response_j"),
        low=pl.col("energy_per_response_low_j"),
        high=pl.col("energy_per_response_high_j"),
        each=pl.col("energy_per_response_j") / pl.col("response_output_tokens"),
        hollow=pl.col("meets_latency_target").not_().fill_null(False),
    )
    drawn = rows.filter(scatter.KNOWN)
    panels = [] if rows.is_empty() else [_plane(rows, drawn)]
    panels += [_factors(task, of_task) for task, of_task in captions.by_task(drawn) if len(of_task) > 1]
    none = "No text task is among the results: only answers of tokens have a length."
    notes = [*scatter.notes(drawn)]
    if len(drawn):
        notes.append(
            "Tokens are of the tokenizer that a model was run with: an answer may have more in one than in another."
        )
    subtitle = [*captions.subtitle(of_text), *notes, *captions.repeats(drawn)]
    title = "Output length and its part in energy, each model at its best point"
    return style.figure(title, subtitle, panels, none=None if leaderboard.is_empty() else none)


def _product(row: dict[str, Any]) -> str:
    return f"{row['x']:.0f} tokens × {style.significant(row['each'])} J"


def _plane(rows: pl.DataFrame, drawn: pl.DataFrame) -> style.Panel:
    title = style.panel_title("Energy per response by output length", scatter.left_out(rows, drawn))
    if drawn.is_empty():
        return style.message(title, "There is no energy to set against a length.")
    points = drawn.with_columns(
        detail=pl.Series([f"{_product(row)}, {row['at']}" for row in drawn.iter_rows(named=True)], dtype=pl.String)
    )
    x, y = scatter.axes(points)
    guides = [(ratio, f"{ratio:g} J/token") for ratio in style.log_ticks(y.low / x.high, y.high / x.low)]
    return scatter.panel(points, x, y, "Output tokens of a response, mean", captions.energy_title(drawn), guides, title)


def _factors(task: str, rows: pl.DataFrame) -> style.Panel:
    """Both factors of each model over their geometric means in the task; the product is that of its energy."""
    data = rows.sort("y", "run").with_columns(
        (pl.col(column) / pl.col(column).log().mean().exp()).alias(part)
        for part, column in ((LENGTH, "x"), (ENERGY, "each"))
    )
    spread = [style.significant(max(data[column]) / min(data[column])) for column in ("x", "each")]
    lines = [f"greatest factor between two models: {spread[0]} in output tokens, {spread[1]} in the energy of each"]
    least, most = (data.select(end(*PARTS)).to_series() for end in (pl.min_horizontal, pl.max_horizontal))
    low, high = min(1 / LEAST_FACTOR, *least), max(LEAST_FACTOR, *most)
    words = [f"{_product(row)} = {style.significant(row['y'])} J" for row in data.iter_rows(named=True)]
    room = max(style.text_px(text, style.LABEL_PX) for text in words) + 16
    span = math.log(high / low) / (1 - room / style.PANEL_PX - 0.02)
    ends = [low * math.exp(-0.02 * span), low * math.exp(-0.02 * span + span)]
    ticks = (
        [tick for tick in TICKS if low / 1.01 <= tick <= high * 1.01]
        if high / low < TICKS[-1]
        else style.log_ticks(low, high)
    )
    x = alt.X(
        "factor:Q",
        title="Factor over the geometric mean of the task",
        scale=alt.Scale(type="log", domain=ends, nice=False),
        axis=alt.Axis(values=ticks, format=style.NUMBER_FORMAT, labelFlush=False),
    )
    y = style.run_axis(data["run"].to_list())
    colors = [color for color, _ in PARTS.values()]
    legend = alt.Legend(orient="top", symbolType="square", offset=14)
    color = alt.Color("part:N", scale=alt.Scale(domain=list(PARTS), range=colors), legend=legend)
    one = alt.Chart(alt.InlineData(values=[{"factor": 1.0}])).mark_rule(color=style.MUTED).encode(alt.X("factor:Q"))
    layers = []
    for part, (_, offset) in PARTS.items():
        bars = alt.Chart(data.select("run", part=pl.lit(part), one=pl.lit(1.0), factor=part))
        mark = bars.mark_bar(size=BAR_PX, yOffset=offset)
        layers.append(mark.encode(x, y, color, alt.X2("one:Q"), tooltip=style.hover("run", factor=part)))
    texts = alt.Chart(data.select("run", label=pl.Series(words, dtype=pl.String)))
    label = texts.mark_text(align="right", fontSize=style.LABEL_PX, color=style.INK)
    layers += [one, label.encode(y, text="label:N", x=alt.value(style.PANEL_PX))]
    return alt.layer(*layers, title=style.panel_title(task, lines)).properties(
        width=style.PANEL_PX, height=ROW_PX * len(data)
    )
