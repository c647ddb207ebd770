"""Work on what others wrote, in a process apart: whatever it does there, here it is bytes or one line.

A few kilobytes of Parquet can stand for terabytes, a chat template is a program, and a damaged file can end a library
in ways that Python does not catch. So a module that reads such things has a `main` for a process with limits of memory,
time and output.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence

from joulebench.errors import UserError
from joulebench.reading import size_in_words

_WRONG = b"!"
"""What opens the output where there is no answer: the line that says why follows."""


class RefusedError(Exception):
    """Why there is no answer, in a line."""


def asked(module: str, words: Sequence[str], *, seconds: float, memory_bytes: int) -> bytes:
    """What `answer` wrote in a process that runs `module` with the memory in bytes and `words`.

    Raises RefusedError where it had none, took longer, needed more memory, or ended otherwise.
    """
    environment = os.environ | {"POLARS_MAX_THREADS": "2", "RAYON_NUM_THREADS": "2", "RUST_BACKTRACE": "0"}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", module, str(memory_bytes), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RefusedError(f"not done within {seconds:g} s") from None
    if ended.returncode == 0 and not ended.stdout.startswith(_WRONG):
        return ended.stdout
    why = ended.stdout.removeprefix(_WRONG).decode(errors="replace")
    if not why:  # ended by the system, or by Rust, which gives up where there is no memory
        why = f"over {size_in_words(memory_bytes)} of memory, or another end of its process ({ended.returncode})"
    raise RefusedError(why)


def answer(work: Callable[[list[str]], bytes]) -> None:
    """The main of such a process: `work` is given the words, and what it raises as UserError is the line."""
    memory_bytes, *words = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory_bytes), int(memory_bytes)))
    try:
        said = work(words)
    except UserError as error:
        said = _WRONG + str(error).encode(errors="replace")
    except MemoryError:
        said = _WRONG + f"over {size_in_words(int(memory_bytes))} of memory".encode()
    sys.stdout.buffer.write(said)
