"""How a measurement's process ends: cleanly on SIGTERM, with whoever started it, and with all that it started itself.

vLLM's engine core outlives a SIGKILL of the process that started it (by the kernel, when memory runs out, or by hand),
and keeps its GPUs: vllm issue 55510, seen with 0.25.1. So a measurement runs in a child process, and its parent adopts
what the child leaves (PR_SET_CHILD_SUBREAPER, prctl(2)) and ends it. Nothing heavy is imported before the fork.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
EVERY_S = 0.2
LEAVE_S = 5.0
"""For so long what the measurement left may end by itself."""
TERMINATE_S = 5.0
"""Between SIGTERM and SIGKILL."""
KILL_S = 60.0
"""For so long what SIGKILL does not end, as it waits in the kernel for a device, is waited for."""
WATCHER = "end-with-parent"
"""The name of the thread that watches the parent."""
KEPT = "JOULEBENCH_KEPT_BY"
"""Who stayed behind already, for a child that has become another program."""
GOES_ON = "JOULEBENCH_GOES_ON"
"""The interpreter that this process was to become."""


def stay_behind(journal: Path | None = None) -> None:
    """Go on in a child process. The parent never returns: it waits, ends what is left, and ends as the child did.

    What it has to tell it writes to standard error and to the end of `journal`, last and where it can. SIGTERM is
    passed on to the child; so is the end of whoever started the parent, as SIGTERM. Where there is no such adoption
    (anything but Linux), nothing happens and the caller goes on as it was.
    """
    if os.environ.get(KEPT) == str(os.getppid()):
        return
    if sys.platform != "linux" or ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        return
    started_by = os.getppid()
    if (child := os.fork()) == 0:
        os.environ[KEPT] = str(os.getppid())
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches the child too
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, signal.SIGTERM))
    code = os.waitstatus_to_exitcode(_wait(child, started_by))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ended, living = _end_all()
    if ended:
        _tell(f"ended what the measurement left behind: {', '.join(map(str, ended))}", journal)
    if living:
        _tell(
            f"not ended by SIGKILL: {', '.join(map(str, living))}, which may hold a GPU; a process in state D waits "
            "for a device or a file system: see dmesg, and restart the machine if it stays",
            journal,
        )
    if code == -signal.SIGKILL:
        _tell(
            "the measurement was killed by signal 9 (SIGKILL): by somebody, or probably out of memory, for so the "
            "kernel ends a process then (dmesg tells); the same command goes on from what is whole",
            journal,
        )
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler to take back
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _wait(child: int, started_by: int) -> int:
    told = False
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return status
        if pid:  # left by one that it ended; it may be waiting until this is gone
            continue
        if not told and os.getppid() != started_by:
            os.kill(child, signal.SIGTERM)
            told = True
        time.sleep(EVERY_S)


def _end_all() -> tuple[list[int], list[int]]:
    """End every descendant of this process, which is given a moment, then SIGTERM, then SIGKILL.

    Whom it took one, and who lives all the same after KILL_S.
    """
    import psutil

    me = psutil.Process()
    _, left = psutil.wait_procs(me.children(recursive=True), LEAVE_S)
    ended = {one.pid for one in left}
    for one in left:
        with suppress(psutil.Error):
            one.terminate()
    psutil.wait_procs(left, TERMINATE_S)
    give_up_s = time.monotonic() + KILL_S
    while (left := me.children(recursive=True)) and time.monotonic() < give_up_s:
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, 1.0)
    living = {one.pid for one in left}
    return sorted(ended - living), sorted(living)


def _tell(line: str, journal: Path | None) -> None:
    """Nothing depends on its being read: nobody may be there any more, and the disk may be full."""
    with suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)
    if journal is not None:
        with suppress(OSError), journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


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

    threading.Thread(target=watch, name=WATCHER, daemon=True).start()


def end_cleanly_on_sigterm() -> None:
    """Turn SIGTERM (a cluster's time limit, a cancelled job) into SystemExit, so that `finally` blocks run."""

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break off the closing
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def go_on_under(python: str | None) -> None:
    """Become the interpreter that the config names, with the same arguments; nothing to do where this is it.

    Raises UserError where there is none, or where it is a script that starts another one.
    """
    import joulebench
    from joulebench.errors import UserError

    asked_before = os.environ.pop(GOES_ON, None)
    if python is None:
        return
    wanted = os.path.normpath(Path(python).absolute())  # links stay: an environment may be one
    if wanted == os.path.normpath(sys.executable):
        return
    if not os.access(wanted, os.X_OK):
        raise UserError(f"engines.*.python: no interpreter {python}; build its environment, or set it to null")
    if asked_before == wanted:
        raise UserError(
            f"engines.*.python: {python} starts {sys.executable}, another interpreter; name that one, or a link to its "
            "environment's folder"
        )
    os.environ[GOES_ON] = wanted
    source = str(Path(joulebench.__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    try:
        os.execv(wanted, [wanted, *sys.argv])
    except OSError as error:
        raise UserError(f"engines.*.python: {python} cannot be run ({error.strerror}); name an interpreter") from None
