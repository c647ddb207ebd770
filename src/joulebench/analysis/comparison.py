"""Two tables of points, held against each other: the points that both have, and whether their energies are told apart.

A point of one is that of another if it is of the same task, dataset, model, variant, kind of answers and setting. With
the energies per response a and b, and their 95 % intervals, the change in percent is

    100 (b / a - 1),    from 100 (b_low / a_high - 1) to 100 (b_high / a_low - 1)

which holds the true ratio at least 95 % of the time where the two are independent (that of
analysis.recommendations). They are told apart as everywhere else: choices.tied. A point without an interval, as of one
run of a load whose whole is measured (at-once), is told apart from none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from joulebench.analysis.choices import POINT, Row, choices, interval, order, tied
from joulebench.errors import UserError
from joulebench.names import TASKS
from joulebench.records.sources import source

ENERGY = "energy_per_response_j"
LOW = "energy_per_response_low_j"
ALIKE = ("weights", "dtype", "quantization", "engine", "gpus")
"""What the two should have in common for their ratio to tell of the hardware alone."""
SAME_LENGTH = 0.01
"""Mean answers that differ by more are other work."""


@dataclass(frozen=True)
class Pair:
    """A point that both tables have, and the change of its energy per response, percent.

    `ends`: of the change's 95 % interval; None where one of the two energies has none.
    """

    one: Row
    other: Row
    change: float
    ends: tuple[float, float] | None
    told_apart: bool
    differences: tuple[str, ...]
    """What else is not the same: `dtype: float16, float32`."""

    @property
    def verdict(self) -> str:
        if self.differences_in_work:
            return "other work"
        if self.ends is None:
            return "no interval"
        return ("less" if self.change < 0 else "more") if self.told_apart else "not told apart"

    @property
    def within_cards(self) -> bool:
        """Whether the interval is off 0 and yet nothing is told apart: cards of one kind may differ by as much."""
        off = self.ends is not None and self.ends[0] * self.ends[1] > 0
        return off and not self.told_apart and not self.differences_in_work

    @property
    def differences_in_work(self) -> bool:
        return any(said.startswith("answers") for said in self.differences)


@dataclass(frozen=True)
class Comparison:
    """`pairs` by task, model, variant and setting; `alone`: how many usable points each table has without the other.

    `card_spread`: the share by which cards of one kind differ.
    """

    pairs: tuple[Pair, ...]
    alone: tuple[int, int]
    card_spread: float


def compare(one: pl.DataFrame, other: pl.DataFrame, publish_flagged: bool, card_spread: float) -> Comparison:
    """The points of `one` that `other` has too. Both: tables.POINTS; repeats are pooled, as analysis.choices does.

    Usable points with an energy count: valid ones, with `publish_flagged` or flagged. `card_spread`: the share by which
    cards of one kind differ. Raises UserError where the two have no point in common.
    """
    first, second = (_by_point(table, publish_flagged) for table in (one, other))
    both = [key for key in first if key in second]
    if not both:
        raise UserError(
            f"no point in common: {len(first)} usable points with an energy in the first, {len(second)} in the second, "
            "none of the same task, dataset, model, variant, answers and setting; measure the same on both"
        )
    pairs = [_pair(first[key], second[key], card_spread) for key in both]
    tasks = {str(task): place for place, task in enumerate(TASKS)}
    pairs.sort(
        key=lambda pair: (tasks[pair.one["task"]], pair.one["model"], pair.one["variant"] or "", order(pair.one))
    )
    return Comparison(tuple(pairs), (len(first) - len(both), len(second) - len(both)), card_spread)


def _by_point(table: pl.DataFrame, publish_flagged: bool) -> dict[tuple[object, ...], Row]:
    usable = choices(table, publish_flagged).filter(pl.col("usable") & pl.col(ENERGY).is_not_null())
    return {tuple(row[name] for name in POINT): row for row in usable.iter_rows(named=True)}


def _pair(one: Row, other: Row, card_spread: float) -> Pair:
    (low, high), (least, most) = interval(one, ENERGY), interval(other, ENERGY)
    change, *ends = (100 * (ratio - 1) for ratio in (other[ENERGY] / one[ENERGY], least / high, most / low))
    known = all(row[LOW] is not None for row in (one, other))
    apart = known and not tied(one, other, ENERGY, card_spread)
    return Pair(one, other, change, (ends[0], ends[1]) if known else None, apart, tuple(_differences(one, other)))


def _differences(one: Row, other: Row) -> Iterator[str]:
    tokens, others = one["response_output_tokens"], other["response_output_tokens"]
    if tokens is not None and others is not None and abs(others / tokens - 1) > SAME_LENGTH:
        yield f"answers: {tokens:.0f}, {others:.0f} tokens"
    for name in ALIKE:
        if one[name] != other[name]:
            yield f"{name}: {_said(one[name])}, {_said(other[name])}"
    if one["energy_source"] != other["energy_source"]:
        yield "energy: " + ", ".join(source(row["energy_source"]).label for row in (one, other))


def _said(value: object) -> str:
    return "none" if value is None else str(value)
