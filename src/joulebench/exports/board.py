"""The boards of the README and the documents: python -m joulebench.exports.board README.md docs/results.md

In each of these files, what stands between `<!-- board TABLE -->` and `<!-- end of board -->` is replaced by the rows
of TABLE, a leaderboard.csv; with `<!-- board TABLE first N -->` by the first N of each task and kind of answers.
Where a leaderboard.csv itself is named, its board is printed.
"""

import re
import sys
from math import floor, log10
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.choices import placed
from joulebench.families import TEXT, of
from joulebench.names import TASKS
from joulebench.tables.columns import BOUNDS
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import LEADERBOARD

_HEADER = (
    "| task | model | J per response | 95 % interval | net of idle, J | B | median latency | W |",
    "|---|---|---|---|---|---|---|---|",
)


def markdown(leaderboard: pl.DataFrame, first: int | None = None) -> str:
    """A Markdown table of the ranked rows of `leaderboard` (tables.LEADERBOARD), by task, kind of answers and rank.

    `first`: so many of each task and kind of answers; null: all. A model whose own weights were measured says so; of
    others it is the shape. Under B stands the setting of a point whose sweep varies something else: `4 requests/s`;
    where memory held no more, how many requests ran on average.
    """
    order = {task: place for place, task in enumerate(TASKS)}
    shown = pl.col("rank").is_not_null() if first is None else pl.col("rank") <= first
    ranked = sorted(
        placed(leaderboard).filter(shown).iter_rows(named=True),
        key=lambda row: (order[row["task"]], row["answers"] == "natural", row["rank"]),
    )
    return "\n".join([*_HEADER, *map(_row, ranked)]) + "\n"


def _row(row: dict[str, Any]) -> str:
    joules, low, high = (row[f"energy_per_response{bound}_j"] for bound in BOUNDS)
    interval = "not known"
    if low is not None and high is not None:
        decimals = max(_decimals(joules, 3), _decimals((high - low) / 2, 1))
        interval = f"{low:,.{decimals}f} to {high:,.{decimals}f}"
    net = row["net_energy_per_response_j"]
    model = row["model"] + ("" if row["variant"] is None else f"+{row['variant']}")
    own = {"its own weights": row["weights"] == "checkpoint", "answers of natural length": row["answers"] == "natural"}
    if said := [words for words, is_so in own.items() if is_so]:
        model += f" ({', '.join(said)})"
    at = str(row["max_batch_size"]) if row["axis"] == "max_batch_size" else row["at"]
    if row["status"] == "overloaded":
        at += f" ({row['mean_batch_size']:.0f} ran)"
    cells = (
        *(row["task"], model, _number(joules), interval, "not known" if net is None else _number(net)),
        *(at, _latency(row), f"{row['power_w']:,.0f}"),
    )
    return f"| {' | '.join(cells)} |"


def _latency(row: dict[str, Any]) -> str:
    if of(row["task"]) is TEXT:
        return "not known" if row["tpot_p50_s"] is None else f"{1e3 * row['tpot_p50_s']:.0f} ms a token"
    return f"{_number(row['latency_p50_s'])} s a batch"


def _decimals(value: float, digits: int) -> int:
    """How many decimals show so many significant digits."""
    return 0 if value == 0 else max(0, digits - 1 - floor(log10(abs(value))))


def _number(value: float) -> str:
    """Three significant digits: 0.0567, 1.52, 6,920."""
    return f"{float(f'{value:.3g}'):,.{_decimals(value, 3)}f}"


def in_step(text: str, folder: Path) -> str:
    """`text` with each of its boards made again; their tables' paths are from `folder`."""

    def again(found: re.Match[str]) -> str:
        first = None if found[3] is None else int(found[3])
        return f"{found[1]}\n\n{_of(folder / found[2], first)}\n{found[4]}"

    return _MARKED.sub(again, text)


_MARKED = re.compile(r"(<!-- board (\S+)(?: first (\d+))? -->).*?(<!-- end of board -->)", re.DOTALL)


def _of(path: Path, first: int | None = None) -> str:
    return markdown(read_csv(path, LEADERBOARD), first)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        if path.suffix == ".csv":
            print(_of(path), end="")
        else:
            path.write_text(in_step(path.read_text(encoding="utf-8"), Path()), encoding="utf-8")
