"""Energy per response against latency over a run's batch sizes: one line a run, one panel a task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from joulebench.analysis.repeats import POINT, pooled
from joulebench.analysis.verdicts import VALID
from joulebench.figures import captions, style
from joulebench.figures.placement import Mark, along, place
from joulebench.names import TEXT_TASKS

COLUMNS = 2
WIDTH_PX, HEIGHT_PX = 440, 330
POINT_PX = 60  # an area, as Vega counts point sizes
RADIUS_PX = math.sqrt(POINT_PX) / 2 + 0.5
DECADE = 10.0
CROWDED = 60  # points of a panel, from which on a label is left out rather than set over a line


@dataclass(frozen=True)
class Axis:
    """A numeric axis: its domain, its length in pixels, and whether it is logarithmic."""

    low: float
    high: float
    length_px: float
    log: bool

    @classmethod
    def over(cls, values: Sequence[float], length_px: float) -> "Axis":
        """An axis with room around `values`: logarithmic where they are more than a decade apart."""
        low, high = min(values), max(values)
        if low > 0 and high / low > DECADE:
            room = (high / low) ** 0.07
            return cls(low / room, high * room, length_px, True)
        pad = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
        return cls(max(0.0, low - pad), high + pad, length_px, False)

    def px(self, value: float) -> float:
        """How far along the axis `value` lies, in pixels."""
        if self.log:
            return self.length_px * math.log(value / self.low) / math.log(self.high / self.low)
        return self.length_px * (value - self.low) / (self.high - self.low)

    def value(self, px: float) -> float:
        """The inverse of `px`."""
        share = px / self.length_px
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)

    @property
    def scale(self) -> alt.Scale:
        return alt.Scale(type="log" if self.log else "linear", domain=[self.low, self.high], nice=False, zero=False)

    @property
    def axis(self) -> alt.Axis:
        ticks = (style.log_ticks if self.log else style.linear_ticks)(self.low, self.high)
        return alt.Axis(values=ticks, format=style.NUMBER_FORMAT, labelFlush=False, labelOverlap=False)


def draw(points: pl.DataFrame, leaderboard: pl.DataFrame) -> alt.ConcatChart:
    """Lines from `points` (tables.POINTS); the latency targets come from `leaderboard` (tables.LEADERBOARD).

    The repeats of a point are pooled: the valid ones, or those that are flagged where none is valid.
    """
    shown = pl.col("energy_per_response_j").is_not_null() & ~captions.is_invalid()
    valid = shown & (pl.col("verdict") == VALID).fill_null(False)
    rows = (
        pooled(points, valid | shown & ~valid.any().over(POINT))
        .with_columns(
            run=captions.run_name().map_elements(style.wrapped, return_dtype=pl.String),
            latency=pl.when(pl.col("task").is_in(list(TEXT_TASKS))).then("tpot_p50_s").otherwise("latency_p50_s"),
            energy=pl.when(shown).then("energy_per_response_j"),
            low=pl.col("energy_per_response_low_j"),
            high=pl.col("energy_per_response_high_j"),
        )
        .sort("task", "run", "max_batch_size")
    )
    panels = []
    for task in captions.tasks(rows):
        targets = leaderboard.filter(pl.col("task") == task)["latency_target"].drop_nulls().unique()
        panels.append(_panel(task, rows.filter(pl.col("task") == task), targets[0] if len(targets) == 1 else None))
    notes = []
    if rows["energy"].is_not_null().any():
        intervals = " Thin lines: 95 % intervals." if rows["low"].is_not_null().any() else ""
        notes.append(f"Numbers at the points: maximum batch size.{intervals}")
        if (rows["status"] == "overloaded").any():
            notes.append("Hollow points: overloaded (memory, not the maximum, limits the batch).")
        notes += captions.repeats(rows)
    subtitle = [*captions.subtitle(points), *notes]
    return style.figure("Energy per response against latency", subtitle, panels or [style.nothing()], COLUMNS)


def _panel(task: str, rows: pl.DataFrame, target: str | None) -> style.Panel:
    drawn = rows.filter(pl.col("energy").is_not_null() & pl.col("latency").is_not_null())
    column, x_title = (
        ("tpot_p50_s", "Median time per output token (s)")
        if task in TEXT_TASKS
        else ("latency_p50_s", "Median latency of a batch (s)")
    )
    lines = [words] if (words := captions.latency_target(target)) else []
    if drawn.is_empty():
        missing = "energy" if rows["energy"].is_null().all() else "latency"
        text = f"No {missing} was measured for {task}: there is no trade-off to draw."
        return style.message(alt.TitleParams(task, subtitle=lines), text)
    if len(drawn) < len(rows):
        left = rows.filter(pl.col("energy").is_null() | pl.col("latency").is_null())
        lines.append(f"not drawn, without energy or latency: {captions.why_not(left)}")

    limit = captions.target_of(target, column)
    latencies = drawn["latency"].to_list()
    if limit is not None and not min(latencies) / 4 <= limit <= max(latencies) * 4:
        lines[0] += f" ({'right' if limit > max(latencies) else 'left'} of what is drawn)"
        limit = None
    x_axis = Axis.over([*latencies, *([limit] if limit is not None else [])], WIDTH_PX)
    y_axis = _energy_axis(drawn)
    x = alt.X("latency:Q", title=x_title, scale=x_axis.scale, axis=x_axis.axis)
    y = alt.Y("energy:Q", title=captions.energy_title(rows), scale=y_axis.scale, axis=y_axis.axis)
    layers = [*_curves(drawn, x, y, y_axis), _batch_sizes(drawn, x_axis, y_axis, limit)]
    if limit is not None:
        layers = [*_target(limit, x), *layers]
    title = alt.TitleParams(task, subtitle=lines, offset=12)
    return alt.layer(*layers, title=title).properties(width=WIDTH_PX, height=HEIGHT_PX)


def _energy_axis(drawn: pl.DataFrame) -> Axis:
    """Room for every point, and for its interval as far as that does not stretch the axis by much."""
    energies = drawn["energy"]
    ends = drawn.select(
        pl.col("low").clip(lower_bound=pl.col("energy").min() / 2),
        pl.col("high").clip(upper_bound=pl.col("energy").max() * 2),
    )
    return Axis.over([*energies, *ends["low"].drop_nulls(), *ends["high"].drop_nulls()], HEIGHT_PX)


def _curves(drawn: pl.DataFrame, x: alt.X, y: alt.Y, y_axis: Axis) -> list[alt.Chart]:
    """Lines, intervals and points. A model has one colour; its variants differ in shape and dashes."""
    highest = pl.col("energy").max().over("model")
    runs = drawn.sort(-highest, "model", "run").select("run", "model").unique(maintain_order=True)
    names, of = runs["run"].to_list(), runs["model"].to_list()
    models = list(dict.fromkeys(of))
    colors = [style.PALETTE[models.index(model) % len(style.PALETTE)] for model in of]
    shapes = [style.SHAPES[colors[:i].count(color) % len(style.SHAPES)] for i, color in enumerate(colors)]
    dashes = [style.DASHES[of[:i].count(model) % len(style.DASHES)] for i, model in enumerate(of)]
    legend = alt.Legend(orient="bottom", columns=2, labelExpr=style.LINES, symbolStrokeWidth=0, offset=8)
    color = alt.Color("run:N", scale=alt.Scale(domain=names, range=colors), legend=legend)
    shape = alt.Shape("run:N", scale=alt.Scale(domain=names, range=shapes), legend=legend)
    dash = alt.StrokeDash("run:N", scale=alt.Scale(domain=names, range=dashes), legend=None)
    tooltip = [
        alt.Tooltip("run:N", title="model"),
        alt.Tooltip("max_batch_size:Q", title="maximum batch size"),
        alt.Tooltip("energy:Q", title="energy per response (J)", format=".3~r"),
        alt.Tooltip("latency:Q", title="latency (s)", format=".3~r"),
        alt.Tooltip("status:N", title="status"),
    ]

    data = drawn.select("run", "max_batch_size", "latency", "energy", "low", "high", "status")
    lines = alt.Chart(data).mark_line(strokeWidth=1.5)
    intervals = alt.Chart(_intervals(data, y_axis)).mark_rule(strokeWidth=1)
    points = alt.Chart(data).mark_point(filled=True, size=POINT_PX, opacity=1)
    overloaded = alt.Chart(data.filter(pl.col("status") == "overloaded"))
    hollows = overloaded.mark_point(filled=True, size=POINT_PX / 2.5, opacity=1, color="white")
    return [
        lines.encode(x, y, color, dash, alt.Order("max_batch_size:Q")),
        intervals.encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), color),
        points.encode(x, y, color, shape, tooltip=tooltip),
        hollows.encode(x, y, shape, tooltip=tooltip),
    ]


def _intervals(drawn: pl.DataFrame, y_axis: Axis) -> pl.DataFrame:
    """The points that have an interval, its ends kept inside the panel."""
    both = drawn.filter(pl.col("low").is_not_null() & pl.col("high").is_not_null())
    return both.with_columns(pl.col("low", "high").clip(y_axis.low, y_axis.high))


def _batch_sizes(drawn: pl.DataFrame, x_axis: Axis, y_axis: Axis, limit: float | None) -> alt.Chart:
    """The batch size beside each point that has room for it; the ends of the lines choose first."""
    size = pl.col("max_batch_size")
    at_end = (size == size.min().over("run")) | (size == size.max().over("run"))
    points = drawn.with_columns(at_end=at_end).sort("at_end", "run", "max_batch_size", descending=[True, False, False])
    marks, labels = [], points["max_batch_size"].cast(pl.String).to_list()
    for latency, energy, label in zip(points["latency"], points["energy"], labels, strict=True):
        width = style.text_px(label, style.SMALL_PX)
        marks.append(Mark(x_axis.px(latency), HEIGHT_PX - y_axis.px(energy), width, style.SMALL_PX * 0.8))

    def pixels(latency: float, energy: float) -> tuple[float, float]:
        return x_axis.px(latency), HEIGHT_PX - y_axis.px(energy)

    lines = [[pixels(*row) for row in run.select("latency", "energy").rows()] for run in drawn.partition_by("run")]
    for latency, low, high in _intervals(drawn, y_axis).select("latency", "low", "high").iter_rows():
        lines.append([pixels(latency, low), pixels(latency, high)])
    if limit is not None:
        lines.append([(x_axis.px(limit), 0.0), (x_axis.px(limit), HEIGHT_PX)])
    centres = place(marks, RADIUS_PX, WIDTH_PX, HEIGHT_PX, along(lines), over_lines=len(marks) <= CROWDED)
    values = [
        {"latency": x_axis.value(centre[0]), "energy": y_axis.value(HEIGHT_PX - centre[1]), "label": label}
        for centre, label in zip(centres, labels, strict=True)
        if centre is not None
    ]
    texts = alt.Chart(alt.InlineData(values=values)).mark_text(fontSize=style.SMALL_PX, color=style.MUTED)
    chart: alt.Chart = texts.encode(alt.X("latency:Q"), alt.Y("energy:Q"), text="label:N")
    return chart


def _target(limit: float, x: alt.X) -> list[alt.Chart]:
    chart = alt.Chart(alt.InlineData(values=[{"latency": limit, "label": f"target {limit:g} s"}]))
    return [
        chart.mark_rule(strokeDash=[5, 4], color=style.MUTED, strokeWidth=1.3).encode(x),
        chart.mark_text(dy=-6, baseline="bottom", fontSize=style.SMALL_PX, color=style.MUTED).encode(
            x, y=alt.value(0), text="label:N"
        ),
    ]
