"""A table as the page carries it: its columns once, and a list of values a row."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from joulebench.tables.files import SIGNIFICANT_DIGITS

EMPTY: dict[str, Any] = {"columns": [], "absent": [], "rows": []}


def as_json(rows: pl.DataFrame) -> dict[str, Sequence[Any]]:
    """`columns`, `rows`, and the names of what is `absent`: columns of nulls alone. Numbers have the tables' digits."""
    absent = [column.name for column in rows if not column.count()]
    kept = rows.drop(absent)
    rounded = kept.with_columns(pl.col(pl.Float64).round_sig_figs(SIGNIFICANT_DIGITS))
    return {"columns": rounded.columns, "absent": absent, "rows": [list(row) for row in rounded.iter_rows()]}
