"""Files, folders and logs whose writers are killed, race each other, or find no room."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from joulebench import files
from joulebench.errors import UserError
from joulebench.files import whole_file, whole_folder, write_text
from joulebench.logs import journal

ROOT = os.geteuid() == 0


def fault(what: str, outcome: str, name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name, marks=pytest.mark.fault("fault", what, outcome))


def killed_pid() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def left(folder: Path, pid: int, host: str | None = None, age_s: float = 0.0) -> Path:
    path = folder / f".a.json.{host or files._host()}-{pid}-00000000.tmp"
    path.write_text("half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.parametrize(
    ("pid", "host", "age_s", "stays"),
    [
        fault(
            "a writer was killed: its file is left", "cleared by the next writer", "dead", killed_pid, None, 0, False
        ),
        fault("a writer on this machine is still at work", "its file is left alone", "alive", os.getpid, None, 0, True),
        fault("a writer of another machine", "its file is left alone", "elsewhere", killed_pid, "0" * 8, 0, True),
        fault(
            "a writer of another machine was killed a day ago",
            "cleared by the next writer",
            "old",
            killed_pid,
            "0" * 8,
            90000,
            False,
        ),
    ],
)
def test_leftovers(tmp_path: Path, pid: Callable[[], int], host: str | None, age_s: float, stays: bool) -> None:
    path = left(tmp_path, pid(), host, age_s)
    other = tmp_path / ".b.json.tmp"
    other.write_text("another's")
    write_text("whole", tmp_path / "a.json")
    assert path.exists() == stays
    assert other.exists()
    assert (tmp_path / "a.json").read_text() == "whole"


KILLED = """
import os, signal, sys
from pathlib import Path
from joulebench.files import whole_file, whole_folder

with (whole_folder if sys.argv[2] == "folder" else whole_file)(Path(sys.argv[1])) as aside:
    (aside / "one" if sys.argv[2] == "folder" else aside).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "kind",
    [
        fault("SIGKILL in the middle of a file", "the former file stays; the rest is cleared", "file", "file"),
        fault("SIGKILL in the middle of a folder", "the former folder stays; the rest is cleared", "folder", "folder"),
    ],
)
def test_a_writer_killed_in_the_middle(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "made"

    def write(text: str) -> None:
        if kind == "file":
            write_text(text, path)
        else:
            with whole_folder(path) as aside:
                (aside / "one").write_text(text)

    write("former")
    done = subprocess.run([sys.executable, "-c", KILLED, path, kind], check=False)
    assert done.returncode == -9
    read = path if kind == "file" else path / "one"
    assert read.read_text() == "former"
    assert len(list(tmp_path.iterdir())) == 2
    write("next")
    assert read.read_text() == "next"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.fault("fault", "two write results/dataset at once", "the folder of one of them, whole; nothing is left")
def test_writers_of_one_folder(tmp_path: Path) -> None:
    path = tmp_path / "dataset"
    failures: list[BaseException] = []

    def write(who: int) -> None:
        try:
            for _ in range(40):
                with whole_folder(path) as aside:
                    for name in ("a", "b", "c"):
                        (aside / name).write_text(str(who))
        except BaseException as error:  # noqa: BLE001 (told below)
            failures.append(error)

    writers = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert not failures
    assert list(tmp_path.iterdir()) == [path]
    assert sorted(file.name for file in path.iterdir()) == ["a", "b", "c"]
    assert len({file.read_text() for file in path.iterdir()}) == 1


@pytest.mark.fault("fault", "an export fails in the middle", "the former one stays, whole")
def test_a_folder_whose_filling_fails(tmp_path: Path) -> None:
    path = tmp_path / "dataset"
    with whole_folder(path) as aside:
        (aside / "one").write_text("former")

    def fill(aside: Path) -> None:
        (aside / "one").write_text("next")
        Path("/dev/full").write_text("x")

    with pytest.raises(UserError, match="No space left"), whole_folder(path) as aside:
        fill(aside)
    assert (path / "one").read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    if not ROOT:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk, "-o", "size=64k"], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize(
    "kind",
    [
        fault("the disk is full in the middle of a file", "one line; the former file stays", "file", "file"),
        fault("the disk is full in the middle of a folder", "one line; the former folder stays", "folder", "folder"),
    ],
)
def test_a_full_disk(small_disk: Path, kind: str) -> None:
    path = small_disk / "made"
    if kind == "file":
        write_text("former", path)
    else:
        with whole_folder(path) as aside:
            write_text("former", aside / "one")
    with (
        pytest.raises(
            UserError, match=r"could not be written .No space left on device.; nothing half-written"
        ) as error,
        (whole_folder if kind == "folder" else whole_file)(path) as aside,
    ):
        (aside / "one" if kind == "folder" else aside).write_bytes(bytes(100_000))
    assert "\n" not in str(error.value)
    assert (path / "one" if kind == "folder" else path).read_text() == "former"
    assert list(small_disk.iterdir()) == [path]


LOGGING = """
import logging, sys
from joulebench.logs import journal

with journal(sys.argv[1], "a job"):
    logging.info("x" * 100)
    logging.info("y" * 100)
    if sys.argv[2:]:
        from joulebench.errors import UserError
        raise UserError("the reason")
print("ended well")
"""


def logged(path: Path, *more: str, **streams: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", LOGGING, str(path), *more]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60, **streams)


def full(folder: Path) -> Path:
    (folder / "logs").mkdir()
    (folder / "logs" / "a.log").symlink_to("/dev/full")
    return folder / "logs" / "a.log"


def a_file(folder: Path) -> Path:
    (folder / "logs").write_text("")
    return folder / "logs" / "a.log"


def a_folder(folder: Path) -> Path:
    (folder / "logs" / "a.log").mkdir(parents=True)
    return folder / "logs" / "a.log"


LOGLESS = "the job goes on, and says once that it has no log"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        fault("logs/ is on a full disk", LOGLESS, "full", full, "takes no more (No space left on device)"),
        fault("logs is a file", LOGLESS, "file", a_file, "cannot be written (File exists)"),
        fault("the log's name is taken by a folder", LOGLESS, "folder", a_folder, "cannot be written (Is a directory)"),
    ],
)
def test_a_log_that_cannot_be_written(tmp_path: Path, place: Callable[[Path], Path], said: str) -> None:
    path = place(tmp_path)
    done = logged(path, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, "ended well\n")
    assert done.stderr.count(said) == 1
    assert "Traceback" not in done.stderr
    assert "yyy" in done.stderr
    failed = logged(path, "fail", stderr=subprocess.PIPE)
    assert failed.returncode == 1
    assert "a job: the reason" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.fault("fault", "logs/ is read-only", LOGLESS)
def test_a_read_only_log(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = logged(small_disk / "logs" / "a.log", stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, "ended well\n")
    assert done.stderr.count("cannot be written (Read-only file system)") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.fault("fault", "the disk fills up while a job logs", LOGLESS)
def test_a_disk_that_fills_up_while_a_job_logs(
    small_disk: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with journal(small_disk / "a.log", "a job"):
        (small_disk / "other").symlink_to("nowhere")
        room = os.statvfs(small_disk)
        (small_disk / "fill").write_bytes(bytes(room.f_bavail * room.f_frsize))
        for _ in range(60):
            logging.info("x" * 1000)
    assert caplog.text.count("takes no more (No space left on device)") == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "how",
    [
        fault("standard error is a pipe that nobody reads any more", "the job goes on, and logs", "pipe", "pipe"),
        fault("standard error is a full disk", "the job goes on, and logs", "full", "full"),
        fault("standard error is closed from the start", "the job goes on, and logs", "closed", "closed"),
    ],
)
def test_nobody_reads_standard_error(tmp_path: Path, how: str) -> None:
    log = tmp_path / "logs" / "a.log"
    if how == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    elif how == "full":
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        writer = os.open(os.devnull, os.O_WRONLY)
    try:
        done = logged(log, stderr=writer, preexec_fn=(lambda: os.close(2)) if how == "closed" else None)
    finally:
        os.close(writer)
    assert (done.returncode, done.stdout) == (0, "ended well\n")
    assert log.read_text().endswith("a job: done\n")
