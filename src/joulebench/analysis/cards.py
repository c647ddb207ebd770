"""The column `card`: the GPUs of a run, joined with `+`; those of the repeats of a point, joined with `, `."""

from collections.abc import Iterable

import polars as pl

from joulebench.records.models import Machine

DIGITS = 8
"""Of a GPU's UUID, which tell it from others."""
_AND, _OR = "+", ", "


def card(used: Machine) -> str | None:
    """The GPUs of a run by the first digits of their UUIDs; None where any is not known."""
    digits = [str(gpu.get("uuid") or "").removeprefix("GPU-")[:DIGITS] for gpu in used.devices]
    return _AND.join(digits) if digits and all(digits) else None


def of_repeats(cards: pl.Expr) -> pl.Expr:
    """`card` of a group of runs, each once; null where none is known."""
    return cards.unique(maintain_order=True).drop_nulls().str.join(_OR).replace("", None)


def apart(values: Iterable[str | None]) -> set[str]:
    """The GPUs in `values` of `card`."""
    return {one for value in values if value for run in value.split(_OR) for one in run.split(_AND)}
