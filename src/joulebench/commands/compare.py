"""Compare the energy per response of two sets of results, point by point.

Each is a points.csv or its folder, the table of a study (results/{name}/studies/{study}.csv), or the name of a
hardware, which stands for results/{name}/points.csv. Shown are the points that both have: the change from the first to
the second in percent with its 95 % interval, and whether the two are told apart, which only points with an interval can
be. Points of different cards are told apart only beyond what cards of one kind differ by (the config's card_spread).
"""

import argparse
from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joulebench.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from joulebench.analysis.comparison import Comparison, Pair
    from joulebench.config import Config

HEADER = ("task", "model", "at", "first, J", "second, J", "change", "95 % interval", "second takes")
NUMBERS = slice(3, 7)
"""The columns that stand to the right."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="FIRST", help="points.csv, the CSV of a study, or the name of a hardware")
    parser.add_argument("second", metavar="SECOND", help="what it is compared with")
    parser.add_argument("--task", help="points of this task alone")
    parser.add_argument("--model", help="points of this model alone")
    parser.add_argument("--config", metavar="FILE", help="the config file (default: config.yaml here)")


def run(words: argparse.Namespace) -> int:
    from joulebench.analysis.comparison import compare
    from joulebench.config import handed_over, load

    config = handed_over() if words.config is None else load(words.config)
    first, second = (_points(name, words.task, words.model) for name in (words.first, words.second))
    found = compare(first, second, config.publish_flagged, _spread(config, first, second))
    print("\n".join(lines(found, words.first, words.second)))
    return 0


def lines(found: "Comparison", first: str, second: str) -> list[str]:
    """The comparison as text: a row for each point, what differs besides, and what has no counterpart."""
    told: dict[tuple[str, ...], str] = {}
    rows = [HEADER, *(_row(pair, told) for pair in found.pairs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    text = [_aligned(row, widths) for row in rows]
    text += ["", f"first: {first}; second: {second}"]
    text += [f"({mark}) not the same: {'; '.join(said)}" for said, mark in told.items()]
    if any(pair.within_cards for pair in found.pairs):
        percent = f"{100 * found.card_spread:.2g} %"
        text.append(f"cards of one kind differ by up to {percent}: what is within that is not told apart")
    alone = (f"{count} of the {where}" for count, where in zip(found.alone, ("first", "second"), strict=True) if count)
    if without := ", ".join(alone):
        text.append(f"usable points without a counterpart: {without}")
    return text


def _points(name: str, task: str | None, model: str | None) -> "pl.DataFrame":
    import polars as pl

    from joulebench.tables.files import column_names, read_csv
    from joulebench.tables.schemas import POINTS, STUDY

    path = _path(name)
    is_of_a_study = column_names(path) == STUDY.names()
    table = read_csv(path, STUDY if is_of_a_study else POINTS).select(POINTS.names())
    for column, value in (("task", task), ("model", model)):
        if value is not None:
            if value not in table[column]:
                known = ", ".join(sorted(set(table[column])))
                raise UserError(f"{path}: no {column} '{value}'; it has {known or 'no points'}")
            table = table.filter(pl.col(column) == value)
    return table


def _path(name: str) -> Path:
    if name.endswith(".csv"):
        return Path(name)
    path = Path(name, "points.csv") if "/" in name.rstrip("/") else Path("results", name, "points.csv")
    if not path.exists():
        known = ", ".join(sorted(one.parent.name for one in Path("results").glob("*/points.csv")))
        raise UserError(
            f"{path}: missing; results/ has the points of {known or 'nothing yet'}; for others: snakemake --cores all "
            "results/NAME/points.csv"
        )
    return path


def _spread(config: "Config", *tables: "pl.DataFrame") -> float:
    """The larger share by which cards differ, of the hardware of `tables`."""
    names = {name for table in tables for name in table["hardware"]}
    known = (config.hardware[name].card_spread for name in names if name in config.hardware)
    return max((one.percent / 100 for one in known if one is not None), default=0.0)


def _row(pair: "Pair", told: dict[tuple[str, ...], str]) -> tuple[str, ...]:
    row: dict[str, Any] = dict(pair.one)
    mark = ""
    if pair.differences:
        mark = f" ({told.setdefault(pair.differences, str(len(told) + 1))})"
    answers = "" if row["answers"] in (None, "reference") else f", {row['answers']} answers"
    return (
        row["task"],
        row["model"] + ("" if row["variant"] is None else f"+{row['variant']}") + answers,
        row["at"],
        _joules(row["energy_per_response_j"]),
        _joules(pair.other["energy_per_response_j"]),
        f"{pair.change:+.1f} %",
        "not known" if pair.ends is None else "{:+.1f} to {:+.1f} %".format(*pair.ends),
        pair.verdict + mark,
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    to_the_right = range(len(row))[NUMBERS]
    cells = (
        cell.rjust(width) if column in to_the_right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _joules(value: float) -> str:
    """Three significant digits."""
    decimals = max(0, 2 - floor(log10(value))) if value > 0 else 0
    return f"{float(f'{value:.3g}'):,.{decimals}f}"
