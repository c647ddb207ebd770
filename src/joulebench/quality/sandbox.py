"""Code that nobody has read, run in a process that can compute and nothing else.

A filter of the kernel (seccomp(2)) answers every call that is not in ALLOWED with "not permitted", whoever makes it,
without privileges and inside containers too. So the process reaches no network, starts no other, sends no signal, and
changes no file; it may open files for reading, as Python does for its own modules, and has nobody to tell. Its memory
and its time are limited, what it prints is dropped, and whatever it does, it is ended.
"""

import errno
import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

import psutil

from joulebench.errors import UserError

MEMORY_BYTES = 4 * 1024**3
"""Beside what the process was born with: EvalPlus' own bound."""

ALLOWED = (
    *("read", "pread64", "readv", "lseek", "write", "writev", "close", "dup", "fcntl", "poll", "ppoll", "select"),
    *("stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    *("getdents64", "getcwd", "mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "futex", "set_robust_list"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "setitimer", "getitimer", "alarm", "rseq"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "getrusage"),
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrandom"),
    *("sched_yield", "sched_getaffinity", "restart_syscall", "exit", "exit_group"),
)
"""The calls, by Linux' names; an architecture that lacks one does without. `open` and `openat` are allowed for reading
alone. Whatever is open to be written is /dev/null."""


def run(target: Callable[..., None], *args: object, seconds: float) -> None:
    """Call `target` in such a process, a copy of this one, and wait for its end, `seconds` at most.

    What it finds out it leaves in shared memory that was made before (multiprocessing.Value). Raises UserError where
    this system has no such filter.
    """
    child = multiprocessing.get_context("fork").Process(target=_inside, args=(filters(), target, args, seconds))
    child.start()
    child.join(seconds)
    if child.is_alive():
        child.kill()
        child.join()


def filters() -> Any:
    """The library that sets the kernel's filter. Raises UserError where there is none."""
    needs = "install libseccomp2 (Debian's name) on Linux, or leave run_code out"
    if sys.platform != "linux":
        raise UserError(f"run_code: found {sys.platform}, expected Linux, whose seccomp keeps code in; {needs}")
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(f"run_code: the kernel's filter cannot be set here ({error}); {needs}") from None
    return pyseccomp


def _inside(seccomp: Any, target: Callable[..., None], args: tuple[object, ...], seconds: float) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    os.closerange(3, 65536)
    os.environ.clear()
    for limit, most in (
        (resource.RLIMIT_AS, psutil.Process().memory_info().vms + MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(limit, (most, most))
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in ALLOWED:
        if _is_known(seccomp, name):
            rules.add_rule(seccomp.ALLOW, name)
    writing = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY
    for name, flags in (("open", 1), ("openat", 2)):
        if _is_known(seccomp, name):
            rules.add_rule(seccomp.ALLOW, name, seccomp.Arg(flags, seccomp.MASKED_EQ, writing, os.O_RDONLY))
    rules.load()
    try:
        target(*args)
    finally:
        os._exit(0)


def _is_known(seccomp: Any, name: str) -> bool:
    try:
        return bool(seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0)
    except (ValueError, OSError):
        return False
