"""leaderboard.csv: from one row a point to one row a task, model and kind of answers, the best point of it."""

import polars as pl

from joulebench.analysis.choices import ENTRANT, choices, tied
from joulebench.analysis.published_scores import with_published
from joulebench.analysis.quality import with_quality
from joulebench.analysis.verdicts import USABLE
from joulebench.config.services import Targets
from joulebench.tables.schemas import LEADERBOARD

_RANKED = ("task", "answers")
"""Rows whose energy is of the same work."""


def leaderboard(
    points: pl.DataFrame,
    targets: Targets,
    publish_flagged: bool = False,
    card_spread: float = 0.0,
    scores: pl.DataFrame | None = None,
    published: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The best point of each task, model and kind of answers (tables.LEADERBOARD), by task, answers, rank and model.

    `points`: tables.POINTS; `targets`: task -> its latency target, None where every point will do; `card_spread`: the
    share by which the hardware's cards differ (choices.tied). Only points whose verdict is `valid` are taken, with
    `publish_flagged` flagged ones too, and the repeats of a point are pooled (analysis.choices). Of a
    model's points, variants too, the best is the one of least energy per response that meets the target; where none of
    those has an energy, the one of most responses per second. Where none meets the target, it is the one of least
    latency, and without a rank. A model without any such point keeps a row, with the reason of its first point, no
    figures and no rank. Points that are equally good: the smaller batch size comes first, then the variant's name.
    Ranks are given among answers of one kind: energy per response compares no others. Equal energies share a rank;
    `tied_with` names the models ranked beside this one whose energy is not told apart from its, intervals overlapping.
    `scores`: how right the answers of model variants are (analysis.quality.judged); `published`: what others published
    of models (analysis.published_scores).
    """
    order = ["axis_value", "variant"]
    best = (
        _judged(choices(points, publish_flagged), targets)
        .with_columns(meets_latency_target=pl.when("usable").then(pl.col("meets_latency_target")))
        .with_columns(
            energy=pl.when("meets_latency_target").then("energy_per_response_j"),
            responses=pl.when("meets_latency_target").then("responses_per_s"),
            waited=pl.when(pl.col("usable") & ~pl.col("meets_latency_target")).then("waited_s"),
        )
        .sort(
            [*ENTRANT, "usable", "meets_latency_target", "energy", "responses", "waited", *order],
            descending=[False] * 3 + [True, True, False, True, False] + [False] * 2,
            nulls_last=[False] * 3 + [True] * 5 + [False] * 2,
            maintain_order=True,
        )
        .unique(ENTRANT, keep="first", maintain_order=True)
    )
    left_out = pl.col("status").is_in(USABLE) & ~pl.col("usable")
    ranked = best.with_columns(
        pl.when("usable").then(pl.col(pl.Float64)),
        rank=pl.col("energy").rank("min").over(_RANKED),
        reason=pl.when(left_out).then("verdict").otherwise("reason"),
    )
    ordered = ranked.sort(*_RANKED, "rank", "model", nulls_last=[False, False, True, False])
    ties = pl.Series("tied_with", _ties(ordered, card_spread), dtype=pl.String)
    found = with_published(with_quality(ordered.with_columns(ties), scores), published)
    return found.select(pl.col(name).cast(dtype) for name, dtype in LEADERBOARD.items())


def _ties(ordered: pl.DataFrame, card_spread: float) -> list[str | None]:
    """For each row, the models of its task that its energy per response is not told apart from."""
    rows = ordered.to_dicts()
    known = [row for row in rows if row["rank"] is not None]
    return [
        "; ".join(
            other["model"]
            for other in known
            if row["rank"] is not None
            and other is not row
            and all(other[name] == row[name] for name in _RANKED)
            and tied(row, other, "energy_per_response_j", card_spread)
        )
        or None
        for row in rows
    ]


def _judged(points: pl.DataFrame, targets: Targets) -> pl.DataFrame:
    """`points` with latency_target as text, waited_s (what it is about), and meets_latency_target."""
    waited, text, meets = pl.lit(None, pl.Float64), pl.lit(None, pl.String), pl.lit(True)
    for task, target in targets.items():
        if target is not None:
            own, found = pl.when(pl.col("task") == task), pl.col(target.column)
            waited, text = own.then(found).otherwise(waited), own.then(pl.lit(str(target))).otherwise(text)
            meets = own.then((found <= target.at_most_s).fill_null(False)).otherwise(meets)
    return points.with_columns(waited_s=waited, latency_target=text, meets_latency_target=meets)
