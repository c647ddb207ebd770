"""A measurement's process leaves nobody behind, however it ends: real processes and real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import os, signal, subprocess, sys, time
from joulebench.measure import process

process.LEAVE_S, process.TERMINATE_S = 0.2, 0.5
process.stay_behind()
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
engine = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {deaf!r}]); time.sleep(60)"
command = [sys.executable, "-c", engine]
started = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
started.stdout.readline()
print(os.getpid(), flush=True)
"""


def start(then: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + then],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def measuring(keeper: "subprocess.Popen[str]") -> psutil.Process:
    assert keeper.stdout is not None
    return psutil.Process(int(keeper.stdout.readline()))


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, 10)[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_what_a_killed_measurement_started_is_ended(number: signal.Signals) -> None:
    keeper = start("time.sleep(60)")
    child = measuring(keeper)
    everybody = child.children(recursive=True)
    assert len(everybody) == 2  # an engine in a session of its own, and its worker, which is deaf to SIGTERM
    child.send_signal(number)
    _, said = keeper.communicate(timeout=30)
    assert keeper.returncode == -number
    assert gone(everybody)
    assert "ended what the measurement left behind: " in said
    assert all(str(one.pid) in said for one in everybody)


@pytest.mark.slow
def test_its_code_is_passed_on_and_what_it_left_is_ended() -> None:
    keeper = start("sys.exit(3)")
    everybody = measuring(keeper).children(recursive=True)
    keeper.communicate(timeout=30)
    assert keeper.returncode == 3
    assert gone(everybody)


WAITING = """
import psutil

(worker,) = psutil.Process(started.pid).children()
started.kill()
started.wait()
worker.kill()
print(psutil.wait_procs([worker], 10)[1], flush=True)
"""


@pytest.mark.slow
def test_a_measurement_sees_that_one_is_gone_whose_parent_it_ended_before() -> None:
    said, _ = start(WAITING).communicate(timeout=30)
    assert said.splitlines()[1:] == ["[]"]


def test_a_measurement_that_leaves_nobody_ends_at_once() -> None:
    program = "from joulebench.measure import process; process.stay_behind()"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert time.monotonic() - began < 4  # it does not wait for whoever is not there


CLEAN = """
process.end_cleanly_on_sigterm()
try:
    time.sleep(60)
finally:
    if sys.argv[1:]:
        time.sleep(0.5)
        open(sys.argv[1], "w").close()
    started.kill()
"""


@pytest.mark.slow
def test_sigterm_is_passed_on_and_a_second_one_breaks_nothing_off(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    keeper = subprocess.Popen([sys.executable, "-c", PROGRAM + CLEAN, closed], stdout=subprocess.PIPE, text=True)
    child = measuring(keeper)
    everybody = child.children(recursive=True)
    time.sleep(0.3)  # until the handler is there
    keeper.terminate()
    time.sleep(0.2)
    child.terminate()
    keeper.communicate(timeout=30)
    assert keeper.returncode == 128 + signal.SIGTERM
    assert closed.exists()
    assert gone(everybody)


@pytest.mark.slow
def test_the_end_of_whoever_started_it_is_passed_on() -> None:
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {PROGRAM + CLEAN!r}])"
    workflow = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    child = measuring(workflow)
    everybody = [child, *child.parents()[:1], *child.children(recursive=True)]
    assert child.parent() != psutil.Process(workflow.pid)
    workflow.kill()
    workflow.communicate(timeout=30)
    assert gone(everybody)


@pytest.mark.slow
def test_a_child_that_became_another_program_has_one_parent_all_the_same() -> None:
    again = f"os.execv(sys.executable, [sys.executable, '-c', {PROGRAM + 'time.sleep(60)'!r}])"
    impatient = "process.LEAVE_S, process.TERMINATE_S = 0.2, 0.5"
    program = f"import os, sys; from joulebench.measure import process; {impatient}; process.stay_behind(); {again}"
    command = [sys.executable, "-c", program]
    keeper = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child = measuring(keeper)
    assert child.ppid() == keeper.pid
    everybody = child.children(recursive=True)
    child.kill()
    keeper.communicate(timeout=30)
    assert gone(everybody)


REFUSES = (
    "import sys\nfrom joulebench.errors import UserError\nfrom joulebench.measure.process import go_on_under\n"
    "try:\n    go_on_under(sys.argv[1])\nexcept UserError as error:\n    print(error)\n"
)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            f'#!/bin/sh\nexec {sys.executable} "$@"\n',
            f"starts {sys.executable}, another interpreter; name that one",
        ),
        (f'#!/bin/sh\n{sys.executable} "$@"\n', f"starts {sys.executable}, another interpreter; name that one"),
        ("no program\n", "cannot be run (Exec format error); name an interpreter"),
    ],
)
def test_an_interpreter_that_is_none_is_refused_and_not_started_for_ever(tmp_path: Path, lines: str, said: str) -> None:
    script, program = tmp_path / "python", tmp_path / "program.py"
    script.write_text(lines)
    script.chmod(0o755)
    program.write_text(REFUSES)
    told = subprocess.run([sys.executable, program, script], capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout.startswith(f"engines.*.python: {script} {said}")
    assert len(told.stdout.splitlines()) == 1


def test_a_link_to_an_environment_is_its_interpreter(tmp_path: Path) -> None:
    link = tmp_path / "environment"
    link.symlink_to(Path(sys.executable).parents[1], target_is_directory=True)
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom joulebench.measure.process import go_on_under\n"
        "go_on_under(sys.argv[1])\nprint(sys.executable)\n"
    )
    python = link / "bin" / ".." / "bin" / Path(sys.executable).name
    told = subprocess.run([sys.executable, program, python], capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout == f"{link / 'bin' / python.name}\n"
