"""docs/reliability.md, made of the fault suite: python tests/faults/page.py > docs/reliability.md"""

import contextlib
import io
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
KINDS = {"fault": "Faults", "input": "Odd input"}


class Collected:
    """A pytest plugin: (kind, what, outcome) -> the file that tests it, for each case that carries the marker."""

    def __init__(self) -> None:
        self.cases: dict[tuple[str, str, str], str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("fault"):
                kind, what, outcome = mark.args
                self.cases.setdefault((kind, what, outcome), item.path.name)


def text() -> str:
    """The page. Raises SystemExit where a test file cannot be collected."""
    collected, said = Collected(), io.StringIO()
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", str(FOLDER)]
    with contextlib.redirect_stdout(said):
        code = pytest.main(words, plugins=[collected])
    if code != pytest.ExitCode.OK:
        sys.exit(said.getvalue())
    tables = {
        kind: sorted(((file, what, outcome) for (one, what, outcome), file in collected.cases.items() if one == kind),
                     key=lambda row: row[0])
        for kind in KINDS
    }  # fmt: skip
    lines = [
        "# Faults and odd input",
        "",
        f"{len(tables['fault'])} faults and {len(tables['input'])} odd inputs, and what comes of each. Every line is a "
        "test under `tests/faults`,",
        "which breaks or gives exactly this. None may lose a record, hang, leave a process behind or end in a "
        "traceback of Joulebench's.",
        "",
        "Made by `python tests/faults/page.py > docs/reliability.md`.",
    ]
    for kind, title in KINDS.items():
        lines += ["", f"## {title}", "", f"| {kind} | outcome | test |", "|---|---|---|"]
        lines += [f"| {_cell(what)} | {_cell(outcome)} | {file} |" for file, what, outcome in tables[kind]]
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


if __name__ == "__main__":
    print(text(), end="")
