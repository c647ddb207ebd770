"""One measurement at a time on a device, and in a run's folder."""

import errno
import fcntl
import logging
import os
import platform
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO
from weakref import WeakSet

from joulebench.errors import UserError

log = logging.getLogger(__name__)

NAMED = os.environ.get("JOULEBENCH_LOCKS")
LOCKS = Path(NAMED or "/tmp")
"""Not TMPDIR: two shells of one machine may differ in it, and must meet. Containers may share another folder."""
WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system answers that has no locks."""
OTHER_NAMES = 10
"""So many names a lock may have, where another user has put something under the first of them."""

_open: WeakSet[TextIO] = WeakSet()


def _close_all() -> None:
    for file in _open:
        file.close()


os.register_at_fork(after_in_child=_close_all)  # a forked engine core that outlives its holder must not hold a lock


@contextmanager
def alone_on(device: str) -> Iterator[None]:
    """Hold the machine's lock on `device` ('cpu', or a GPU's UUID); wait for it, and say so, while another has it.

    The lock goes with its holder, however that one ends.
    """
    with _file(device) as file:
        with _explained():
            if not _held(file):
                log.info("another measurement is running on %s; waiting for it to end (lock: %s)", device, file.name)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def alone_in(folder: Path, patience_s: float = 60.0, every_s: float = 0.5) -> Iterator[None]:
    """Hold a run's folder: two measurements never write into one, not from two machines of a cluster either.

    By a lock on a file in it, which shared file systems carry between machines; where one has no locks, a warning says
    so. Raises UserError where another measurement still holds the folder after `patience_s`: the time in which one
    whose workflow was killed ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = (folder / ".lock").open("a+")
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}), and a run's records go there; make it writable, or copy "
            "the project"
        ) from None
    _open.add(held)
    with held as file:
        give_up_s = time.monotonic() + patience_s
        try:
            while not _held(file):
                if time.monotonic() > give_up_s:
                    file.seek(0)
                    raise UserError(
                        f"{folder}: already being measured by {file.read().strip() or 'another process'}; wait for "
                        "its end or cancel it, then give the same command again"
                    )
                time.sleep(every_s)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            log.warning("%s: its file system has no locks (%s); let no second job measure the same run", folder, error)
        file.truncate(0)
        file.write(_me())
        file.flush()
        yield


def _me() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {platform.node()}{f', Slurm job {job}' if job else ''}\n"


@contextmanager
def alone_on_some(devices: Sequence[str], needed: int, every_s: float = 0.5) -> Iterator[list[str]]:
    """Hold the machine's locks on `needed` of `devices`, the first that are free, and give these in their order.

    While too few are free it waits, says so, and holds none: nobody waits for somebody who waits.
    """
    assert needed <= len(devices)
    with ExitStack() as locks:
        waiting = False
        while len(mine := _take(devices, needed, locks)) < needed:
            if not waiting:
                which = ", ".join(str(_path(device)) for device in devices)
                log.info(
                    "%d of %d GPUs wanted, %d free; waiting for other measurements to end (locks: %s)",
                    needed,
                    len(devices),
                    len(mine),
                    which,
                )
            waiting = True
            time.sleep(every_s)
        if waiting:
            log.info("now measuring on %s", ", ".join(mine))
        yield mine


def _take(devices: Sequence[str], needed: int, locks: ExitStack) -> list[str]:
    """Lock so many of `devices`, or none where fewer are free; which were free. One process at a time chooses."""
    free: list[str] = []
    with _explained(), _file("choosing") as choosing, ExitStack() as tried:
        fcntl.flock(choosing, fcntl.LOCK_EX)
        for device in devices:
            if len(free) < needed and _held(tried.enter_context(_file(device))):
                free.append(device)
        if len(free) == needed:
            locks.push(tried.pop_all())
    return free


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        raise UserError(
            f"{LOCKS}: its file system has no locks ({error.strerror}), by which measurements wait for each other; "
            "name a folder of a local disk in JOULEBENCH_LOCKS"
        ) from None


def _path(device: str) -> Path:
    name = "".join(letter if letter.isalnum() else "-" for letter in device)
    return LOCKS / f"joulebench-{os.getuid()}-{name}.lock"


def _file(device: str) -> TextIO:
    """The lock's file, with a new date, so that whatever tidies up old files leaves it.

    What lies there under its name and is not this user's plain file is passed over: all of this user's measurements
    pass over it alike, and meet at the next name. Raises UserError where there is none.
    """
    if NAMED and Path(NAMED) == LOCKS and not (LOCKS.is_absolute() and LOCKS.is_dir()):
        raise UserError(
            f"JOULEBENCH_LOCKS: found {NAMED}, expected the absolute path of a folder that exists; create it, or unset "
            "the variable"
        )
    path = _path(device)
    for name in (path, *(path.with_suffix(f".{other}.lock") for other in range(1, OTHER_NAMES))):
        try:
            file = open(name, "a", opener=_opened)  # noqa: SIM115 (whoever holds the lock closes it)
        except OSError as error:
            found = error.strerror
            continue
        facts = os.fstat(file.fileno())
        if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.getuid():
            os.utime(file.fileno())
            _open.add(file)
            return file
        file.close()
        found = f"owned by user {facts.st_uid}"
    raise UserError(
        f"{path}: no lock of this user ({found}), nor under {OTHER_NAMES - 1} other names; let its owner remove it, or "
        f"make {LOCKS} writable"
    )


def _opened(name: str, flags: int) -> int:
    """Through no link of another user's, without waiting for who reads a pipe, and such that no other can hold it."""
    descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    facts = os.fstat(descriptor)
    if facts.st_uid == os.getuid() and facts.st_nlink == 1:  # not a file that lies elsewhere too
        os.fchmod(descriptor, 0o600)
    return descriptor


def _held(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
