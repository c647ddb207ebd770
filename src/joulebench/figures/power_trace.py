"""The power of one point over its time, its windows shaded, and the running batch under it."""

import altair as alt
import polars as pl

from joulebench.figures import captions, style
from joulebench.records.sources import source
from joulebench.tables.point import AT

WIDTH_PX, POWER_PX, RUNNING_PX = 900, 300, 110
HEADROOM = 1.08
FEW_DEVICES = 3
"""With more of them the means of each are drawn, and not written beside."""
LINE_PX = 13
"""Between the labels at the right of a panel."""
# Window -> its shade and what it is, in the order of time.
WINDOWS = {
    "ramp": ("#f9d8c0", "ramp: the batch fills"),
    "warm-up": ("#f9d8c0", "warm-up batches"),
    "queue": ("#fbeec2", "queue window, its first turnover"),
    "stationary": ("#cfe9dc", "stationary window"),
    "batches": ("#cfe9dc", "measured batches"),
    "drain": ("#dedee6", "drain: no request waits any more"),
}
HEADLINE = ("stationary", "batches")


def draw(trace: pl.DataFrame, leaderboard: pl.DataFrame) -> alt.ConcatChart:
    """Steps from `trace` (tables.TRACE); what is said of its point comes from `leaderboard` (tables.LEADERBOARD)."""
    title = "Power of one point over its time"
    if trace.is_empty():
        return style.figure(title, captions.subtitle(leaderboard), _nothing(leaderboard))
    task, batch, setting = trace.select("task", *AT).row(0)
    about = leaderboard.join(trace.head(1), on=("task", "model", "variant"), how="semi", nulls_equal=True)
    trace = trace.with_columns(run=pl.lit(about.select(captions.run_name()).to_series()[0]))
    energy_source = source(trace["energy_source"][0])
    about_steps = f"Each step: the mean between {energy_source.between}, or over several where there are many."
    subtitle = [*captions.subtitle(about), f"{about_steps} Unshaded: before and after the load."]
    more = "" if setting in (None, f"b{batch}") else f" (setting {setting})"
    lines = [f"{task}, maximum batch size {batch:,}{more}: the first in rank", *_means(trace)]
    head = alt.TitleParams(style.wrapped(trace["run"][0]).split("\n"), subtitle=lines)
    panels = [_power(trace, energy_source.is_estimate, head), _running(trace, batch)]
    chart: alt.ConcatChart = style.figure(title, subtitle, panels).resolve_scale(
        fill="independent", stroke="independent"
    )
    return chart


def _nothing(leaderboard: pl.DataFrame) -> list[style.Panel]:
    """A sentence for each task of a leaderboard on which nothing is ranked."""
    panels: list[style.Panel] = []
    for task, of_task in captions.by_task(leaderboard):
        known = of_task["energy_per_response_j"].is_not_null().any()
        why = f"No model of {task} is ranked" if known else f"No energy was measured for {task}"
        panels.append(style.message(alt.TitleParams(task), f"{why}: there is no best point whose power to show."))
    if leaderboard.select((pl.col("rank").is_not_null() & pl.col("energy_per_response_j").is_not_null()).any()).item():
        text = "The energy counter was read too seldom in the best point for its power over time to be told."
        panels = [style.message(alt.TitleParams(""), text)]
    return panels


def _mean_w(rows: pl.DataFrame) -> float:
    seconds = pl.col("end_s") - pl.col("start_s")
    return float(rows.select((pl.col("power_w") * seconds).sum() / seconds.sum()).item())


def _means(trace: pl.DataFrame) -> list[str]:
    """A line of mean powers, the devices' summed: of the headline's window, and of the whole queue window."""
    windows = set(trace["window"])
    of: dict[str, tuple[str, ...]] = {
        what: (name,) for name, (_, what) in WINDOWS.items() if name in HEADLINE and name in windows
    }
    if "queue" in windows:
        of["whole queue window"] = ("queue", *HEADLINE)
    said = []
    for what, names in of.items():
        rows = trace.filter(pl.col("window").is_in(names))
        said.append(f"{style.significant(sum(_mean_w(own) for own in rows.partition_by('device')))} W in the {what}")
    devices = trace["device"].n_unique()
    together = f", {devices} devices together" if devices > 1 else ""
    return [f"Mean power{together}: {', '.join(said)}."] if said else []


def _power(trace: pl.DataFrame, estimated: bool, title: alt.TitleParams) -> style.Panel:
    devices = trace["device"].unique(maintain_order=True).to_list()
    tdp_w: float | None = trace["tdp_w"][0]
    highest = HEADROOM * max(*trace["power_w"], tdp_w or 0.0)
    y = alt.Y(
        "power_w:Q",
        title="Power (W), estimated" if estimated else "Power (W)",
        scale=alt.Scale(domain=[0, highest], nice=False),
        axis=alt.Axis(values=style.linear_ticks(0, highest), format=style.NUMBER_FORMAT),
    )
    legend = alt.Legend(orient="top", symbolType="stroke") if len(devices) > 1 else None
    stroke = alt.Stroke("device:N", scale=alt.Scale(domain=devices, range=style.PALETTE[: len(devices)]), legend=legend)
    lines = alt.Chart(_steps(trace, "power_w")).mark_line(interpolate="step-after", strokeWidth=1.2, strokeJoin="round")
    lines = lines.encode(_time(trace, labels=False), y, stroke)

    each = ", each" if len(devices) > 1 and devices[0].startswith("gpu:") else ""
    levels = [] if tdp_w is None else [(tdp_w, f"TDP {tdp_w:,.6g} W{each}")]
    headline = trace.filter(pl.col("window").is_in(HEADLINE))
    means = [(own["start_s"][0], own["end_s"][-1], _mean_w(own)) for own in headline.partition_by("device")]
    levels += [(watts, f"mean {style.significant(watts)} W") for _, _, watts in means if len(means) <= FEW_DEVICES]
    mean = alt.Chart(pl.DataFrame(means, schema=["start_s", "end_s", "power_w"], orient="row"))
    level = alt.Chart(alt.InlineData(values=[{"power_w": tdp_w}] if tdp_w is not None else []))
    layers = [
        _shades(trace, legend=True),
        level.mark_rule(color=style.VERMILION, strokeWidth=1.4, strokeDash=[6, 4]).encode(y),
        lines,
        mean.mark_rule(color=style.INK, strokeWidth=2).encode(alt.X("start_s:Q"), y, alt.X2("end_s:Q")),
        _labels(levels, highest, POWER_PX),
    ]
    return alt.layer(*layers, title=title).properties(width=WIDTH_PX, height=POWER_PX)


def _running(trace: pl.DataFrame, batch: int) -> style.Panel:
    one = trace.filter(pl.col("device") == trace["device"][0])
    highest = HEADROOM * max(*one["running"].drop_nulls(), batch)
    y = alt.Y(
        "running:Q",
        title="Running batch",
        scale=alt.Scale(domain=[0, highest], nice=False),
        axis=alt.Axis(values=style.linear_ticks(0, highest, most=5), format=style.NUMBER_FORMAT),
    )
    steps = alt.Chart(_steps(one.filter(pl.col("running").is_not_null()), "running"))
    level = alt.Chart(alt.InlineData(values=[{"running": batch}]))
    layers = [
        _shades(trace, legend=False),
        level.mark_rule(color=style.MUTED, strokeWidth=1, strokeDash=[2, 3]).encode(y),
        steps.mark_line(interpolate="step-after", strokeWidth=1.4, stroke=style.INK).encode(_time(trace), y),
        _labels([(batch, f"maximum {batch:,}")], highest, RUNNING_PX),
    ]
    return alt.layer(*layers).properties(width=WIDTH_PX, height=RUNNING_PX)


def _time(trace: pl.DataFrame, labels: bool = True) -> alt.X:
    low, high = min(trace["start_s"].to_list()), max(trace["end_s"].to_list())
    ticks = style.linear_ticks(low, high, most=11)
    axis = alt.Axis(values=ticks, format=style.NUMBER_FORMAT, labels=labels, labelFlush=False)
    title = "Time since the point began (s)" if labels else None
    return alt.X("start_s:Q", title=title, scale=alt.Scale(domain=[low, high], nice=False), axis=axis)


def _steps(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """device, start_s and `column` of the stretches, and a last row where each device's last stretch ends."""
    ends = rows.group_by("device", maintain_order=True).last().with_columns(start_s="end_s")
    return pl.concat(part.select("device", "start_s", column) for part in (rows, ends))


def _shades(trace: pl.DataFrame, legend: bool) -> alt.Chart:
    bounds = trace.group_by("run", "window").agg(pl.col("start_s").min(), pl.col("end_s").max())
    names = [name for name in WINDOWS if name in set(bounds["window"])]
    words = {name: what for name, (_, what) in WINDOWS.items()}
    rows = bounds.filter(pl.col("window").is_in(names)).sort("start_s").with_columns(pl.col("window").replace(words))
    scale = alt.Scale(domain=[words[name] for name in names], range=[WINDOWS[name][0] for name in names])
    shown = alt.Legend(orient="top", symbolType="square", symbolSize=160, offset=10) if legend else None
    tooltip = [
        alt.Tooltip("window:N"),
        alt.Tooltip("start_s:Q", title="from (s)", format=".2f"),
        alt.Tooltip("end_s:Q", title="to (s)", format=".2f"),
    ]
    fill = alt.Fill("window:N", scale=scale, legend=shown)
    chart: alt.Chart = (
        alt.Chart(rows).mark_rect().encode(_time(trace, labels=not legend), alt.X2("end_s:Q"), fill, tooltip=tooltip)
    )
    return chart


def _labels(levels: list[tuple[float, str]], highest: float, height_px: int) -> alt.Chart:
    """Words at the right of a panel, each at its value or as near above it as the next lower leaves room."""
    values, below = [], float("inf")
    for value, label in sorted(levels):
        below = min(height_px * (1 - value / highest), below - LINE_PX)
        values.append({"px": below, "label": label})
    chart = alt.Chart(alt.InlineData(values=values))
    text = chart.mark_text(align="left", baseline="middle", dx=6, fontSize=style.SMALL_PX, color=style.INK)
    y = alt.Y("px:Q", scale=None, axis=None)
    labels: alt.Chart = text.encode(y, x=alt.value(WIDTH_PX), text="label:N")
    return labels
