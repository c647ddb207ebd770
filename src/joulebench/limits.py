"""Limits of time and memory for what others wrote and this process runs, as a checkpoint's chat template."""

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from joulebench.reading import size_in_words


@contextmanager
def limited(seconds: float, memory_bytes: int) -> Iterator[None]:
    """Raises TimeoutError or MemoryError in what is Python, and takes longer or this much more memory.

    Both limits are the process's: another thread that asks for memory meanwhile meets them too. Seconds are limited in
    the main thread alone, which is the one that a signal reaches.
    """
    with _within(seconds), _memory(memory_bytes):
        yield


@contextmanager
def _memory(more_bytes: int) -> Iterator[None]:
    """By RLIMIT_DATA, of which proc(5) tells as VmData what is used; no limit where there is no such file."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    soft, hard = before
    with suppress(OSError):
        told = Path("/proc/self/status").read_text().partition("VmData:")[2]
        wanted = int(told.split()[0]) * 1024 + more_bytes
        soft = min((wanted, *(one for one in before if one != resource.RLIM_INFINITY)))
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    except MemoryError:
        raise MemoryError(f"over {size_in_words(more_bytes)} of memory") from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise TimeoutError(f"not done within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
