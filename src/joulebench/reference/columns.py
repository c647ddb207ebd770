"""Every column of every table: its type, its unit, its meaning."""

from joulebench.reference.tables import table
from joulebench.tables.columns import Column
from joulebench.tables.schemas import COLUMNS

_BEFORE = """# Columns

Every table under `results/{hardware}/` is a CSV file, with a Parquet file beside it whose metadata holds what stands
here. An empty field is null: the figure does not apply, or was not measured. It is never 0 for what is not known.

A figure `x_j` with a 95 % interval has `x_low_j` and `x_high_j` beside it: marked *interval* here. Numbers have six
significant digits. A column that a table shares with `points.csv` means the same there, and is named below that table's
own ones.

This page is made from the code: `python -m joulebench.reference columns > docs/reference/columns.md`.
"""
KINDS = {"String": "text", "Int64": "whole number", "Float64": "number", "Boolean": "true or false"}


def markdown() -> str:
    points = {column.name: column for column in COLUMNS["points"]}
    parts = [_BEFORE]
    for name, columns in COLUMNS.items():
        own = columns if name == "points" else [one for one in columns if points.get(one.name) != one]
        parts.append(f"\n## {name}.csv\n\n" + _table(own))
        shared = [one.name for one in columns if one not in own and not one.is_bound]
        if shared:
            parts.append("\nAs in points.csv: " + ", ".join(f"`{one}`" for one in shared) + ".\n")
    return "".join(parts)


def _table(columns: "list[Column] | tuple[Column, ...]") -> str:
    bounded = {one.name.replace("_low", "") for one in columns if one.is_bound and "_low" in one.name}
    rows = (
        (
            f"`{one.name}`",
            KINDS.get(one.dtype.__name__, one.dtype.__name__) + (", interval" if one.name in bounded else ""),
            one.unit or "",
            one.meaning,
        )
        for one in columns
        if not one.is_bound
    )
    return table(("column", "type", "unit", "meaning"), rows)
