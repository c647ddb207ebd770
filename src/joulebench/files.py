"""Files of the project: written whole or not at all, and read as plain files alone."""

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from joulebench.errors import UserError
from joulebench.inputs.reading import require_plain

REMEDY = "delete the run's folder and run again, or restore it from where it was published"


class RecordError(UserError):
    """A file of the raw records is missing, damaged or not what it should be."""


OLD_S = 86400.0
"""Older than this, what another machine's writer left aside is nobody's any more."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path aside to write to; renamed to `path` at the end, or removed when the writing failed.

    Raises RecordError where the disk is full or the folder cannot be written.
    """
    aside = _aside(path)
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            clear_leftovers(path.parent, path.name)
            yield aside
            _sync(aside)
            aside.replace(path)
    finally:
        _remove(aside)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder aside to fill; takes the place of `path` at the end, or is removed when the filling failed.

    Of two who write the same folder at once the last one's stays, whole.
    """
    aside = _aside(path)
    try:
        with _explained(path):
            aside.mkdir(parents=True)
            clear_leftovers(path.parent, path.name)
            yield aside
            for file in aside.iterdir():
                _sync(file)
            _take_the_place(aside, path)
    finally:
        _remove(aside)


def clear_leftovers(folder: Path, name: str | None = None, own: bool = False) -> None:
    """Remove from `folder` what killed writers left aside of `name`, or of anything.

    That is what a process of this machine left that is no more, or anybody a day ago; all of it where the folder is
    `own`, since its holder's lock keeps every other writer out.
    """
    for left in folder.glob(".*.tmp"):
        found = _LEFT.fullmatch(left.name)
        if name is not None and (found is None or found["name"] != name):
            continue
        with suppress(OSError):
            is_old = time.time() - left.lstat().st_mtime > OLD_S
            is_dead = found is not None and found["host"] == _host() and not _lives(int(found["pid"]))
            if own or is_old or is_dead:
                _remove(left)


_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)-[0-9a-f]{8}\.tmp")


def _aside(path: Path) -> Path:
    """A name beside `path` that no other writer has, of this machine or another."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _take_the_place(aside: Path, path: Path) -> None:
    """Rename the folder `aside` to `path`; one that is there goes aside, and is removed once its successor is there."""
    while True:
        try:
            aside.replace(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        former = _aside(path)
        with suppress(FileNotFoundError):  # another writer has moved it already
            path.replace(former)
        try:
            aside.replace(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                former.replace(path)
                raise
        finally:
            _remove(former)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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


def require_file(path: Path, most_bytes: int | None = None) -> None:
    """Raises RecordError where `path` is no plain file of so many bytes: a pipe would be waited for, for ever."""
    try:
        require_plain(path, REMEDY, most_bytes)
    except UserError as error:
        raise RecordError(str(error)) from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex digits. Raises RecordError where it is missing or cannot be read."""
    require_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordError(f"{path}: could not be read ({error.strerror or error}); {REMEDY}") from None
