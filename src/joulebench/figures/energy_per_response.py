"""Energy per response of each model at its best point: one bar a model, one panel a task."""

import altair as alt
import polars as pl

from joulebench.analysis.choices import placed
from joulebench.analysis.sources import is_estimate
from joulebench.analysis.verdicts import USABLE, severity
from joulebench.config.services import LatencyTarget, Targets
from joulebench.figures import axes, captions, style

BAR_PX, TDP_PX, ROW_PX = 13, 21, 32
AT_TDP = "if the device drew its TDP throughout"
MISSES = ", misses the latency target"
# What a bar stands for -> its fill and its outline, in the order of the legend.
KINDS = {
    "measured": (style.BLUE, style.BLUE),
    f"measured{MISSES}": ("#d3e7f5", style.BLUE),
    "estimated": (style.ORANGE, style.ORANGE),
    f"estimated{MISSES}": ("#fdf0d2", style.ORANGE),
    AT_TDP: (style.TDP_GREY, style.TDP_GREY),
}


def draw(leaderboard: pl.DataFrame, targets: Targets) -> alt.ConcatChart:
    """Bars from `leaderboard` (tables.LEADERBOARD), which was made under `targets`."""
    rows = _rows(leaderboard)
    has_energy = pl.col("energy_per_response_j").is_not_null()
    kinds = set(rows.filter(has_energy)["kind"])
    if not rows.filter(has_energy & pl.col("tdp_estimate_j").is_not_null()).is_empty():
        kinds.add(AT_TDP)
    panels = [
        _panel(task, of_task, targets.get(task), [kind for kind in KINDS if kind in kinds])
        for task, of_task in captions.by_task(rows)
    ]
    notes = ["Thin lines: 95 % intervals."] if rows["energy_per_response_low_j"].is_not_null().any() else []
    notes += ["B: maximum batch size of the point."] if kinds and captions.over_batch_sizes(rows) else []
    notes += ["TDP: thermal design power."] if AT_TDP in kinds else []
    subtitle = [*captions.subtitle(leaderboard), *([" ".join(notes)] if notes else []), *captions.repeats(leaderboard)]
    return style.figure("Energy per response, each model at its best point", subtitle, panels)


def _rows(leaderboard: pl.DataFrame) -> pl.DataFrame:
    missed = pl.col("meets_latency_target").not_().fill_null(False)
    kind = pl.when(is_estimate()).then(pl.lit("estimated")).otherwise(pl.lit("measured"))
    return (
        placed(leaderboard)
        .with_columns(
            run=captions.run_label(),
            missed=missed,
            severity=severity(),
            doubted=captions.DOUBTED,
            kind=kind + pl.when(missed).then(pl.lit(MISSES)).otherwise(pl.lit("")),
        )
        .sort("task", "energy_per_response_j", "run", nulls_last=True)
    )


def _label(row: dict[str, object]) -> str:
    energy = row["energy_per_response_j"]
    if isinstance(energy, float):
        parts = [f"{style.significant(energy)} J"]
    else:
        why = str(row["status"]).replace("_", " ")
        parts = ["no energy measured" if row["status"] in USABLE else f"no energy ({why})"]
        if row["status"] in USABLE and row["doubted"]:
            parts = [f"left out: {row['severity']}"]
    if row["at"] is not None:
        parts.append(str(row["at"]))
    if row["missed"]:
        parts.append("misses latency target")
    return ", ".join(parts)


def _panel(task: str, rows: pl.DataFrame, target: LatencyTarget | None, kinds: list[str]) -> style.Panel:
    title = alt.TitleParams(task, subtitle=captions.latency_target(target))
    if rows["energy_per_response_j"].is_null().all():
        return style.message(title, f"{captions.no_energy(task, rows)}: there are no bars to draw.")
    data = rows.select(
        "run",
        "kind",
        tdp=pl.when(pl.col("energy_per_response_j").is_not_null()).then("tdp_estimate_j"),
        energy="energy_per_response_j",
        low=pl.col("energy_per_response_low_j").clip(lower_bound=0),
        high="energy_per_response_high_j",
        label=pl.Series([_label(row) for row in rows.iter_rows(named=True)], dtype=pl.String),
    ).with_columns(end=pl.max_horizontal("energy", "high", "tdp").fill_null(0.0))
    x = axes.bar_axis("energy", captions.energy_title(rows), data)
    y = style.run_axis(data["run"].to_list())
    fills, strokes = zip(*(KINDS[kind] for kind in kinds), strict=True)
    legend = alt.Legend(orient="top", direction="vertical", columns=2, symbolType="square", offset=18)
    fill = alt.Fill("kind:N", scale=alt.Scale(domain=kinds, range=fills), legend=legend)
    stroke = alt.Stroke("kind:N", scale=alt.Scale(domain=kinds, range=strokes), legend=legend)
    tooltip = [alt.Tooltip("run:N", title="model"), alt.Tooltip("label:N", title="best point")]

    at_tdp = data.filter(pl.col("tdp").is_not_null()).with_columns(energy="tdp", kind=pl.lit(AT_TDP))
    wide = alt.Chart(at_tdp).mark_bar(size=TDP_PX).encode(x, y, fill, stroke)
    measured = alt.Chart(data.filter(pl.col("energy").is_not_null())).mark_bar(size=BAR_PX, strokeWidth=1.2)
    labels = alt.Chart(data).mark_text(align="left", dx=7, fontSize=style.LABEL_PX, color=style.INK)
    layers = [
        wide,
        measured.encode(x, y, fill, stroke, tooltip),
        *axes.bar_intervals(data, 7, y),
        labels.encode(alt.X("end:Q"), y, alt.Text("label:N")),
    ]
    return alt.layer(*layers, title=title).properties(width=style.PANEL_PX, height=ROW_PX * len(data))
