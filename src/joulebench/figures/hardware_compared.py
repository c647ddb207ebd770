"""Hardware compared at equal latency targets: a model's energy per response on each piece, one panel a task."""

from typing import Any

import altair as alt
import polars as pl

from joulebench.analysis.choices import ENTRANT, placed
from joulebench.analysis.sources import is_estimate
from joulebench.analysis.verdicts import USABLE, severity
from joulebench.config.services import LatencyTarget, Targets
from joulebench.figures import axes, captions, style

BAR_PX, STEP_PX, BETWEEN_PX = 12, 17, 12
"""A bar, from one bar to the next, and between two models."""
PALE = 0.3
"""The opacity of a bar that misses the latency target."""


def draw(leaderboard: pl.DataFrame, targets: Targets) -> alt.ConcatChart:
    """Bars from `leaderboard` (tables.LEADERBOARD), the rows of all hardware, made under `targets`."""
    hardware = sorted(set(leaderboard["hardware"].drop_nulls()))
    rows = placed(leaderboard).with_columns(
        run=captions.entrant().map_elements(style.wrapped, return_dtype=pl.String),
        missed=pl.col("meets_latency_target").not_().fill_null(False),
        estimated=is_estimate(),
        severity=severity(),
        doubted=captions.DOUBTED,
    )
    title = "Energy per response of the same model on different hardware"
    panels = [_panel(task, of_task, hardware, targets.get(task)) for task, of_task in captions.by_task(rows)]
    shown = _compared(rows)
    if shown.is_empty() and rows["energy_per_response_j"].is_not_null().any():
        panels = [style.message(alt.TitleParams(""), _nothing_shared(rows, hardware))]
    notes = []
    if shown["energy_per_response_j"].is_not_null().any():
        of_b = " B: maximum batch size." if captions.over_batch_sizes(shown) else ""
        notes = [
            "Each model at its best point on each piece of hardware, under the same latency target."
            f"{of_b} x: times the least of the model's."
        ]
        if shown["energy_per_response_low_j"].is_not_null().any():
            notes[0] += " Thin lines: 95 % intervals."
        notes += ["Pale: misses the latency target."] if shown["missed"].any() else []
        notes += captions.repeats(shown)
    return style.figure(title, [*captions.subtitle(rows), *notes], panels)


def _compared(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of models that have an energy on more than one piece of hardware, those without one on some too.

    Rows of another dataset are of other work.
    """
    known = pl.col("hardware").filter(pl.col("energy_per_response_j").is_not_null()).n_unique()
    return rows.filter(known.over(*ENTRANT, "dataset") > 1)


def _panel(task: str, rows: pl.DataFrame, hardware: list[str], target: LatencyTarget | None) -> style.Panel:
    lines = captions.latency_target(target) or ["no latency target"]
    made_under = rows["latency_target"].drop_nulls().unique().sort()
    if len(made_under) > 1:
        return style.message(
            alt.TitleParams(task, subtitle=[f"latency target: {text}" for text in made_under]),
            f"The latency targets of {task} differ between the tables: nothing is compared.",
        )
    shown = _compared(rows)
    if rows["energy_per_response_j"].is_null().all():
        return style.message(
            alt.TitleParams(task, subtitle=lines), f"{captions.no_energy(task, rows)}: there are no bars to draw."
        )
    if shown.is_empty():
        why = f"No model of {task} has been measured on more than one piece of hardware: {_counts(rows)}."
        return style.message(alt.TitleParams(task, subtitle=lines), why)
    left = rows.join(shown.select("run").unique(), on="run", how="anti")
    if not left.is_empty():
        lines.append(f"not drawn, measured on one piece of hardware alone: {_counts(left)}")

    data = _bars(shown, hardware)
    models = data["run"].unique(maintain_order=True).to_list()
    known = data.filter(pl.col("energy").is_not_null())
    x = axes.bar_axis("energy", captions.energy_title(shown), data)
    height = len(models) * (len(hardware) * STEP_PX + BETWEEN_PX)
    between = BETWEEN_PX / (height / len(models))
    y = style.run_axis(models).scale(paddingInner=between, paddingOuter=between / 2)
    of = alt.YOffset("hardware:N", scale=alt.Scale(domain=hardware))
    colors = [style.PALETTE[place % len(style.PALETTE)] for place in range(len(hardware))]
    legend = alt.Legend(orient="top", symbolType="square", offset=14)
    color = alt.Color("hardware:N", scale=alt.Scale(domain=hardware, range=colors), legend=legend)
    tooltip = [
        alt.Tooltip("run:N", title="model"),
        alt.Tooltip("hardware:N"),
        alt.Tooltip("label:N", title="best point"),
    ]
    pale = alt.Opacity("missed:N", scale=alt.Scale(domain=[False, True], range=[1.0, PALE]), legend=None)
    labels = alt.Chart(data).mark_text(align="left", dx=7, fontSize=style.SMALL_PX, color=style.INK)
    layers = [
        alt.Chart(known).mark_bar(size=BAR_PX).encode(x, y, of, color, pale, tooltip=tooltip),
        *axes.bar_intervals(known, 6, y, of),
        labels.encode(alt.X("end:Q"), y, of, alt.Text("label:N")),
    ]
    return alt.layer(*layers, title=alt.TitleParams(task, subtitle=lines)).properties(
        width=style.PANEL_PX, height=height
    )


def _bars(shown: pl.DataFrame, hardware: list[str]) -> pl.DataFrame:
    """One row a model and piece of hardware, of those too on which it was not measured; by least energy."""
    pieces = pl.DataFrame({"hardware": hardware}, schema={"hardware": pl.String})
    energy, least = pl.col("energy_per_response_j"), pl.col("energy_per_response_j").min().over("run")
    rows = (
        shown.select("run")
        .unique()
        .join(pieces, how="cross")
        .join(shown, on=["run", "hardware"], how="left")
        .with_columns(least=least, times=energy / least)
        .sort("least", "run", "hardware")
    )
    return rows.select(
        "run",
        "hardware",
        pl.col("missed").fill_null(False),
        energy=energy,
        low=pl.col("energy_per_response_low_j").clip(lower_bound=0),
        high="energy_per_response_high_j",
        label=pl.Series([_label(row) for row in rows.iter_rows(named=True)], dtype=pl.String),
    ).with_columns(end=pl.when(pl.col("energy").is_not_null()).then(pl.max_horizontal("energy", "high")).otherwise(0.0))


def _label(row: dict[str, Any]) -> str:
    if row["status"] is None:
        return f"{row['hardware']}: not measured"
    if row["energy_per_response_j"] is None:
        checked = row["status"] in USABLE and row["doubted"]
        why = row["severity"] if checked else str(row["status"]).replace("_", " ")
        return f"{row['hardware']}: no energy ({why})"
    parts = [f"{style.significant(row['energy_per_response_j'])} J"]
    if row["times"] > 1:
        parts.append(f"{style.significant(row['times'])} x")
    if row["variant"] is not None:
        parts.append(f"+{row['variant']}")
    parts.append(row["at"])
    parts += ["estimated"] if row["estimated"] else []
    parts += ["misses latency target"] if row["missed"] else []
    return ", ".join(parts)


def _nothing_shared(rows: pl.DataFrame, hardware: list[str]) -> str:
    if len(hardware) == 1:
        return f"Only {hardware[0]} has been measured: there is no other hardware to compare it with."
    once = rows.unique(["run", "hardware"])
    return (
        f"No model has been measured on more than one piece of hardware ({_counts(once)}): there are no bars to draw."
    )


def _counts(rows: pl.DataFrame) -> str:
    """`2 models on cpu, 1 on h100`: on which hardware the models have an energy."""
    counts = rows.filter(pl.col("energy_per_response_j").is_not_null()).group_by("hardware").len().sort("hardware")
    words = [
        f"{count}{(' model' if count == 1 else ' models') if place == 0 else ''} on {name}"
        for place, (name, count) in enumerate(counts.iter_rows())
    ]
    return ", ".join(words) or "none"
