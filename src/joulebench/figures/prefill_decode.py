"""What the prompt and the output of a response take of its energy, at each model's best point: one bar a model."""

from typing import Any

import altair as alt
import polars as pl

from joulebench.analysis.choices import placed
from joulebench.families import TEXT
from joulebench.figures import axes, captions, style

BAR_PX, ROW_PX = 14, 50
ABOVE_PX, BELOW_PX = -9, 10
"""Where a bar and the line of words under it lie, from the middle of their row."""
APART_PX = 3

PROMPT, OUTPUT, BOTH = "prompt (prefill)", "output (decode)", "both, not told apart"
# What a part of a bar stands for -> its colour, in the order of the legend.
PARTS = {PROMPT: style.SKY, OUTPUT: style.BLUE, BOTH: style.TDP_GREY}


def draw(leaderboard: pl.DataFrame) -> alt.ConcatChart:
    """Stacked bars from the text tasks of `leaderboard` (tables.LEADERBOARD)."""
    rows = _rows(placed(leaderboard.filter(TEXT.rows)))
    panels = [_panel(task, of_task) for task, of_task in captions.by_task(rows)]
    none = "No text task is among the results: only answers of tokens have a prompt to read and an output to decode."
    notes = []
    if rows["told"].any():
        notes = [
            "Told apart by regression over the seconds of the window: some hold more prompt tokens than others.",
            "Thin lines: 95 % intervals, of each part at its end; a part whose interval reaches 0 is not drawn as one."
            + (" B: maximum batch size." if captions.over_batch_sizes(rows) else ""),
        ]
    subtitle = [*captions.subtitle(rows), *notes, *captions.repeats(rows)]
    title = "Energy of the prompt and of the output, each model at its best point"
    return style.figure(title, subtitle, panels, none=None if leaderboard.is_empty() else none)


def _rows(leaderboard: pl.DataFrame) -> pl.DataFrame:
    """The rows with the energy of their parts in J a response, and whether both are told from 0."""
    parts = [
        (pl.col(f"energy_per_{token}_token{bound}_j") * pl.col(f"response_{part}_tokens")).alias(f"{part}{bound}")
        for part, token in (("prompt", "prompt"), ("output", "decoded"))
        for bound in ("", "_low", "_high")
    ]
    both = pl.col("prompt") + pl.col("output")
    return (
        leaderboard.with_columns(*parts, run=captions.run_label())
        .with_columns(
            total=pl.when(both > 0).then(both),
            told=((pl.col("prompt_low") > 0) & (pl.col("output_low") > 0)).fill_null(False),
        )
        .sort("task", "total", "run", nulls_last=True)
    )


def _parts(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a part of a bar: run, part, start, end, and the interval of its end."""
    told, both = rows.filter("told"), rows.filter(~pl.col("told") & pl.col("total").is_not_null())
    prompt, total, unknown = pl.col("prompt"), pl.col("total"), pl.lit(None, pl.Float64)
    ends = [
        (told, PROMPT, pl.lit(0.0), prompt, pl.col("prompt_low"), pl.col("prompt_high")),
        (told, OUTPUT, prompt, total, prompt + pl.col("output_low"), prompt + pl.col("output_high")),
        (both, BOTH, pl.lit(0.0), total, unknown, unknown),
    ]
    return pl.concat(
        frame.select("run", part=pl.lit(part), start=start, end=end, low=low, high=high)
        for frame, part, start, end, low, high in ends
    )


def _label(row: dict[str, Any]) -> str:
    if not row["told"]:
        return f"{style.significant(row['total'])} J: its parts are not known well enough"
    share = 100 * row["prompt"] / row["total"]
    return f"{style.significant(row['prompt'])} J prompt ({share:.0f} %) + {style.significant(row['output'])} J output"


def _detail(row: dict[str, Any]) -> str:
    prompt, output = (f"{row[f'response_{part}_tokens']:.0f} {part} tokens" for part in ("prompt", "output"))
    if row["told"]:
        prompt += f" at {style.significant(row['energy_per_prompt_token_j'])} J"
        output += f" at {style.significant(row['energy_per_decoded_token_j'])} J"
    return f"{prompt}, {output}, {row['at']}"


def _panel(task: str, rows: pl.DataFrame) -> style.Panel:
    known = rows.filter(pl.col("total").is_not_null())
    if known.is_empty():
        return style.message(alt.TitleParams(task), _why_nothing(task, rows))
    left = len(rows) - len(known)
    title = alt.TitleParams(task)
    if left:
        title.subtitle = [f"not drawn, without the energy of its parts: {left} of {len(rows)} models"]
    data = _parts(known).with_columns(low=pl.col("low").clip(lower_bound=0))
    words = known.select(
        "run",
        label=pl.Series([_label(row) for row in known.iter_rows(named=True)], dtype=pl.String),
        detail=pl.Series([_detail(row) for row in known.iter_rows(named=True)], dtype=pl.String),
        end=pl.max_horizontal("total", pl.when("told").then(pl.col("prompt") + pl.col("output_high"))),
    )
    x = axes.bar_axis("start", captions.energy_title(rows), words, grid=False)
    y = style.run_axis(known["run"].to_list())
    parts = [part for part in PARTS if part in set(data["part"])]
    legend = alt.Legend(orient="top", symbolType="square", offset=14)
    color = alt.Color("part:N", scale=alt.Scale(domain=parts, range=[PARTS[part] for part in parts]), legend=legend)
    tooltip = [alt.Tooltip("run:N", title="model"), alt.Tooltip("label:N"), alt.Tooltip("detail:N", title="tokens")]

    parted, texts = alt.Chart(data.join(words.drop("end"), on="run", maintain_order="left")), alt.Chart(words)
    label = texts.mark_text(align="left", dx=7, dy=ABOVE_PX, fontSize=style.LABEL_PX, color=style.INK)
    detail = texts.mark_text(align="left", dy=BELOW_PX, fontSize=style.SMALL_PX, color=style.MUTED)
    layers = [
        parted.mark_bar(size=BAR_PX, yOffset=ABOVE_PX).encode(x, y, color, alt.X2("end:Q"), tooltip=tooltip),
        # At heights of their own: those of a short bar's parts overlap.
        *axes.bar_intervals(data.filter(part=PROMPT), 5, y, yOffset=ABOVE_PX - APART_PX),
        *axes.bar_intervals(data.filter(part=OUTPUT), 5, y, yOffset=ABOVE_PX + APART_PX),
        label.encode(alt.X("end:Q"), y, alt.Text("label:N")),
        detail.encode(y, alt.Text("detail:N"), x=alt.value(1)),
    ]
    return alt.layer(*layers, title=title).properties(width=style.PANEL_PX, height=ROW_PX * len(known))


def _why_nothing(task: str, rows: pl.DataFrame) -> str:
    if rows["energy_per_response_j"].is_not_null().any():
        return f"The energy of {task} is known as a whole alone: its answers ended by themselves, or too soon."
    return f"{captions.no_energy(task, rows)}: there are no bars to draw."
