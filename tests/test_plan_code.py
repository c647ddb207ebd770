"""The digest of what a product is made by changes with what its script imports, through any number of modules."""

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from building import PROJECT

from joulebench.plan import code

SCRIPT = "from pathlib import Path\n\nfrom joulebench.room import part\nfrom joulebench.files import (\n    one,\n)\n"
FILES = {
    "__init__.py": "",
    "files.py": "one = 1\n",
    "errors.py": "",
    "unused.py": "",
    "room/__init__.py": "",
    "room/part.py": "def late() -> None:\n    from joulebench.errors import E\n",
    "room/other.py": "",
    "room/style.css": "",
}


def forget() -> None:
    for cached in (code._modules, code._content, code._needs):
        cached.cache_clear()


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes a library of a few modules, some of them with other text, and gives the digest of a script of it."""
    library, script = tmp_path / "joulebench", tmp_path / "script.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(code, "LIBRARY", library)

    def made(changed: str = "", *more: str) -> str:
        forget()
        shutil.rmtree(library, ignore_errors=True)
        for name, text in FILES.items():
            (library / name).parent.mkdir(parents=True, exist_ok=True)
            (library / name).write_text(f"{text}# changed\n" if name == changed else text)
        return code.made_by(script, *more)

    yield made
    forget()


@pytest.mark.parametrize(
    "name", ["files.py", "errors.py", "__init__.py", "room/__init__.py", "room/part.py", "room/style.css"]
)
def test_what_is_reached_changes_it(digest: Callable[..., str], name: str) -> None:
    assert digest(name) != digest()


@pytest.mark.parametrize("name", ["unused.py", "room/other.py"])
def test_what_is_not_reached_does_not(digest: Callable[..., str], name: str) -> None:
    assert digest(name) == digest()


def test_what_is_found_by_its_name_counts_when_it_is_told(digest: Callable[..., str]) -> None:
    more = "joulebench.room.other"
    assert digest("room/other.py", more) != digest("", more)
    assert digest("unused.py", more) == digest("", more) != digest()


def by_syntax(path: Path) -> set[str]:
    """The modules that a file imports of the library, by Python's own parser."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & code._modules().keys()


FILES_THAT_IMPORT = [*(PROJECT / "src/joulebench").rglob("*.py"), *(PROJECT / "workflow/scripts").glob("*.py")]


@pytest.mark.slow
def test_it_finds_the_imports_that_python_finds() -> None:
    rooms = {".".join(name.split(".")[:end]) for name in code._modules() for end in (1, 2)}
    for path in FILES_THAT_IMPORT:
        assert set(code._imports(path)) - rooms == by_syntax(path) - rooms, path


def test_a_comment_behind_an_import_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "from joulebench.exports import parquet  # a (note)\nfrom joulebench.plan import (  # (two)\n  code,\n)\n"
    )
    assert {"joulebench.exports.parquet", "joulebench.plan.code"} <= set(code._imports(path))
