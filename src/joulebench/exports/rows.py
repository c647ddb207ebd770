"""Which rows may leave the project."""

import polars as pl

from joulebench.analysis.verdicts import trusted
from joulebench.tables.point import AT

POINT = ("task", "model", "variant", *AT, "repeat")
"""What tells the rows of points.csv, and of tables that have one row a row of it, apart."""


def publishable(publish_flagged: bool) -> pl.Expr:
    """Whether a row's figures may be published: valid ones, with `publish_flagged` flagged ones, invalid ones never.

    A row without figures says only why it has none, and may always be. Of tables with `verdict` and `responses_per_s`.
    """
    return trusted(publish_flagged) | pl.col("responses_per_s").is_null()
