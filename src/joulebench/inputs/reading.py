"""Reading files that others wrote: plain files alone, and no more than expected of one.

A pipe is waited for without end, a device such as /dev/zero has no end, and a file that is far larger than any that is
meant fills the memory. Each is refused in one line before it is read.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from joulebench.errors import UserError, printable

MIB = 2**20
GIB = 2**30

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


class UnreadableError(UserError):
    """A file is missing, is no plain file, or may not be read."""


class MissingError(UnreadableError):
    """There is no such file."""


class TooLargeError(UserError):
    """A file is larger than any that is meant."""


def read_bytes(path: Path, most_bytes: int, remedy: str) -> bytes:
    """The whole content of a plain file of `most_bytes` at most; `remedy` ends the line of an error.

    Raises UnreadableError or TooLargeError.
    """
    with _explained(path, remedy):
        # Without O_NONBLOCK, opening a pipe waits for who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _hold(path, os.fstat(descriptor), most_bytes, remedy)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(most_bytes + 1)
        finally:
            os.close(descriptor)
    _hold_size(path, len(content), most_bytes, remedy)
    return content


def read_text(path: Path, most_bytes: int, remedy: str) -> str:
    """The text of a plain file in UTF-8, with or without a byte order mark. Raises as `read_bytes` does."""
    content = read_bytes(path, most_bytes, remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "UTF-16" if utf16 else f"not UTF-8 (byte {error.start:,} of {len(content):,}: {error.reason})"
        raise UnreadableError(f"{shown(path)}: {what}, expected text in UTF-8; save it as UTF-8") from None


def expanded(path: str) -> Path:
    """`path` with the home folder that `~` or `~user` stands for. Raises UnreadableError without such a user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UnreadableError(f"{shown(path)}: no such user's home folder; write the whole path") from None


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; False for a path that no file can have, where pathlib raises."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def require_plain(path: Path, remedy: str, most_bytes: int | None = None) -> None:
    """Raises as `read_bytes` unless `path` is a plain file of so many bytes: before a library opens it by its name."""
    with _explained(path, remedy):
        _hold(path, path.stat(), most_bytes, remedy)


def size_in_words(count: int) -> str:
    """`3.2 GiB`, `512 MiB`, `17 bytes`."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def shown(path: Path | str) -> str:
    """A path as an error may show it: in one line, no longer than anybody reads."""
    text = printable(str(path))
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]}"


def reason(error: BaseException, most: int = 200) -> str:
    """What an error says, in one line of `most` characters."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(said.split()))[:most] or type(error).__name__


@contextmanager
def _explained(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MissingError(f"{shown(path)}: no such file; {remedy}") from None
    except (OSError, ValueError, MemoryError) as error:  # ValueError: a NUL or half a surrogate pair in the path
        raise UnreadableError(f"{shown(path)}: could not be read ({reason(error)}); {remedy}") from None


def _hold(path: Path, found: os.stat_result, most_bytes: int | None, remedy: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise UnreadableError(f"{shown(path)}: {kind}, expected a plain file; {remedy}")
    _hold_size(path, found.st_size, most_bytes, remedy)


def _hold_size(path: Path, found: int, most_bytes: int | None, remedy: str) -> None:
    if most_bytes is not None and found > most_bytes:
        sizes = f"over {size_in_words(most_bytes)} ({size_in_words(found)})"
        raise TooLargeError(f"{shown(path)}: {sizes}, more than is expected; {remedy}")
