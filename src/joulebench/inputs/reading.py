"""Reading files that others wrote: plain files alone, and no more than expected of one.

A pipe is waited for without end, a device such as /dev/zero has no end, and a file that is far larger than any that is
meant fills the memory. Each is refused in one line before it is read.
"""

import os
import stat
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
    try:
        # Without O_NONBLOCK, opening a pipe waits for who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MissingError(f"{shown(path)}: no such file; {remedy}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL or half a surrogate pair in the path
        raise UnreadableError(f"{shown(path)}: could not be read ({reason(error)}); {remedy}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(f"{shown(path)}: {_kind(found.st_mode)}, expected a plain file; {remedy}")
        if found.st_size > most_bytes:
            raise TooLargeError(_too_large(path, found.st_size, most_bytes, remedy))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    except (OSError, MemoryError) as error:
        raise UnreadableError(f"{shown(path)}: could not be read ({reason(error)}); {remedy}") from None
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise TooLargeError(_too_large(path, len(content), most_bytes, remedy))
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
    """Whether there is anything at `path`."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def require_plain(path: Path, remedy: str, most_bytes: int | None = None) -> None:
    """Raises as `read_bytes` unless `path` is a plain file of so many bytes: before a library opens it by its name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise MissingError(f"{shown(path)}: no such file; {remedy}") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{shown(path)}: could not be read ({reason(error)}); {remedy}") from None
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError(f"{shown(path)}: {_kind(found.st_mode)}, expected a plain file; {remedy}")
    if most_bytes is not None and found.st_size > most_bytes:
        raise TooLargeError(_too_large(path, found.st_size, most_bytes, remedy))


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


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def _too_large(path: Path, found: int, most_bytes: int, remedy: str) -> str:
    return f"{shown(path)}: over {size_in_words(most_bytes)} ({size_in_words(found)}), more than is expected; {remedy}"
