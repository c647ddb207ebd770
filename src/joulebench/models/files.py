"""What is in a model's folder: its files, and their digests."""

import hashlib
import shutil
from pathlib import Path

from joulebench.errors import UserError


def clear(folder: Path, resumes: bool = False) -> None:
    """An empty folder, whatever an earlier attempt left there; where a download `resumes`, except what the hub's own
    record of a partial one stands for."""
    try:
        (folder / "model.json").unlink(missing_ok=True)
        if folder.exists() and not (resumes and (folder / ".cache").exists()):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: could not be written ({error.strerror}); check the permissions") from None


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {path.relative_to(folder).as_posix(): digest(path) for path in paths}


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(where: str, found: str, expected: str | None) -> None:
    """Raises UserError where a source is not what the config says under `where`."""
    if expected is not None and found != expected:
        raise UserError(f"{where}.sha256: found {found}, expected {expected}; take what is meant, or correct it")
