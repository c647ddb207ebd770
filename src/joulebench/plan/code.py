"""What a product is made by: the modules of the library that its script needs, followed through their imports.

Snakemake makes a product again when its script has changed, and knows nothing of what the script imports. A rule that
has this digest among its params is run again when any of that has changed, and only then.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import joulebench

LIBRARY = Path(joulebench.__file__).parent
BESIDE = (".css", ".html", ".js", ".ttf")
"""What of a room is not Python, and goes into what is made with it."""
_IMPORT = re.compile(r"^\s*from (joulebench[\w.]*) import (?:\(([^)]*)\)|([^(\n]+))", re.MULTILINE)
_COMMENT = re.compile("#[^\n]*")


def made_by(script: Path, *more: str) -> str:
    """SHA-256 over all that `script` imports of the library, and the modules `more`, which it finds by their names.

    A room that is reached counts with what lies in it beside Python (styles, fonts). Raises OSError without the script.
    """
    found: set[str] = set()
    new = {*_imports(script), *more}
    while new:
        found |= new
        new = {needed for module in new for needed in _needs(module)} - found
    digest = hashlib.sha256()
    for path in sorted({path for module in found for path in _files(module)}):
        digest.update(f"{path.relative_to(LIBRARY)}\n".encode())
        digest.update(_content(path))
    return digest.hexdigest()


@cache
def _modules() -> dict[str, Path]:
    paths = {".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts): path for path in LIBRARY.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _needs(module: str) -> frozenset[str]:
    return frozenset(_imports(_modules()[module]))


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, and the rooms that they lie in."""
    for base, several, one in _IMPORT.findall(_COMMENT.sub("", _content(path).decode())):
        names = (name.split(" as ")[0].strip() for name in (several or one).split(","))
        for module in {base, *(f"{base}.{name}" for name in names)} & _modules().keys():
            parts = module.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _files(module: str) -> Iterable[Path]:
    path = _modules()[module]
    beside = path.parent.rglob("*") if path.name == "__init__.py" and path.parent != LIBRARY else ()
    return {path, *(file for file in beside if file.is_file() and file.suffix in BESIDE)}
