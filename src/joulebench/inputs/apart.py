"""Work on what others wrote, in a process apart: whatever it does there, here it is bytes or one line.

A few kilobytes of Parquet can stand for terabytes, a chat template is a program, and a damaged file can end a library
in ways that Python does not catch. So a module that reads such things has a `main` for a process with limits of memory,
time and output.
"""

import ctypes
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from joulebench.errors import UserError
from joulebench.inputs.reading import size_in_words

REFUSED = 3
"""The exit status of a process whose output is the line that says why there is no answer."""

PROCESSORS = 8
"""For so many of them its seconds of processor time are reckoned, should nobody be left to end it."""
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class RefusedError(Exception):
    """Why there is no answer, in a line."""


def asked(module: str, words: Sequence[str], *, seconds: float, memory_bytes: int) -> bytes:
    """What `answer` wrote in a process that runs `module` with the memory in bytes and `words`.

    Raises RefusedError where it had none, took longer, needed more memory, or ended otherwise.
    """
    environment = os.environ | {"POLARS_MAX_THREADS": "2", "RAYON_NUM_THREADS": "2", "RUST_BACKTRACE": "0"}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", module, str(memory_bytes), str(math.ceil(seconds)), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RefusedError(f"not done within {seconds:g} s") from None
    if ended.returncode == 0:
        return ended.stdout
    if ended.returncode == REFUSED and ended.stdout:
        raise RefusedError(ended.stdout.decode(errors="replace"))
    # Ended by the system, or by Rust, which gives up where there is no memory.
    raise RefusedError(
        f"over {size_in_words(memory_bytes)} of memory, or another end of its process ({ended.returncode})"
    )


def answer(work: Callable[[list[str]], bytes]) -> None:
    """The main of such a process: `work` is given the words, and what it raises as UserError is the line."""
    memory_bytes, seconds, *words = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory_bytes), int(memory_bytes)))
    most_s = PROCESSORS * int(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (most_s, most_s))
    told = os.dup(1)  # what a library prints is no answer
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = 0
    try:
        said = work(words)
    except UserError as error:
        said, code = str(error).encode(errors="replace"), REFUSED
    except MemoryError:
        said, code = f"over {size_in_words(int(memory_bytes))} of memory".encode(), REFUSED
    with os.fdopen(told, "wb") as file:
        file.write(said)
    sys.exit(code)
