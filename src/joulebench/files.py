"""Files of the project: written whole or not at all, and read as plain files alone."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from joulebench.errors import UserError

REMEDY = "delete the run's folder and run again, or restore it from where it was published"


class RecordError(UserError):
    """A file of the raw records is missing, damaged or not what it should be."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path aside to write to; renamed to `path` at the end, or removed when the writing failed.

    Raises RecordError where the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            _sync(aside)
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder aside to fill; renamed to `path` at the end, or removed when the filling failed."""
    aside = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with _explained(path):
            aside.mkdir(parents=True)
            yield aside
            for file in aside.iterdir():
                _sync(file)
            aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"{path}: could not be written ({error.strerror or error}); nothing half-written was left; "
            "make room or check the permissions, and run again"
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(text: str, path: Path) -> None:
    """Write `text` whole or not at all."""
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def require_file(path: Path) -> None:
    """Raises RecordError where `path` is not there, or is no plain file: a pipe would be waited for, for ever."""
    try:
        plain = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        raise RecordError(f"{path}: missing; {REMEDY}") from None
    except OSError as error:
        raise RecordError(f"{path}: could not be read ({error.strerror or error}); {REMEDY}") from None
    if not plain:
        raise RecordError(f"{path}: not a file; {REMEDY}")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex digits. Raises RecordError where it is missing or cannot be read."""
    require_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordError(f"{path}: could not be read ({error.strerror or error}); {REMEDY}") from None
