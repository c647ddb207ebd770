"""The column `energy_source`: the sources of a point's devices, by name, joined with `+`."""

from collections.abc import Callable, Iterable

import polars as pl

from joulebench.records.sources import SOURCES, EnergySource, source

_AND = "+"


def joined(names: pl.Expr) -> pl.Expr:
    """The names of a group's devices as `energy_source` has them, each once; null where no device has a source."""
    return pl.when(names.count() > 0).then(names.drop_nulls().unique().sort().str.join(_AND))


def named(values: Iterable[str | None]) -> list[EnergySource]:
    """The sources in `values` of `energy_source`, each once, by name."""
    return [source(name) for name in sorted({name for one in values if one is not None for name in one.split(_AND)})]


def any_source(wanted: Callable[[EnergySource], bool]) -> pl.Expr:
    """Whether any source of a row is `wanted`; False without a source."""
    names = [one.name for one in SOURCES.values() if wanted(one)]
    parts = pl.col("energy_source").str.split(_AND)
    return parts.list.eval(pl.element().is_in(names)).list.any().fill_null(False)


def is_estimate() -> pl.Expr:
    """Whether any of the energy of a row is an estimate."""
    return any_source(lambda one: one.is_estimate)
