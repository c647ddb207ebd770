"""The studies as the page carries them: the pooled points of each, what may be drawn of them, and what is claimed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from joulebench.analysis.choices import placed, pooled
from joulebench.analysis.verdicts import USABLE, Severity, flagged_for, severity
from joulebench.site.rows import as_json
from joulebench.tables.columns import BOUNDS
from joulebench.tables.point import POINT, SETTING
from joulebench.tables.schemas import CLAIMS, STUDY

MEASURES = {
    "response": "study_energy_per_response_j",
    "token": "study_energy_per_output_token_j",
    "decoded": "decode_energy_per_token_j",
    "prompt": "prefill_energy_per_token_j",
    "input": "energy_per_input_token_j",
}
"""What a study's chart may have on its y axis -> the column, which has an interval beside it."""
_OF_WINDOW = "input"
"""Is of the stationary window alone: not beside energies of a whole."""
_NOT_SHOWN = {column.name for column in POINT if not column.on_page} - set(SETTING)
_FACTS = ("axis_value", "at", "severity", "flagged_for", "standing", "first_standing", "repeats")
_FIRST = ("model", "variant", "max_batch_size", "input_tokens")
"""What a point has in common with that of one output token, which tells its prompt's reading (analysis.phases)."""


@dataclass(frozen=True)
class Study:
    """A study of one hardware, whole: its table (tables.STUDY) and the claims (tables.CLAIMS) that are held against it.

    `asks`: what it asks, as the config says.
    """

    hardware: str
    name: str
    asks: str
    table: pl.DataFrame
    claims: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLAIMS))


@dataclass(frozen=True)
class Unfinished:
    """A study that is not shown: of its `runs` so many are `there`, measured as the config says."""

    hardware: str
    name: str
    task: str
    there: int
    runs: int


def as_carried(study: Study) -> dict[str, Any]:
    """Plain values: who it is, `task`, `measures` (of MEASURES), `points` and `claims` (rows.as_json).

    Points are in the order of their lines, that with the most energy first, and along what varies. `standing`: `valid`;
    `flagged`; `whole`, of which nothing but its whole is known; `void`, which has no figures, or none that count.
    `first_standing`: the same of the point of one output token beside it, from which its prefill and its decode follow.
    """
    points = _points(study.table)
    whole = points["whole_energy_per_response_j"].is_not_null().any()
    known = [key for key, column in MEASURES.items() if points[column].is_not_null().any()]
    return {
        "hardware": study.hardware,
        "name": study.name,
        "asks": study.asks,
        "task": points["task"].first(),
        "measures": [(key, MEASURES[key]) for key in known if not (whole and key == _OF_WINDOW)],
        "points": as_json(points),
        "claims": as_json(study.claims),
    }


def _points(table: pl.DataFrame) -> pl.DataFrame:
    from joulebench.analysis.study import with_intervals  # planning imports this room, and does without scipy

    given = with_intervals(table)
    given = given.with_columns(pl.when(pl.col(pl.Float64).is_finite()).then(pl.col(pl.Float64)).name.keep())
    rows = placed(pooled(given)).with_columns(severity=severity(), flagged_for=flagged_for())
    rows = rows.with_columns(standing=_standing())
    first = rows.filter(pl.col("output_tokens") == 1).unique(_FIRST, keep="first", maintain_order=True)
    first = first.select(*_FIRST, first_standing="standing")
    most = pl.col("study_energy_per_response_j").max()
    ordered = rows.join(first, on=_FIRST, how="left", nulls_equal=True, maintain_order="left").sort(
        -most.over("model"), "model", -most.over("model", "variant"), "variant", "axis_value", nulls_last=True
    )
    added = [
        f"{name}{bound}_j"
        for name in ("study_energy_per_response", "study_energy_per_output_token")
        for bound in BOUNDS
    ]
    names = [name for name in STUDY if name not in _NOT_SHOWN]
    return ordered.select(*dict.fromkeys([*names, *added, *_FACTS]))


def _standing() -> pl.Expr:
    """See `as_carried`. A point without a stationary window is invalid by its verdict, and its whole was measured."""
    served = pl.col("status").is_in(USABLE) & pl.col("study_energy_per_response_j").is_not_null()
    no_window = pl.col("responses_per_s").is_null() & pl.col("whole_energy_per_response_j").is_not_null()
    return (
        pl.when(served & (pl.col("severity") == Severity.VALID))
        .then(pl.lit("valid"))
        .when(served & (pl.col("severity") == Severity.FLAGGED))
        .then(pl.lit("flagged"))
        .when(served & no_window)
        .then(pl.lit("whole"))
        .otherwise(pl.lit("void"))
    )


def sources(studies: Sequence[Study]) -> set[str]:
    """What stands in energy_source."""
    return {text for study in studies for text in study.table["energy_source"].drop_nulls()}
