"""quality.csv: how right the answers of each model variant are, and what a right one costs.

J per right answer = J per output token x mean output tokens of the judged answers / share of right ones, with the J per
output token of the run's trusted point of least energy. The measured answers may be made to have other lengths; so the
judged ones' own count. The bounds of its interval are those of the energy over the opposite ones of the share: it holds
both at once, and is wide rather than narrow. Where nothing is right there is none, and no upper bound where the share's
lower bound is 0. Images are not right or wrong: their score is no share, and has none.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.verdicts import trusted
from joulebench.files import RecordError
from joulebench.records.files import read_score
from joulebench.tables.schemas import QUALITY

_SAME = ("task", "model", "variant")
_OWN = ("output_length", "sweep", "repeat", "prompt_form", "stop")
"""What the asking has of its own: it is no part of what was measured."""
_QUALITY = ("quality", "quality_low", "quality_high")
_TOKENS = "mean_output_tokens"


def judged(scores: Mapping[str, Mapping[str, Any]]) -> tuple[pl.DataFrame, list[str]]:
    """One row a score, columns as in tables.QUALITY but those of energy, and a line for each that was left out.

    `scores`: the score's file -> what the config has of it now, as plain values: the `spec` (config.spec.RunSpec) and
    how it is `judged` (config.quality).
    """
    rows, left_out = [], []
    for name, wanted in scores.items():
        try:
            found = read_score(Path(name))
        except RecordError as error:
            left_out.append(str(error))
            continue
        spec = wanted["spec"]
        changed = sorted(key for key in spec if key not in _OWN and found.spec.get(key) != spec[key])
        changed += [f"quality.{key}" for key, value in wanted["judged"].items() if found.judged.get(key) != value]
        changed += ["quality.clip's files"] if (found.judge and found.judge.made_from) != wanted.get("judge") else []
        if changed:
            left_out.append(f"{name}: of another {', '.join(changed)} than the config's; delete it to ask again")
            continue
        facts = {key: found.spec[key] for key in (*_SAME, "hardware", "engine", "dtype")}
        told = found.model_dump(include={*QUALITY} & {*type(found).model_fields} - {"judge"})
        facts["judge"] = found.judge and found.judge.model
        rows.append(facts | told | {"dataset": found.spec["dataset"]["name"], "measured_on": found.started_utc[:10]})
    known = {name: kind for name, kind in QUALITY.items() if rows and name in rows[0]}
    table = pl.DataFrame(rows, schema=known or QUALITY, orient="row")
    return table.select(pl.exclude("setting", "^energy_.*$")), left_out


def quality(
    scores: Mapping[str, Mapping[str, Any]], points: pl.DataFrame, publish_flagged: bool = False
) -> tuple[pl.DataFrame, list[str]]:
    """The scores that are `judged` with what a right answer costs (tables.QUALITY), and the lines of those left out."""
    table, left_out = judged(scores)
    energy = [f"energy_per_output_token{bound}_j" for bound in ("", "_low", "_high")]
    least = (
        points.filter(trusted(publish_flagged) & pl.col(energy[0]).is_not_null())
        .sort(energy[0])
        .group_by(_SAME, maintain_order=True)
        .agg(pl.col(name).first() for name in ("setting", *energy))
    )
    table = table.join(least, on=_SAME, how="left", nulls_equal=True, maintain_order="left")
    return table.with_columns(_per_right_answer()), left_out


def with_quality(rows: pl.DataFrame, scores: pl.DataFrame | None) -> pl.DataFrame:
    """`rows` with what was `judged` of each row's model variant: quality_metric, quality, energy_per_right_answer_j.

    The figures have their bounds; the energy is that of the row's own point. `rows`: columns of tables.POINTS;
    `scores`: of tables.QUALITY, None where there are none. Null where nothing was judged, and for drawn weights.
    """
    known = QUALITY.to_frame() if scores is None else scores
    told = known.select(*_SAME, *_QUALITY, weights=pl.lit("checkpoint"), quality_metric="metric", judged=_TOKENS)
    joined = rows.join(told, on=[*_SAME, "weights"], how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(_per_right_answer("judged")).drop("judged")


def _per_right_answer(tokens: str = _TOKENS) -> list[pl.Expr]:
    """The one place that computes it; `tokens`: the column of the judged answers' mean output tokens."""
    opposite = {"": "quality", "_low": "quality_high", "_high": "quality_low"}
    return [
        pl.when(pl.col(share) > 0)
        .then(pl.col(f"energy_per_output_token{bound}_j") * pl.col(tokens) / pl.col(share))
        .alias(f"energy_per_right_answer{bound}_j")
        for bound, share in opposite.items()
    ]
