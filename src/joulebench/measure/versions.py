"""What measured: package versions, Python's, and the project's commit."""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from joulebench import __version__
from joulebench.errors import UserError

ALWAYS = ("polars", "zeus", "codecarbon")
COMMIT_VARIABLE = "JOULEBENCH_COMMIT"


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Name -> version of `packages` and of those that measure with every engine; None where one is not installed.

    Beside them joulebench, python, commit where this is a checkout, and cuda, which torch was built for. Raises
    UserError where JOULEBENCH_COMMIT is no commit.
    """
    found: dict[str, str | None] = {
        "joulebench": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
    }
    for package in (*ALWAYS, *packages):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    if found.get("torch"):
        import torch

        found["cuda"] = torch.version.cuda
    return dict(sorted(found.items()))


def _commit() -> str | None:
    """Of the checkout; a copy without one is told it by JOULEBENCH_COMMIT."""
    if told := os.environ.get(COMMIT_VARIABLE, "").strip():
        if not re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", told):
            raise UserError(
                f"{COMMIT_VARIABLE}: found '{told[:60]}'; expected a commit's hex digits (git rev-parse HEAD)"
            )
        return told
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
