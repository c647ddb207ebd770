"""Say what this machine can measure, what is missing, and what to do.

It needs no network, and runs where nothing is installed yet. The exit code is 1 where something is missing without
which nothing can be measured or drawn; what is noted is for those who want it.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from joulebench import __version__
from joulebench.doctor import machine, packages, project
from joulebench.doctor.finding import Finding, State

HOME = Path(__file__).parents[3]
"""The project's folder, where the package lies in one."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", default="config.yaml", metavar="FILE", help="the config file (default: config.yaml)"
    )


def run(words: argparse.Namespace) -> int:
    root = Path.cwd() if Path("envs").is_dir() or not (HOME / "envs").is_dir() else HOME
    print(f"Joulebench {__version__}")
    parts = {
        "Python and packages": packages.look(root),
        "The machine": machine.look(),
        "The project": project.look(root, Path(words.config)),
    }
    states = [state for name, findings in parts.items() for state in _told(name, findings)]
    lacking = states.count(State.MISSING)
    print(f"\n{lacking} missing, {states.count(State.NOTE)} to note, {states.count(State.OK)} as they should be")
    return 1 if lacking else 0


def _told(name: str, findings: Iterable[Finding]) -> list[State]:
    print(f"\n{name}")
    states = []
    for one in findings:
        print(f"  {one.state.value:<8} {one.found}", flush=True)
        if one.to_do is not None:
            print(f"  {'':<8}   -> {one.to_do}")
        states.append(one.state)
    return states
