"""Runs code that nobody has read; started by sandbox.py as a process of its own, with nothing of the project in it.

Standard input: JSON with `code`, `entry_point`, `inputs` (one list of arguments a call), `memory_bytes`, `seconds`.
Standard output: the line `ready` once the kernel's filter holds, then one line of JSON for each call: what it returned,
as `told` writes it. The end of the lines is the end of the run, for whatever reason.
"""

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

ALLOWED = (
    *("read", "pread64", "readv", "lseek", "write", "writev", "close", "dup", "dup2", "dup3", "poll", "ppoll"),
    *("select", "pselect6", "stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat", "getdents64", "getcwd", "mmap", "munmap", "mremap", "mprotect", "brk", "futex"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "setitimer", "getitimer", "alarm", "rseq"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "getrusage"),
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrandom"),
    *("set_robust_list", "sched_yield", "sched_getaffinity", "restart_syscall", "exit", "exit_group"),
)
"""The calls that are let through, by Linux' names; an architecture that lacks one does without."""
ALLOWED_WITH = {
    "fcntl": (1, (0, 1, 2, 3, 1030)),  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
    "madvise": (2, (0, 1, 2, 3, 4, 8, 14, 15)),  # how memory of its own is used; no more
}
"""Calls that are let through with these values of one argument alone: its place, from 0, and the values."""
OPENING = {"open": 1, "openat": 2}
"""Let through for reading alone; the place of the flags."""


LONG = 1_000_000
"""A value whose JSON has more characters is told by its SHA-256: it is the same as another, or not."""
WIDE = 10**1000
"""From here on integers are written in hexadecimal: Python writes no more than 4,300 decimal digits."""


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    refuse(asked["memory_bytes"], asked["seconds"])
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.write(answers, b"ready\n")
    space: dict[str, Any] = {"__name__": "answer"}
    exec(compile(asked["code"], "answer", "exec"), space)
    for given in asked["inputs"]:
        value = told(space[asked["entry_point"]](*given))
        line = json.dumps(value)
        if len(line) > LONG:
            line = json.dumps(f"SHA-256 {hashlib.sha256(json.dumps(by_value(value)).encode()).hexdigest()}")
        os.write(answers, line.encode() + b"\n")


def refuse(memory_bytes: int, seconds: float) -> None:
    """From here on every call that is not in ALLOWED is answered with "not permitted"."""
    import pyseccomp as seccomp

    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: it ends with who started it
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: mapped + memory_bytes,
        resource.RLIMIT_CPU: int(seconds) + 1,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))

    def allow(name: str, *arguments: Any) -> None:
        try:
            known = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0
        except (ValueError, OSError):
            known = False
        if known:
            rules.add_rule(seccomp.ALLOW, name, *arguments)

    for name in ALLOWED:
        allow(name)
    for name, (place, values) in ALLOWED_WITH.items():
        for value in values:
            allow(name, seccomp.Arg(place, seccomp.EQ, value))
    writing = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_TMPFILE & ~os.O_DIRECTORY
    for name, place in OPENING.items():
        allow(name, seccomp.Arg(place, seccomp.MASKED_EQ, writing, os.O_RDONLY))
    rules.load()


def told(value: Any) -> Any:
    """A plain value as JSON has it, or under the name of its type. Raises TypeError for any other."""
    kind = type(value)
    if value is None or kind in (bool, str, float) or (kind is int and -WIDE < value < WIDE):
        return value
    if kind is int:
        return {"int": hex(value)}
    if kind in (list, tuple, set, frozenset):
        return {kind.__name__: [told(one) for one in value]}
    if kind is dict:
        return {"dict": [[told(key), told(one)] for key, one in value.items()]}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return told(value.tolist())
    raise TypeError(f"{kind.__name__} is no plain value")


def by_value(said: Any) -> Any:
    """What `told` made, with equal numbers written alike: 2 and 2.0, 1 and True."""
    if isinstance(said, bool) or (isinstance(said, float) and said.is_integer()):
        return int(said)
    if isinstance(said, list):
        return [by_value(one) for one in said]
    return {kind: by_value(one) for kind, one in said.items()} if isinstance(said, dict) else said


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # noqa: BLE001 (it is told to whoever still listens, and ends the process)
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)
