"""What is in a model's folder: its files, their digests, and whether its parameters are as many as expected."""

import hashlib
import shutil
from pathlib import Path

from joulebench.errors import UserError

TOLERANCE = 0.01


def clear(folder: Path) -> None:
    """An empty folder, whatever an earlier attempt left there, except the hub's own record of a partial download."""
    try:
        (folder / "model.json").unlink(missing_ok=True)
        if folder.exists() and not (folder / ".cache").exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: could not be written ({error.strerror}); check the permissions") from None


def check_parameters(name: str, found: int, expected: int | None) -> None:
    """Raises UserError where a model has over 1 % more or fewer weights than the config says."""
    if expected is not None and abs(found - expected) > TOLERANCE * expected:
        raise UserError(
            f"{name}: {found:,} parameters in its weights, the config says {expected:,}; "
            f"correct models.{name}.parameters"
        )


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    found = {}
    for path in paths:
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
