"""One measurement at a time on a device, and none that outlives whoever asked for it."""

import fcntl
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def alone_on(device: str) -> Iterator[None]:
    """Hold the machine's lock on `device` ('cpu', or a GPU's UUID); wait for it, and say so, while another has it.

    The lock goes with its holder, however that one ends.
    """
    name = "".join(letter if letter.isalnum() else "-" for letter in device)
    path = Path(tempfile.gettempdir()) / f"joulebench-{os.getuid()}-{name}.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another measurement is running on %s; waiting for it to end (lock: %s)", device, path)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def end_with_parent(every_s: float = 0.5) -> None:
    """From now on, end this process when its parent is gone: a killed workflow leaves no engine behind.

    The end is SIGTERM, so that the engine and the sampler are closed; SIGKILL 30 s later if that hangs.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every_s)
        log.error("the process that started this measurement is gone; ending it")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def end_cleanly_on_sigterm() -> None:
    """Turn SIGTERM (a cluster's time limit, a cancelled job) into SystemExit, so that `finally` blocks run."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
