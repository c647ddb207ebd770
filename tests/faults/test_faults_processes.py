"""A measurement leaves no process behind and waits for nobody for ever: real processes, signals and locks."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from joulebench.errors import UserError
from joulebench.measure import locks as holding
from joulebench.measure.locks import alone_in, alone_on, alone_on_some

ROOT = os.geteuid() == 0
NOBODY = 65534

PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path
from joulebench.measure import process

process.LEAVE_S, process.TERMINATE_S = 0.2, 0.3
process.stay_behind(Path(sys.argv[1]))
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
engine = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True, stdout=subprocess.PIPE)
engine.stdout.readline()
print(os.getpid(), engine.pid, flush=True)
"""


def fault(what: str, outcome: str, name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name, marks=pytest.mark.fault("fault", what, outcome))


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def stderr_of(how: str) -> int:
    return closed_pipe() if how == "pipe" else os.open("/dev/full" if how == "full" else os.devnull, os.O_WRONLY)


ENDED = "every process that the measurement started is ended all the same"


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        fault("SIGKILL, and standard error is a pipe that nobody reads any more", ENDED, "pipe", "pipe"),
        fault("SIGKILL, and standard error is on a full disk", ENDED, "full", "full"),
        fault("SIGKILL, and standard error is closed", ENDED, "closed", "closed"),
    ],
)
@pytest.mark.parametrize("log", ["a.log", "no/such/a.log", "/dev/full"])
def test_orphans_are_ended_though_nobody_hears_of_it(tmp_path: Path, how: str, log: str) -> None:
    writer = stderr_of(how)
    keeper = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + "os.kill(os.getpid(), signal.SIGKILL)", tmp_path / log],
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
        preexec_fn=(lambda: os.close(2)) if how == "closed" else None,
    )
    os.close(writer)
    assert keeper.stdout is not None
    everybody = [int(word) for word in keeper.stdout.readline().split()]
    assert len(everybody) == 2
    assert keeper.wait(30) == -signal.SIGKILL
    assert not [pid for pid in everybody if psutil.pid_exists(pid)]
    if log == "a.log":
        said = (tmp_path / log).read_text()
        assert f"ended what the measurement left behind: {everybody[1]}\n" in said
        assert "killed by signal 9 (SIGKILL)" in said
        assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "code", "said"),
    [
        fault(
            "the measurement is ended by SIGKILL, as by the kernel when memory runs out",
            "its log says so, and what may have been the reason",
            "sigkill",
            "os.kill(os.getpid(), signal.SIGKILL)",
            -signal.SIGKILL,
            "probably out of memory",
        ),
        fault(
            "the measurement crashes in native code",
            ENDED,
            "sigsegv",
            "os.kill(os.getpid(), signal.SIGSEGV)",
            -11,
            "left",
        ),
        fault("the measurement aborts", ENDED, "sigabrt", "os.abort()", -signal.SIGABRT, "left"),
        fault("the measurement ends and leaves an engine", ENDED, "leaves", "os._exit(3)", 3, "left"),
    ],
)
def test_how_it_ended_is_passed_on_and_told(tmp_path: Path, then: str, code: int, said: str) -> None:
    log = tmp_path / "a.log"
    log.write_text("what was measured\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + then, log], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code
    assert not [word for word in done.stdout.split() if psutil.pid_exists(int(word))]
    lines = log.read_text().splitlines()
    assert lines[0] == "what was measured"
    assert any(said in line for line in lines[1:])
    assert lines[1:] == [line for line in done.stderr.splitlines() if line in lines]


@pytest.mark.slow
@pytest.mark.fault(
    "fault",
    "the measurement leaves a process that SIGKILL does not end, as in state D",
    "waited for a minute, then told by its number",
)
def test_what_the_kernel_does_not_end_is_not_waited_for_without_end(tmp_path: Path) -> None:
    """Only the kernel makes such a process: here nothing that is sent arrives."""
    deaf = "import psutil; psutil.Process.kill = psutil.Process.terminate = lambda _: None\n"
    program = PROGRAM.replace("process.stay", f"{deaf}process.KILL_S = 1.0\nprocess.stay")
    log, out = tmp_path / "a.log", tmp_path / "out"
    with out.open("w") as file:  # not a pipe: what lives on would hold it open
        keeper = subprocess.Popen([sys.executable, "-c", program + "os._exit(3)", log], stdout=file, stderr=file)
        assert keeper.wait(30) == 3
    engine = psutil.Process(int(out.read_text().split()[1]))
    engine.kill()
    assert f"not ended by SIGKILL: {engine.pid}, which may hold a GPU" in log.read_text()
    assert "ended what" not in out.read_text()


def foreign_file(path: Path) -> None:
    path.write_text("")
    os.chown(path, NOBODY, -1)


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(holding, "LOCKS", folder)
    return folder


PASSED_OVER = "another name is used, by all of this user's measurements alike"


@pytest.mark.parametrize(
    "take",
    [
        fault("the lock's name is taken by another user's file", PASSED_OVER, "file", foreign_file),
        fault("the lock's name is taken by a folder", PASSED_OVER, "folder", Path.mkdir),
        fault("the lock's name is taken by a pipe that nobody reads", PASSED_OVER, "pipe", os.mkfifo),
        fault(
            "the lock's name is taken by a link", PASSED_OVER, "link", lambda path: path.symlink_to(path.parent / "x")
        ),
    ],
)
def test_what_another_user_put_under_the_locks_name(locks: Path, take: Callable[[Path], object]) -> None:
    if take is foreign_file and not ROOT:
        pytest.skip("only root can give a file to another user")
    for name in ("cpu", "gpu-0"):
        take(locks / f"joulebench-{os.getuid()}-{name}.lock")
    with alone_on("cpu"), alone_on_some(["gpu-0"], 1):
        for name in ("cpu", "gpu-0"):
            other = (locks / f"joulebench-{os.getuid()}-{name}.1.lock").open()
            assert stat.S_ISREG(os.fstat(other.fileno()).st_mode)
            assert not holding._held(other)  # a second measurement would wait
            other.close()
    assert not (locks / "x").exists()


@pytest.mark.fault("fault", "another user opens the lock, to hold it for ever", "not let")
@pytest.mark.skipif(not ROOT, reason="becoming another user takes root")
@pytest.mark.parametrize("mode", [None, 0o644, 0o666])
def test_no_other_user_can_hold_the_lock(locks: Path, mode: int | None) -> None:
    path = locks / f"joulebench-{os.getuid()}-cpu.lock"
    if mode is not None:  # as an earlier version left it
        path.touch()
        path.chmod(mode)
    with alone_on("cpu"):
        pass
    done = subprocess.run(["cat", path], user=NOBODY, capture_output=True, text=True, check=False)
    assert "Permission denied" in done.stderr


@pytest.mark.fault("fault", "every name of the lock is taken", "one line: whose it is, and what to do")
def test_every_name_of_the_lock_is_taken(locks: Path) -> None:
    for other in ("", *(f".{number}" for number in range(1, holding.OTHER_NAMES))):
        (locks / f"joulebench-{os.getuid()}-cpu{other}.lock").mkdir()
    with pytest.raises(UserError, match=r"cpu.lock: no lock of this user .Is a directory.") as error, alone_on("cpu"):
        pytest.fail("held")
    assert "\n" not in str(error.value)


@pytest.mark.fault("fault", "there is no /tmp", "one line: make it writable")
def test_no_folder_for_locks(locks: Path) -> None:
    locks.rmdir()
    with pytest.raises(UserError, match=r"No such file or directory.*make .* writable"), alone_on("cpu"):
        pytest.fail("held")


AS_NOBODY = """
import sys
from pathlib import Path
from joulebench.errors import UserError
from joulebench.measure import locks
locks.LOCKS = Path(sys.argv[1])
try:
    with locks.alone_on("cpu"), locks.alone_in(Path(sys.argv[2])):
        print("held")
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        fault("/tmp is read-only", "one line: make it writable", "locks", 0o755, "no lock of this user"),
        fault("results/ is read-only", "one line: make it writable", "results", 0o1777, "cannot be written"),
    ],
)
def test_read_only_folders(locks: Path, tmp_path: Path, mode: int, said: str) -> None:
    if not ROOT:
        pytest.skip("only root can become another user")
    locks.chmod(mode)
    code = f"import os; os.setgid({NOBODY}); os.setuid({NOBODY})" + AS_NOBODY
    program = "import joulebench.measure.locks\n" + code  # imported while its files can be read
    for folder in (tmp_path, *list(tmp_path.parents)[:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", program, locks, tmp_path / "run"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert said in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.fault(
    "fault", "two measure one run, and the first hangs", "after a minute the second says in one line who holds it"
)
def test_a_run_that_is_held_for_ever(tmp_path: Path) -> None:
    with ExitStack() as first:
        first.enter_context(alone_in(tmp_path))
        with pytest.raises(UserError, match=f"already being measured by process {os.getpid()} on") as error:  # noqa: SIM117
            with alone_in(tmp_path, patience_s=0.1, every_s=0.02):
                pytest.fail("held twice")
        assert "\n" not in str(error.value)


@pytest.mark.fault("fault", "two want one GPU at once", "one measures, the other waits and then measures")
def test_two_want_one_gpu(locks: Path) -> None:
    held: list[str] = []
    most: list[int] = []

    def measure() -> None:
        with alone_on_some(["gpu-0"], 1, every_s=0.01) as mine:
            held.extend(mine)
            most.append(len(held))
            held.clear()

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert most == [1, 1, 1, 1]
