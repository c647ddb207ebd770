"""How the tables that people read are written and read.

Numbers are written with six significant digits, so that the same raw records give the same bytes on any machine.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from joulebench.errors import UserError
from joulebench.files import write_text

SIGNIFICANT_DIGITS = 6
OF_A_VERSION = 5
"""So many columns at most do two versions of a table differ by."""


def write_csv(frame: pl.DataFrame, schema: pl.Schema, path: Path) -> None:
    """Write `frame` with the columns and types of `schema`, whole or not at all."""
    write_text(_no_formulas(rounded(frame, schema)).write_csv(), path)


def _no_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Text that a spreadsheet would compute, as the reason of another program may be, opened by an apostrophe."""
    text = pl.col(pl.String)
    return frame.with_columns(pl.when(text.str.contains(r"^\s*[=+\-@]")).then("'" + text).otherwise(text).name.keep())


def rounded(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The columns of `schema`, with the digits that `write_csv` writes."""
    columns = [pl.col(name).cast(dtype) for name, dtype in schema.items()]
    return frame.select(columns).with_columns(pl.col(pl.Float64).round_sig_figs(SIGNIFICANT_DIGITS))


def read_csv(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read a table that `write_csv` wrote. Raises UserError where it is missing or is another table."""
    try:
        return pl.read_csv(path, schema=schema)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run snakemake for it") from None
    except pl.exceptions.PolarsError as error:
        found = column_names(path)
        lacks = [name for name in schema if name not in found]
        if not found or (not lacks and set(found) == set(schema)):
            raise UserError(f"{path}: not a readable table ({' '.join(str(error).split())[:200]})") from None
        raise UserError(_other_table(path, lacks, [name for name in found if name not in schema])) from None


def _other_table(path: Path, lacks: Sequence[str], has: Sequence[str]) -> str:
    """A table of another version lacks a few columns, or has a few more; else it is another table."""
    said = [f"{what} {', '.join(names[:3])}" for what, names in (("no column", lacks), ("besides", has)) if names]
    if len(lacks) + len(has) <= OF_A_VERSION:
        how = f": snakemake --cores all --force {path}" if path.parts[:1] == ("results",) else ""
        return f"{path}: made by another version ({'; '.join(said)}); make it again{how}"
    return f"{path}: another table than is read here ({'; '.join(said)}); check its name"


def column_names(path: Path) -> list[str]:
    """The columns of a table, by its first line; none where it cannot be read."""
    try:
        return pl.read_csv(path, n_rows=0).columns
    except (OSError, pl.exceptions.PolarsError):
        return []
