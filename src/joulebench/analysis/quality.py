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


def quality(
    scores: Mapping[str, Mapping[str, Any]], points: pl.DataFrame, publish_flagged: bool = False
) -> tuple[pl.DataFrame, list[str]]:
    """One row a score, columns as in tables.QUALITY, and a line for each that was left out.

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
    energy = [f"energy_per_output_token{bound}_j" for bound in ("", "_low", "_high")]
    least = (
        points.filter(trusted(publish_flagged) & pl.col(energy[0]).is_not_null())
        .sort(energy[0])
        .group_by(_SAME, maintain_order=True)
        .agg(pl.col(name).first() for name in ("setting", *energy))
    )
    table = table.select(pl.exclude("setting", *energy)).join(
        least, on=_SAME, how="left", nulls_equal=True, maintain_order="left"
    )
    opposite = {"": "quality", "_low": "quality_high", "_high": "quality_low"}
    return table.with_columns(
        pl.when(pl.col(share) > 0)
        .then(pl.col(f"energy_per_output_token{bound}_j") * pl.col("mean_output_tokens") / pl.col(share))
        .alias(f"energy_per_right_answer{bound}_j")
        for bound, share in opposite.items()
    ), left_out
