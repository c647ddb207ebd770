"""What is known of a column of the tables, said once: its type, its unit, its meaning, and whether the page has it."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

QUANTILES = (50, 90, 95, 99)
BOUNDS = ("", "_low", "_high")
"""A figure x of unit j and its 95 % interval: x_j, x_low_j, x_high_j."""
ON_PAGE = True


@dataclass(frozen=True)
class Column:
    """A column of a table. `unit`: null of a text, a count or a ratio; `is_bound`: an end of another one's interval."""

    name: str
    dtype: type[pl.DataType]
    unit: str | None
    meaning: str
    on_page: bool = False
    is_bound: bool = False


def text(name: str, meaning: str, on_page: bool = False) -> Column:
    return Column(name, pl.String, None, meaning, on_page)


def count(name: str, meaning: str, on_page: bool = False) -> Column:
    return Column(name, pl.Int64, None, meaning, on_page)


def figure(name: str, unit: str | None, meaning: str, on_page: bool = False) -> Column:
    return Column(name, pl.Float64, unit, meaning, on_page)


def interval(name: str, unit: str | None, meaning: str, on_page: bool = False) -> tuple[Column, Column, Column]:
    """A figure with its 95 % interval: `x{}_j` is x_j, x_low_j and x_high_j."""
    whole, low, high = (name.format(bound) for bound in BOUNDS)
    end = f"end of the 95 % interval of {whole}."
    return (
        figure(whole, unit, meaning, on_page),
        Column(low, pl.Float64, unit, f"Lower {end}", on_page, is_bound=True),
        Column(high, pl.Float64, unit, f"Upper {end}", on_page, is_bound=True),
    )


def quantiles(metric: str, meaning: str) -> tuple[Column, ...]:
    """The quantiles of a latency over the window, each with its interval; the page has them."""
    return tuple(
        column
        for q in QUANTILES
        for column in interval(
            f"{metric}_p{q}{{}}_s",
            "s",
            f"{meaning}: {'median' if q == 50 else f'{q}th percentile'} over the window.",
            ON_PAGE,
        )
    )


def pick(columns: Iterable[Column], *names: str) -> tuple[Column, ...]:
    """Those of `columns` with these names, in the order of the names. Raises KeyError where there is none."""
    known = {column.name: column for column in columns}
    return tuple(known[name] for name in names)
