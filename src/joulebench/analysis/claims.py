"""results/{hardware}/studies/hpml-claims.csv: what others said that a setting saves, against what was found here.

A claim is a ratio: the energy at b over that at a. It is looked for in three figures, each of which has an interval:

    J per input token     the whole energy over the prompts' tokens, by which HPML compares. Longer answers raise it and
                          longer prompts lower it by arithmetic alone
    J per prompt token    of reading the prompt: a response of one output token (analysis.phases)
    J per decoded token   of writing a further token (analysis.phases)

The points a and b are measured apart, so their errors are independent. The interval of b / a is Fieller's (1954, Some
Problems in Interval Estimation, Journal of the Royal Statistical Society B 16(2)): every r at which b - r a, whose
half-width is the root of h_b^2 + r^2 h_a^2, is not told from 0. These are the r between the roots of

    (a^2 - h_a^2) r^2 - 2 a b r + (b^2 - h_b^2) = 0

It is bounded only where a is told from 0. The claim is what rounds to its digits: `0.54` is 0.535 to 0.545. By HPML's
metric it has `held` where the interval and the claim have a value in common, and is `not told apart` where the interval
holds 1 as well, which is no change at all; `not held` where they have none.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from joulebench.analysis.choices import Row, interval, pooled
from joulebench.analysis.hpml import CLAIMS, Claim
from joulebench.analysis.phases import phased
from joulebench.analysis.verdicts import USABLE, trusted
from joulebench.tables.columns import BOUNDS
from joulebench.tables.schemas import CLAIMS as TABLE

HELD, NOT_HELD, NOT_TOLD_APART = "held", "not held", "not told apart"


FIGURES = {
    "input_token_ratio": "energy_per_input_token_j",
    "prompt_token_ratio": "prefill_energy_per_token_j",
    "decoded_token_ratio": "decode_energy_per_token_j",
}
"""A ratio of the table -> the figure that it is of."""
_HELD_EQUAL = ("model", "variant", "max_batch_size", "input_tokens", "output_tokens")


def claims(found: Mapping[str, pl.DataFrame], wanted: Sequence[Claim] = CLAIMS) -> pl.DataFrame:
    """One row a claim and model variant that has both its points, else one that says why there is none (tables.CLAIMS).

    `found`: the tables of studies (tables.STUDY) by name; those that the hardware has not are missing.
    """
    rows = [row for claim in wanted for row in _rows(claim, found)]
    return pl.DataFrame(rows, schema=TABLE, orient="row")


def _rows(claim: Claim, found: Mapping[str, pl.DataFrame]) -> list[dict[str, Any]]:
    said = {"claim": claim.says, "source": claim.source, "study": claim.studies[0], "claimed_ratio": float(claim.ratio)}
    empty = dict.fromkeys(TABLE) | said
    if claim.studies[0] not in found:
        return [empty | {"reason": f"the hardware has no study {claim.studies[0]}"}]
    own = [found[name].with_columns(study=pl.lit(name)) for name in claim.studies if name in found]
    table = pooled(phased(pl.concat(own)))
    told = table.filter(pl.col("study") == claim.studies[0], pl.col("output_tokens").ne_missing(1))
    same = [name for name in _HELD_EQUAL if name != claim.varies]
    rows = []
    for _, of in told.group_by(same, maintain_order=True):
        a, b = (_first(of, claim.varies, values) for values in (claim.a, claim.b))
        if a is not None and b is not None:
            rows.append(empty | _compared(claim, a, b))
    missing = f"{claim.studies[0]} has no two points that differ in {claim.varies} alone: {_listed(claim)}"
    return rows or [empty | {"reason": missing}]


def _first(of: pl.DataFrame, column: str, values: Sequence[int | str | None]) -> Row | None:
    for value in values:
        if (own := of.filter(pl.col(column).eq_missing(value))).height:
            return own.with_columns(told=pl.col("status").is_in(USABLE) & trusted(publish_flagged=True)).row(
                0, named=True
            )
    return None


def _listed(claim: Claim) -> str:
    sides = (["plain" if one is None else str(one) for one in values] for values in (claim.a, claim.b))
    return " and ".join("/".join(side) for side in sides)


def _compared(claim: Claim, a: Row, b: Row) -> dict[str, Any]:
    facts = {name: a[name] for name in ("model", "hardware", "engine", "dtype", "energy_source")}
    places = {"a": _named(a), "b": _named(b)}
    void = [f"{_named(one)}: {one['verdict'] or one['reason'] or 'no verdict'}" for one in (a, b) if not one["told"]]
    if void:
        return facts | places | {"reason": "; ".join(void)}
    ratios: dict[str, float | None] = {}
    for name, column in FIGURES.items():
        ratios |= {f"{name}{bound}": value for bound, value in zip(BOUNDS, _ratio(a, b, column), strict=True)}
    reasons = [f"{_named(one)}: {one['verdict']}" for one in (a, b) if str(one["verdict"]).startswith("flagged")]
    low, high = ratios["input_token_ratio_low"], ratios["input_token_ratio_high"]
    verdict = None if low is None or high is None else judged(claim.range, low, high)
    if verdict is None:
        known = ratios["input_token_ratio"] is not None
        reasons.insert(0, "the ratio has no bounded interval" if known else "no energy per input token")
    if ratios["decoded_token_ratio"] is None:
        reasons.append("no point of one output token beside both, to tell prefill from decode")
    return facts | places | ratios | {"verdict": verdict, "reason": "; ".join(reasons) or None}


def _named(row: Row) -> str:
    return f"{row['setting']} +{row['variant']}" if row["variant"] else str(row["setting"])


def _ratio(a: Row, b: Row, column: str) -> tuple[float | None, float | None, float | None]:
    """The figure `column` of b over that of a, and the ends of its interval; null for what is not known."""
    if a[column] is None or b[column] is None or a[column] <= 0:
        return None, None, None
    name, _, unit = column.rpartition("_")
    if any(one[f"{name}_{end}_{unit}"] is None for one in (a, b) for end in ("low", "high")):
        return b[column] / a[column], None, None
    halves = [(high - low) / 2 for low, high in (interval(a, column), interval(b, column))]
    return b[column] / a[column], *(fieller(a[column], halves[0], b[column], halves[1]) or (None, None))


def fieller(a: float, half_a: float, b: float, half_b: float) -> tuple[float, float] | None:
    """The interval of b / a of two independent estimates with the half-widths of their own intervals.

    None where it is not bounded: a is not told from 0.
    """
    square = a * a - half_a * half_a
    if square <= 0:
        return None
    root = math.sqrt(max(0.0, (a * b) ** 2 - square * (b * b - half_b * half_b)))
    return (a * b - root) / square, (a * b + root) / square


def judged(claimed: tuple[float, float], low: float, high: float) -> str:
    """HELD, NOT_HELD or NOT_TOLD_APART, of a ratio between `low` and `high`."""
    if high < claimed[0] or low > claimed[1]:
        return NOT_HELD
    return NOT_TOLD_APART if low <= 1.0 <= high else HELD
