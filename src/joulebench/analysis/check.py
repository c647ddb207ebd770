"""One check: a limit on one fact of a point. The table of them is analysis.checks."""

from dataclasses import dataclass

import polars as pl

from joulebench.tables.columns import unit_of


@dataclass(frozen=True, kw_only=True)
class Check:
    """A limit on one fact of a point.

    `fact` is its name with its unit, `of` an expression over tables.POINTS; null: the column `fact`. Beyond `flags` a
    point is flagged, beyond `voids` it is invalid: above them, or below them where `at_least`. `form` says the value to
    people, empty where the name says all; null: three digits and the unit.
    `where`: the points that the check is about, `about` the same in words.
    """

    name: str
    fact: str
    of: pl.Expr | None = None
    flags: float | None = None
    voids: float | None = None
    at_least: bool = False
    form: str | None = None
    says: str
    source: str
    where: pl.Expr = pl.lit(True)  # noqa: RUF009 (an expression is never changed)
    about: str = "all"

    @property
    def value(self) -> pl.Expr:
        return pl.col(self.fact) if self.of is None else self.of

    def words(self, value: float) -> str:
        """`6.2 s`, for people; empty where the name says all."""
        if self.form is None:
            return " ".join(filter(None, (f"{value:.3g}", unit_of(self.fact))))
        return self.form.format(value)

    def beyond(self, limit: float) -> pl.Expr:
        """Whether a point is beyond `limit`; False where its fact is not known."""
        value = self.value < limit if self.at_least else self.value > limit
        return (self.where & value).fill_null(False)

    def said(self, found: float, limit: float) -> str:
        """`short window (6.2 s, at least 10 s)`."""
        bound = "at least" if self.at_least else "at most"
        words = self.words(limit)
        return f"{self.name} ({self.words(found)}, {bound} {words})" if words else self.name
