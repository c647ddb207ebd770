"""Energy against quality: each model at its best point by how good its answers are, and the frontier of both.

One panel for each task and metric whose answers were judged here, and for each task and score that others published.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl

from joulebench.analysis.choices import placed, tied
from joulebench.analysis.frontier import unbeaten
from joulebench.figures import captions, scatter, style
from joulebench.figures.axes import Axis, around

SHARES = {"pass-at-1": "pass@1", "exact-match": "exact match"}
"""A metric that is the share of right answers -> what it is called. Of another, quality is a score as it stands."""
TIED = "≈ frontier"
LEADS_PX = (8.0, 14.0, 20.0, 28.0, 40.0)
ROOM = 0.08
LEAST_BELOW_0 = 0.03
"""An axis of scores has so much room before the first, twice as much (for names) behind the last, as a share of its
span; below 0 less, so that no tick is there."""
NOTHING = "No answer was judged, and no published score is known: there is nothing to set energy against."
ASK = [
    "How to ask, in config.yaml: quality has the answers of a checkpoint judged; published_scores takes the scores",
    "that others published of these models. docs/how-to/quality.md has an example of each.",
]


def draw(leaderboard: pl.DataFrame) -> alt.ConcatChart:
    """Points from `leaderboard` (tables.LEADERBOARD): the energy per response of its ranked rows, against a score."""
    title = "Energy against quality, each model at its best point"
    rows = placed(leaderboard).with_columns(
        run=captions.run_label(),
        y=pl.col("energy_per_response_j"),
        low=pl.col("energy_per_response_low_j"),
        high=pl.col("energy_per_response_high_j"),
    )
    panels, drawn = [], []
    for scores in (_judged(rows), _published(rows)):
        for task, of_task in captions.by_task(scores):
            for known in of_task.sort("score", "answers").partition_by("score", "answers", maintain_order=True):
                points = _points(known)
                drawn.append(points)
                alike = pl.col("answers").eq_missing(pl.lit(known["answers"][0], pl.String))
                panels.append(_panel(task, rows.filter((pl.col("task") == task) & alike), known, points))
    if not panels:
        return style.figure(title, [] if rows.is_empty() else ASK, [], none=None if rows.is_empty() else NOTHING)
    every = pl.concat(drawn)
    return style.figure(title, [*captions.subtitle(leaderboard), *_notes(every), *captions.repeats(every)], panels)


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose answers were judged: their score, x and its interval in `unit`, and what their points say."""
    bounds = {"x": "quality", "x_low": "quality_low", "x_high": "quality_high"}
    share = pl.col("quality_metric").is_in(SHARES)
    here = "judged here"
    return rows.filter(pl.col("quality").is_not_null()).with_columns(
        score=pl.col("quality_metric").replace(SHARES),
        unit=pl.when(share).then(pl.lit("%")),
        source=pl.when(share).then(pl.lit(f"{here}, the share of right answers")).otherwise(pl.lit(here)),
        cost=pl.when(share).then("energy_per_right_answer_j").otherwise("y"),
        per=pl.when(share).then(pl.lit(" J per right answer")).otherwise(pl.lit(" J")),
        digits=pl.lit(3),
        hollow=pl.lit(False),
        **{name: pl.when(share).then(100 * pl.col(of)).otherwise(of) for name, of in bounds.items()},
    )


def _published(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of whose model others published a score, with the same columns."""
    none = pl.lit(None, pl.Float64)
    return rows.filter(pl.col("published_score").is_not_null()).with_columns(
        score="published_score_name",
        unit="published_score_unit",
        source=pl.format("published by others: {}, {}", "published_score_source", "published_score_date"),
        cost="y",
        per=pl.lit(" J"),
        digits=pl.lit(4),
        hollow=pl.col("weights") == "synthetic",
        x="published_score",
        x_low=none,
        x_high=none,
    )


def _points(known: pl.DataFrame) -> pl.DataFrame:
    """The rows that are drawn: `tied`, whether one is on the frontier by its intervals alone, and `detail`."""
    ranked = known.filter(pl.col("rank").is_not_null() & (pl.col("y") > 0))
    steps = stairs(ranked)["run"].to_list()
    only_tied = [run for run in on_frontier(ranked) if run not in steps]
    points = ranked.with_columns(tied=pl.col("run").is_in(only_tied))
    details = [_detail(row) for row in points.iter_rows(named=True)]
    return points.with_columns(detail=pl.Series(details, dtype=pl.String))


def _detail(row: dict[str, Any]) -> str:
    unit = "" if row["unit"] is None else f" {row['unit']}"
    cost = "nothing right" if row["cost"] is None else f"{style.significant(row['cost'])}{row['per']}"
    words = [f"{style.significant(row['x'], row['digits'])}{unit}", cost, *([TIED] if row["tied"] else [])]
    return ", ".join(words)


def on_frontier(rows: pl.DataFrame) -> list[str]:
    """The `run` of the rows that no other of them both beats and is told apart from, by falling quality.

    `rows`: run, model, x with x_low and x_high, y, energy_per_response_j with its interval, tied_with. More quality for
    no more energy, or less energy for no less quality, beats. Energies are told apart as the leaderboard does (its
    `tied_with`); a figure without an interval stands for itself.
    """
    costs = {"loss_x": -pl.col("x"), "loss_low_x": -pl.col("x_high"), "loss_high_x": -pl.col("x_low")}

    def same(one: Any, other: Any) -> bool:
        listed = other["model"] in (one["tied_with"] or "").split("; ")
        return (listed or tied(one, other, "energy_per_response_j", 0.0)) and tied(one, other, "loss_x", 0.0)

    found = unbeaten(rows.sort("run").with_columns(**costs).to_dicts(), lambda row: (row["loss_x"], row["y"]), same)
    return [row["run"] for row in found]


def stairs(rows: pl.DataFrame) -> pl.DataFrame:
    """x, y and run of the rows that none other beats by the estimates alone, by rising quality."""
    falling = rows.sort("x", "y", "run", descending=[True, False, False])
    least = pl.col("y").cum_min().shift(1)
    return falling.filter(least.is_null() | (pl.col("y") < least)).select("x", "y", "run").reverse()


def _panel(task: str, of_task: pl.DataFrame, known: pl.DataFrame, points: pl.DataFrame) -> style.Panel:
    score, unit = known.select("score", "unit").row(0)
    lines = known["source"].unique(maintain_order=True).to_list()
    if without := len(of_task) - len(known):
        lines.append(f"left out, without this score: {without} of {len(of_task)} models")
    if left := len(known) - len(points):
        lines.append(f"left out, without an energy within the latency target: {left} of {len(known)} with a score")
    lines += ["answers that end by themselves"] if known["answers"][0] == "natural" else []
    title = style.panel_title(f"{task}: {score}", lines)
    if points.is_empty():
        return style.message(title, f"{captions.no_energy(task, known)}: there is nothing to set against this score.")
    x = _score_axis(points)
    wide = pl.DataFrame({"y": scatter.least_span(points["y"])}, schema={"y": pl.Float64})
    seen = pl.concat([points.select("y", "low", "high"), wide.with_columns(low="y", high="y")])
    y = around(seen, "y", scatter.HEIGHT_PX, log=True)
    room = (y.high / y.low) ** ROOM
    y = replace(y, low=y.low / room, high=y.high * room)
    x_title = f"{score} ({unit})" if unit else score
    return scatter.panel(points, x, y, x_title, captions.energy_title(points), [], title, _corners(points, x), LEADS_PX)


def _score_axis(points: pl.DataFrame) -> Axis:
    values = pl.concat([points["x"], points["x_low"], points["x_high"]]).drop_nulls()
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    least = low - ROOM * span
    least = max(least, -LEAST_BELOW_0 * span) if low >= 0 else least
    return Axis(least, high + 2 * ROOM * span, scatter.WIDTH_PX, False)


def _corners(points: pl.DataFrame, x: Axis) -> list[tuple[float, float]]:
    """Of the line of the least energy that a quality takes: from the left end to the best model."""
    steps = stairs(points).select("x", "y").rows()
    turns = [turn for (x0, _), (x1, y1) in pairwise(steps) for turn in ((x0, y1), (x1, y1))]
    return [(x.low, steps[0][1]), steps[0], *turns]


def _notes(drawn: pl.DataFrame) -> list[str]:
    if drawn.is_empty():
        return []
    words = {
        "Grey line: the least energy that a model at least so good takes.": True,
        "Thin lines: 95 % intervals.": drawn["low"].is_not_null().any(),
    }
    lines = [" ".join(text for text, said in words.items() if said)]
    if drawn["tied"].any():
        lines.append(f"{TIED}: beaten by the estimates alone, not told apart by the intervals.")
    if drawn["hollow"].any():
        lines.append("Hollow: drawn weights of the model's shape; the score is of the published weights.")
    return lines
