"""Code that nobody has read, run in a process that can compute and nothing else.

The process is a fresh Python (inside.py). A filter of the kernel (seccomp(2)) answers every call that is not on its
list with "not permitted", whoever makes it, without privileges and inside containers too. So it reaches no network,
starts no other process, sends no signal, and changes no file. It may open files for reading, as Python does for its own
modules: whatever the user who scores can read. It has nobody to tell but who started it, where what it says is compared
and dropped. It has no environment of its own, its memory and its time are limited, and it is ended when they are over.
What it returns are plain values: they are compared elsewhere, where none of its code runs.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joulebench.errors import UserError

MEMORY_BYTES = 4 * 1024**3
"""Beside what Python itself takes: EvalPlus' own bound."""
MOST_BYTES = 64 * 1024**2
"""Of what all calls return."""
START_S = 20.0
"""So long a Python may take to start on a busy machine."""
READY = b"ready\n"


def returned(code: str, entry_point: str, inputs: Sequence[Sequence[Any]], seconds: float) -> list[Any]:
    """What the function `entry_point` of `code` returns for each of `inputs`: as many values as it came to.

    They are fewer than the inputs where it raised, ended, took over `seconds` in all, or returned what is no plain
    value (numbers, text, and lists, tuples, sets and dictionaries of them). Raises UserError where no such process can
    be had.
    """
    if sys.platform != "linux":
        raise UserError(
            f"run_code: found {sys.platform}, expected Linux, whose seccomp keeps code in; leave run_code out"
        )
    asked = {"code": code, "entry_point": entry_point, "inputs": inputs, "seconds": seconds}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps(asked | {"memory_bytes": MEMORY_BYTES}).encode())
        given.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("inside.py"))],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd="/",
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        assert child.stdout is not None
        try:
            begun = _read(child.stdout.fileno(), START_S, len(READY))
            lines = b"" if begun != READY else _read(child.stdout.fileno(), seconds, MOST_BYTES, len(inputs))
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        if begun != READY:
            said.seek(0)
            why = said.read()[-2000:].decode(errors="replace").strip().rpartition("\n")[2] or "it ended without a word"
            raise UserError(
                f"run_code: code cannot be kept in here ({why[:200]}); install pyseccomp and libseccomp2 (Debian's "
                "name), allow seccomp where this is a container, or leave run_code out"
            )
    try:
        return [plain(json.loads(line)) for line in lines.split(b"\n")[:-1][: len(inputs)]]
    except (ValueError, TypeError, KeyError, RecursionError, ArithmeticError):
        return []


def _read(file: int, seconds: float, most: int, lines: int = 0) -> bytes:
    """Until its end, so many bytes, so many lines where they are counted, or so many seconds have passed."""
    parts: list[bytes] = []
    seen = 0
    left, give_up_s = most, time.monotonic() + seconds
    while left and (left_s := give_up_s - time.monotonic()) > 0:
        if not select.select([file], [], [], left_s)[0] or not (part := os.read(file, min(1 << 20, left))):
            break
        parts.append(part)
        left -= len(part)
        seen += part.count(b"\n")
        if 0 < lines <= seen:
            break
    return b"".join(parts)


def plain(said: Any) -> Any:
    """The value that inside.told has written. Raises ValueError, TypeError or KeyError where it has not."""
    if not isinstance(said, dict):
        return said
    ((kind, value),) = said.items()
    if kind == "int":
        return int(value, 16)
    if kind == "complex":
        return complex(*value)
    if kind == "dict":
        return {plain(key): plain(one) for key, one in value}
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](plain(one) for one in value)
