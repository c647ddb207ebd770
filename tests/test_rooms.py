"""The floors of docs/architecture.md: nothing imports upward, and rooms on one floor do not import each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "src" / "joulebench"
GROUND = {"errors", "names", "inputs", "files", "logs", "downloads"}
FLOORS = (
    GROUND,
    {"loads"},
    {"records"},
    {"families"},
    {"config", "checkpoints", "tables"},
    {"datasets", "models", "engines", "meters", "carbon"},
    {"analysis"},
    {"measure", "figures", "site", "exports"},
    {"quality"},
    {"plan", "doctor"},
    {"commands"},
    {"reference"},
)
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}


def imports(path: Path) -> Iterator[str]:
    """The rooms that a module imports from."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "joulebench":
            yield from (alias.name for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("joulebench."):
            yield node.module.split(".")[1]


def test_every_room_has_its_floor() -> None:
    rooms = {path.stem for path in LIBRARY.glob("[a-z]*.py")} | {path.parent.name for path in LIBRARY.glob("*/*.py")}
    assert rooms == set(LEVEL)


def test_nothing_imports_upward() -> None:
    up = []
    for path in LIBRARY.glob("*/**/*.py"):
        own = path.relative_to(LIBRARY).parts[0]
        up += [
            f"{path.relative_to(LIBRARY)} imports {room}"
            for room in imports(path)
            if room != own and LEVEL[room] >= LEVEL[own] and not {room, own} <= GROUND
        ]
    assert up == []
