"""What is known of a column of the tables, said once: its type, its unit, its meaning, and whether the page has it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

QUANTILES = (50, 90, 95, 99)
BOUNDS = ("", "_low", "_high")
"""A figure x of unit j and its 95 % interval: x_j, x_low_j, x_high_j."""
ON_PAGE = True
UNITS = {
    "rate_per_s": "requests/s",
    "responses_per_s": "responses/s",
    "_tokens_per_s": "tokens/s",
    "_g_per_kwh": "gCO2e/kWh",
    "tokens_per_kwh": "tokens/kWh",
    "responses_per_kwh": "responses/kWh",
    **{"_s": "s", "_j": "J", "_w": "W", "_g": "gCO2e", "_c": "°C", "_mhz": "MHz", "_percent": "%"},
    "_mb": "MB (10^6 bytes)",
}
"""How the name of a figure ends -> its unit."""


@dataclass(frozen=True)
class Column:
    """A column of a table. `unit`: null of a text, a count or a ratio; `is_bound`: an end of another one's interval."""

    name: str
    dtype: type[pl.DataType]
    unit: str | None
    meaning: str
    on_page: bool = False
    is_bound: bool = False


def unit_of(name: str) -> str | None:
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), None)


def text(name: str, meaning: str, on_page: bool = False) -> Column:
    return Column(name, pl.String, None, meaning, on_page)


def count(name: str, meaning: str, on_page: bool = False) -> Column:
    return Column(name, pl.Int64, None, meaning, on_page)


def figure(name: str, meaning: str, on_page: bool = False) -> Column:
    """A number with the unit that its name ends with, if any."""
    return Column(name, pl.Float64, unit_of(name), meaning, on_page)


def interval(name: str, meaning: str, on_page: bool = False) -> tuple[Column, Column, Column]:
    """A figure with its 95 % interval: `x{}_j` is x_j, x_low_j and x_high_j."""
    whole = figure(name.format(""), meaning, on_page)
    low, high = (
        replace(
            whole, name=name.format(bound), meaning=f"{which} end of the 95 % interval of {whole.name}.", is_bound=True
        )
        for bound, which in (("_low", "Lower"), ("_high", "Upper"))
    )
    return whole, low, high


def quantiles(metric: str, meaning: str) -> tuple[Column, ...]:
    """The quantiles of a latency over the window, each with its interval; the page has them."""
    return tuple(
        column
        for q in QUANTILES
        for column in interval(
            f"{metric}_p{q}{{}}_s",
            f"{meaning}: {'median' if q == 50 else f'{q}th percentile'} over the window.",
            ON_PAGE,
        )
    )


def pick(columns: Iterable[Column], *names: str) -> tuple[Column, ...]:
    """Those of `columns` with these names, in the order of the names. Raises KeyError where there is none."""
    known = {column.name: column for column in columns}
    return tuple(known[name] for name in names)
