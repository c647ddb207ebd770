"""What the checks say of each point: its verdict, and checks.csv. Nothing else knows how a verdict is written."""

from enum import StrEnum

import polars as pl

from joulebench.analysis.checks import CHECKS
from joulebench.tables import schemas

USABLE = ("measured", "overloaded")
"""The statuses of points that may have figures."""


class Severity(StrEnum):
    """What a verdict comes to. A point that is flagged and invalid is invalid."""

    VALID = "valid"
    FLAGGED = "flagged"
    INVALID = "invalid"


NO_ENERGY = "no energy: nothing measures it"
"""The verdict where no device has a source of energy; it is VALID, the latencies being as good as any."""


def severity() -> pl.Expr:
    """The Severity of each row's `verdict`, as text; null without one."""
    return pl.col("verdict").replace(NO_ENERGY, str(Severity.VALID)).str.split(": ").list.first()


def has_severity(*wanted: Severity) -> pl.Expr:
    """Whether the Severity of each row's `verdict` is one of `wanted`; False without one."""
    return severity().is_in(wanted).fill_null(False)


def flagged_for() -> pl.Expr:
    """Which checks flagged each row, with what they found, as text; null where it is not flagged."""
    flagged = pl.when(has_severity(Severity.FLAGGED))
    return flagged.then(pl.col("verdict").str.strip_prefix(f"{Severity.FLAGGED}: "))


def trusted(publish_flagged: bool = False) -> pl.Expr:
    """Whether a point's figures may be shown as results: valid ones, with `publish_flagged` flagged ones too.

    False without a verdict. Where nothing measures energy, the latencies are what there is to show.
    """
    return has_severity(Severity.VALID, *([Severity.FLAGGED] if publish_flagged else []))


def publishable(publish_flagged: bool) -> pl.Expr:
    """Whether a row may leave the project, of a table with `verdict` and `responses_per_s`: one that is `trusted`.

    A row without figures says only why it has none, and may always be published.
    """
    return trusted(publish_flagged) | pl.col("responses_per_s").is_null()


def fired(points: pl.DataFrame) -> pl.DataFrame:
    """One row for each point and check that fired (tables.CHECKS), sorted by point, then in the order of CHECKS.

    `points`: tables.POINTS. A check that fires beyond both its limits has one row, the invalid one.
    """
    found = [_hits(points.with_row_index("row"), place) for place in range(len(CHECKS))]
    table = pl.concat(found).sort("row", "place")
    return table.select(pl.col(name).cast(dtype) for name, dtype in schemas.CHECKS.items())


def judged(points: pl.DataFrame) -> pl.DataFrame:
    """`points` (tables.POINTS) with `verdict` and `unchecked`.

    verdict: `valid`; or `invalid: ` and `flagged: ` with what fired, what was found and the limit. A point without
    figures is invalid for its reason, and so is one without energy though a device of it has a source. Where none has,
    it is NO_ENERGY, unless a check fires. unchecked: the checks that could not be made, their facts not being recorded.
    """
    rows = points.with_row_index("row")
    said: dict[tuple[int, str], list[str]] = {}
    for place, check in enumerate(CHECKS):
        for row, severity, found, limit in _hits(rows, place).select("row", "severity", "found", "limit").iter_rows():
            said.setdefault((row, severity), []).append(check.said(found, limit))
    verdicts = []
    facts = ("status", "reason", "responses_per_s", "energy_per_response_j", "energy_source")
    for row, status, reason, responses_per_s, energy_j, source in rows.select("row", *facts).iter_rows():
        if status not in USABLE:
            verdicts.append(f"{Severity.INVALID}: {status}: {reason or 'no reason was recorded'}")
        elif responses_per_s is None:
            verdicts.append(f"{Severity.INVALID}: {reason or 'no figures'}")
        else:
            if energy_j is None and source is not None:
                said.setdefault((row, Severity.INVALID), []).insert(0, reason or "no energy per response")
            parts = (f"{how}: {'; '.join(said[row, how])}" for how in _WORST_FIRST if (row, how) in said)
            verdicts.append("; ".join(parts) or (NO_ENERGY if energy_j is None else Severity.VALID))
    unknown = [pl.when(_HAS_FIGURES & check.where & check.value.is_null()).then(pl.lit(check.name)) for check in CHECKS]
    return points.with_columns(
        verdict=pl.Series(verdicts, dtype=pl.String),
        unchecked=pl.concat_str(unknown, separator="; ", ignore_nulls=True).replace("", None),
    )


_WORST_FIRST = (Severity.INVALID, Severity.FLAGGED)
_HAS_FIGURES = pl.col("status").is_in(USABLE) & pl.col("responses_per_s").is_not_null()


def _hits(rows: pl.DataFrame, place: int) -> pl.DataFrame:
    """The points (with `row`) that one check fires at: the columns of tables.CHECKS, row and place."""
    check = CHECKS[place]
    voids = pl.lit(False) if check.voids is None else check.beyond(check.voids)
    flags = pl.lit(False) if check.flags is None else check.beyond(check.flags)
    return (
        rows.filter(_HAS_FIGURES & (voids | flags))
        .with_columns(
            check=pl.lit(check.name),
            severity=pl.when(voids).then(pl.lit(Severity.INVALID)).otherwise(pl.lit(Severity.FLAGGED)),
            fact=pl.lit(check.fact),
            found=check.value.cast(pl.Float64),
            limit=pl.when(voids).then(pl.lit(check.voids, pl.Float64)).otherwise(pl.lit(check.flags, pl.Float64)),
            source=pl.lit(check.source),
            place=pl.lit(place),
        )
        .select("row", "place", *schemas.CHECKS)
    )
