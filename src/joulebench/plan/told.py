"""What a person is told before anything is measured, and where the results lie in the end."""

import os
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence

from joulebench.analysis.checks import (
    OTHERS_FLAG_PERCENT,
    OTHERS_VOID_PERCENT,
    STOLEN_FLAG_PERCENT,
    STOLEN_VOID_PERCENT,
)
from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Adaptive, Timed
from joulebench.plan.matrix import PAGE, Cell, Plan

LOOK_S = 1.0
"""For so long the processors are looked at: a hundredth of what the shortest run takes."""


def before_measuring(plan: Plan, cells: Sequence[Cell], here: bool) -> Iterator[str]:
    """The runs that are about to be measured, with the least time that it takes, and a line where the machine is busy.

    Nothing without `cells`. `here`: whether they are measured on this machine, which alone can be looked at.
    """
    if not cells:
        return
    specs = [plan.spec(cell) for cell in cells]
    names = ", ".join(dict.fromkeys(cell.hardware for cell in cells))
    left = [max(0, len(spec.sweep.settings) - _done(cell)) for spec, cell in zip(specs, cells, strict=True)]
    seconds = sum(map(least_s, specs, left))
    lasts = f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
    yield (
        f"To measure on {names}: {_count(len(cells), 'run')}, {_count(sum(left), 'point')}, at least {lasts}, "
        "loading and warming up not counted. Stop it at any time: the same command goes on."
    )
    if here:
        yield from busy()


def least_s(spec: RunSpec, points: int) -> float:
    """The windows of so many points of a run, s, where memory ends its sweep no sooner.

    0 for a fixed number of requests, of which nobody knows before how long they take.
    """
    protocol = spec.sweep.protocol
    if isinstance(protocol, Timed):
        return points * protocol.seconds
    return points * protocol.min_seconds if isinstance(protocol, Adaptive) else 0.0


def busy(look_s: float = LOOK_S) -> Iterator[str]:
    """A line where others than this process and its children have more of the processors than the checks let pass."""
    from joulebench.meters.busy import Others

    others = Others(os.getpid(), interval_s=look_s)
    time.sleep(look_s)
    told = (
        (
            "other processes use",
            OTHERS_FLAG_PERCENT,
            OTHERS_VOID_PERCENT,
            "Stop with Ctrl-C, end them (top lists them)",
        ),
        ("the hypervisor takes", STOLEN_FLAG_PERCENT, STOLEN_VOID_PERCENT, "Stop with Ctrl-C, wait or change machines"),
    )
    for (who, limit, void, remedy), seconds in zip(told, others.read(), strict=True):
        if seconds is not None and (percent := 100 * seconds / look_s) > limit:
            yield (
                f"This machine is busy: {who} {percent:.0f} % of the processors. Over {limit:g} % a point is flagged, "
                f"over {void:g} % it is invalid: its energy counts theirs. {remedy}, and give the same command again."
            )


def where_it_lies(made: Iterable[str]) -> Iterator[str]:
    """The folders of what was asked for, and how to look at the page."""
    made = set(made)
    folders = sorted({"/".join(file.split("/")[:2]) for file in made if file.endswith("leaderboard.csv")})
    if folders:
        yield f"Tables: {', '.join(f'{folder}/leaderboard.csv' for folder in folders)}, and others beside them."
    if PAGE in made:
        yield f"The page, for a browser: xdg-open {shlex.quote(PAGE)}"
    elif folders:
        yield f"As a page: snakemake --cores all {PAGE}"


def _done(cell: Cell) -> int:
    """Points of an interrupted sweep; of another config's sweep they are measured again all the same."""
    return len(list((cell.folder / "points").glob("*"))) if (cell.folder / "unfinished.json").exists() else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
