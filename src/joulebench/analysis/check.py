"""One check: a limit on one fact of a point. The table of them is analysis.checks."""

from dataclasses import dataclass

import polars as pl

NUMBER = "{:.3g}"


@dataclass(frozen=True, kw_only=True)
class Check:
    """A limit on one fact of a point.

    `value` is an expression over tables.POINTS, `fact` its name with its unit. Beyond `flags` a point is flagged,
    beyond `voids` it is invalid: above them, or below them where `at_least`. `form` says the value to people, empty
    where the name says all.
    `where`: the points that the check is about, `about` the same in words.
    """

    name: str
    fact: str
    value: pl.Expr
    flags: float | None = None
    voids: float | None = None
    at_least: bool = False
    form: str = NUMBER
    says: str
    source: str
    where: pl.Expr = pl.lit(True)  # noqa: RUF009 (an expression is never changed)
    about: str = "all"

    def beyond(self, limit: float) -> pl.Expr:
        """Whether a point is beyond `limit`; False where its fact is not known."""
        value = self.value < limit if self.at_least else self.value > limit
        return (self.where & value).fill_null(False)

    def said(self, found: float, limit: float) -> str:
        """`short window (6.2 s, at least 10 s)`."""
        if not self.form:
            return self.name
        bound = "at least" if self.at_least else "at most"
        return f"{self.name} ({self.form.format(found)}, {bound} {self.form.format(limit)})"
