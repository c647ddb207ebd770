"""leaderboard.csv: from one row a point to one row a task and model, the best point of it."""

from collections.abc import Mapping

import polars as pl

from joulebench import tables
from joulebench.analysis.choices import choices
from joulebench.analysis.verdicts import USABLE
from joulebench.names import TaskName
from joulebench.services import LatencyTarget

_GROUP = ("task", "model")


def leaderboard(
    points: pl.DataFrame, targets: Mapping[TaskName, LatencyTarget | None], publish_flagged: bool = False
) -> pl.DataFrame:
    """The best point of each task and model (tables.LEADERBOARD), sorted by task, rank and model.

    `points`: tables.POINTS; `targets`: task -> its latency target, None where every point will do. Only points whose
    verdict is `valid` are taken, with `publish_flagged` flagged ones too, and the repeats of a point are pooled
    (analysis.choices). Of a model's points, variants too, the best is the one of least energy per response that meets
    the target; where none of those has an energy, the one of most responses per second. Where none meets the target,
    it is the one of least latency, and without a rank. A model without any such point keeps a row, with the reason of
    its first point, no figures and no rank. Points that are equally good: the smaller batch size comes first, then
    the variant's name. Equal energies share a rank.
    """
    order = ["max_batch_size", "variant"]
    best = (
        _judged(choices(points, publish_flagged), targets)
        .with_columns(meets_latency_target=pl.when("usable").then(pl.col("meets_latency_target")))
        .with_columns(
            energy=pl.when("meets_latency_target").then("energy_per_response_j"),
            responses=pl.when("meets_latency_target").then("responses_per_s"),
            waited=pl.when(pl.col("usable") & ~pl.col("meets_latency_target")).then("waited_s"),
        )
        .sort(
            [*_GROUP, "usable", "meets_latency_target", "energy", "responses", "waited", *order],
            descending=[False, False, True, True, False, True, False, False, False],
            nulls_last=[False] * 2 + [True] * 5 + [False] * 2,
            maintain_order=True,
        )
        .unique(_GROUP, keep="first", maintain_order=True)
    )
    left_out = pl.col("status").is_in(USABLE) & ~pl.col("usable")
    ranked = best.with_columns(
        pl.when("usable").then(pl.col(pl.Float64)),
        rank=pl.col("energy").rank("min").over("task"),
        reason=pl.when(left_out).then("verdict").otherwise("reason"),
    )
    return ranked.sort("task", "rank", "model", nulls_last=[False, True, False]).select(
        pl.col(name).cast(dtype) for name, dtype in tables.LEADERBOARD.items()
    )


def _judged(points: pl.DataFrame, targets: Mapping[TaskName, LatencyTarget | None]) -> pl.DataFrame:
    """`points` with latency_target as text, waited_s (what it is about), and meets_latency_target."""
    parts, named = [], {str(task): target for task, target in targets.items()}
    for (task,), rows in points.group_by("task", maintain_order=True):
        target = named.get(str(task))
        if target is None:
            waited, text, meets = pl.lit(None, pl.Float64), None, pl.lit(True)
        else:
            waited, text = pl.col(target.column), str(target)
            meets = (waited <= target.at_most_s).fill_null(False)
        parts.append(
            rows.with_columns(waited_s=waited, latency_target=pl.lit(text, pl.String), meets_latency_target=meets)
        )
    empty = pl.DataFrame(
        schema={
            **points.schema,
            "waited_s": pl.Float64(),
            "latency_target": pl.String(),
            "meets_latency_target": pl.Boolean(),
        }
    )
    return pl.concat([empty, *parts])
