"""A run's folder belongs to one measurement at a time: real processes, real locks."""

import errno
import fcntl
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psutil
import pytest

from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.measure import locks
from joulebench.measure.locks import alone_in
from joulebench.measure.run import measure

HOLD = """
import sys
from pathlib import Path
from joulebench.measure.locks import alone_in

with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    job = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "held\n"
    return job


def test_who_comes_second_is_told_who_measures(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "llm-chat" / "m"
    first = holder(folder, SLURM_JOB_ID="4711")
    with pytest.raises(UserError) as error, alone_in(folder, patience_s=0.1, every_s=0.05):
        pytest.fail("held twice")
    assert str(error.value) == (
        f"{folder}: already being measured by process {first.pid} on {platform.node()}, Slurm job 4711; "
        "wait for its end or cancel it, then give the same command again"
    )
    first.communicate("")
    with alone_in(folder, patience_s=0.1):
        assert (folder / ".lock").read_text().startswith(f"process {os.getpid()} on ")


def test_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    first = holder(tmp_path)
    first.kill()
    first.communicate()
    with alone_in(tmp_path, patience_s=0.1):
        pass


def test_containers_may_name_the_folder_that_they_share(tmp_path: Path) -> None:
    program = "from joulebench.measure import locks; print(locks._path('GPU-1'))"
    for named, expected in ((str(tmp_path), tmp_path), ("", Path("/tmp"))):
        environment = os.environ | {"JOULEBENCH_LOCKS": named}
        said = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert Path(said.stdout.strip()) == expected / f"joulebench-{os.getuid()}-GPU-1.lock"


@pytest.mark.parametrize("named", ["locks", "~/locks", "/no/such/folder", __file__])
def test_no_folder_for_locks_is_one_line(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "NAMED", named)
    monkeypatch.setattr(locks, "LOCKS", Path(named))
    with pytest.raises(UserError, match=f"^JOULEBENCH_LOCKS: found {named}, expected the absolute path of a folder "):
        locks.alone_on("cpu").__enter__()


@pytest.mark.parametrize("hold", [lambda: locks.alone_on("cpu"), lambda: locks.alone_on_some(["GPU-1"], 1)])
def test_a_file_system_without_locks_is_one_line(
    hold: Callable[[], AbstractContextManager[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "LOCKS", tmp_path)
    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(UserError, match=f"^{tmp_path}: its file system has no locks .*JOULEBENCH_LOCKS$"):
        hold().__enter__()


FORK = """
import os, sys, time
from pathlib import Path
from joulebench.measure import locks

locks.LOCKS = Path(sys.argv[1])
with locks.alone_in(Path(sys.argv[1])), locks.alone_on("a GPU"):
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_one_has_forked_holds_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCKS", tmp_path)
    first = subprocess.Popen(
        [sys.executable, "-c", FORK, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    core = psutil.Process(int(first.stdout.readline()))
    with pytest.raises(UserError, match="already being measured"), alone_in(tmp_path, patience_s=0.1):
        pytest.fail("held twice")
    first.kill()
    first.wait()
    try:
        with alone_in(tmp_path, patience_s=0.1), locks._file("a GPU") as lock:
            assert locks._held(lock)
            assert core.is_running()
    finally:
        core.kill()
        first.communicate()


def test_one_that_is_ending_is_waited_for(tmp_path: Path) -> None:
    first = holder(tmp_path)
    ending = subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(0.3); os.kill({first.pid}, 15)"])
    with alone_in(tmp_path, patience_s=30, every_s=0.01):
        assert first.wait(1) != 0
    ending.communicate()
    first.communicate()


def test_a_file_system_without_locks_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with caplog.at_level(logging.WARNING), alone_in(tmp_path):
        assert "let no second job measure the same run" in caplog.text


def test_a_run_holds_its_folder_before_it_looks_at_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr("joulebench.measure.run.checked", lambda spec, requests, model: None)
    monkeypatch.setattr("joulebench.measure.run.claimed", lambda spec, gpus: pytest.fail("waited for a device"))
    monkeypatch.setattr("joulebench.measure.run.alone_in", partial(alone_in, patience_s=0.1))
    first = holder(folder)
    with pytest.raises(UserError, match="already being measured"):
        measure(RunSpec.model_construct(device="cpu"), tmp_path / "requests.parquet", tmp_path, folder)
    first.communicate("")
