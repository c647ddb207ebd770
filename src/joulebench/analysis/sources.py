"""What measured and drew, as tables have it: the columns `energy_source` and `card`.

`energy_source`: the sources of a point's devices, by name, joined with `+`. `card`: the GPUs of a run, joined with `+`;
those of the repeats of a point, joined with `, `.
"""

from collections.abc import Callable, Iterable

import polars as pl

from joulebench.records.models import Machine
from joulebench.records.sources import SOURCES, EnergySource, source

_AND, _OR = "+", ", "
DIGITS = 8
"""Of a GPU's UUID, which tell it from others."""


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


def card(used: Machine) -> str | None:
    """The GPUs of a run by the first digits of their UUIDs; None where any is not known."""
    digits = [str(gpu.get("uuid") or "").removeprefix("GPU-")[:DIGITS] for gpu in used.devices]
    return _AND.join(digits) if digits and all(digits) else None


def cards_of_repeats(cards: pl.Expr) -> pl.Expr:
    """`card` of a group of runs, each once; null where none is known."""
    return cards.unique(maintain_order=True).drop_nulls().str.join(_OR).replace("", None)


def cards_in(values: Iterable[str | None]) -> set[str]:
    """The GPUs in `values` of `card`."""
    return {one for value in values if value for run in value.split(_OR) for one in run.split(_AND)}
