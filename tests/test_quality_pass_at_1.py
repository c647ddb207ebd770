"""Answers' code against the tests of its problem, and code that wants more than to answer."""

import dataclasses
import gzip
import json
import os
import sys
import time
from pathlib import Path

import pytest
from building import SHARED

from joulebench.errors import UserError
from joulebench.quality import sandbox
from joulebench.quality.pass_at_1 import Problem, verdicts

ORIGINAL = SHARED / "datasets" / "humanevalplus" / "HumanEvalPlus.jsonl.gz"
PROMPT = "import ctypes, os, shutil, socket, subprocess, threading\n\n\ndef halved(x):\n"
HALVED = Problem("t/0", PROMPT, "halved", "    return x / 2\n", [[1], [4], [-3]])


@pytest.mark.slow
def test_an_answer_passes_where_every_test_does() -> None:
    right = (
        "    return x * 0.5\n",
        "    import numpy as np\n    return np.float64(x / 2)\n",
        "    return x / 2 + 0j\n",
    )
    wrong = (
        "    return x // 2\n",  # right for 4 alone
        "    return x / 2 + 1e-5\n",
        "    return [x / 2]\n",
        "    return x / \n",
        "    raise SystemExit(0)\n",
        "    print(x / 2)\n",
    )
    assert verdicts([(HALVED, one) for one in (*right, *wrong)]) == [True] * len(right) + [False] * len(wrong)


def test_values_come_back_as_they_were() -> None:
    values = [None, True, -3, 10**5000, 0.1, float("inf"), "\u00e9\n", (1, [2.5]), {1: {"a"}}, frozenset({2}), 1 + 2j]
    code = """def all_of():
    inf = float("inf")
    return [None, True, -3, 10**5000, 0.1, inf, "\\u00e9\\n", (1, [2.5]), {1: {"a"}}, frozenset({2}), 1 + 2j]
"""
    (found,) = sandbox.returned(code, "all_of", [[]], 10.0)
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]


def test_long_texts_are_told_apart() -> None:
    code = "def f(n, last):\n    return 'a' * n + last\n"
    first, again, other = sandbox.returned(code, "f", [[10**6, "b"], [10**6, "b"], [10**6, "c"]], 20.0)
    assert first == again != other
    assert len(first) < 200


def test_a_library_that_wants_threads_is_served_without() -> None:
    code = "import numpy as np\n\n\ndef f(n):\n    return float((np.ones((n, n)) @ np.ones((n, n)))[0, 0])\n"
    assert sandbox.returned(code, "f", [[200]], 20.0) == [200.0]


@pytest.mark.parametrize("said", ['{"complex": [1' + 400 * "0" + ", 0]}", "1", '{"int": "zz"}', "[" * 5000])
def test_what_code_writes_past_its_call_is_no_more_than_wrong(said: str) -> None:
    # Its own lines on whatever is open, a thousand at a time: no more are read than were asked for, and none raises.
    line = said + "\n"
    code = f"""import os
for file in range(30):
    try:
        os.write(file, ({line!r} * 1000).encode())
    except OSError:
        pass
def f():
    return 1
"""
    assert len(sandbox.returned(code, "f", [[], []], 5.0)) <= 2


@pytest.mark.slow
def test_time_is_over_whatever_the_code_does() -> None:
    code = """import signal, time

def f():
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    time.sleep(60)
"""
    began = time.monotonic()
    assert sandbox.returned(code, "f", [[]], 1.0) == []
    assert time.monotonic() - began < 15


HOSTILE = {
    "a fork bomb": "    while True: os.fork()\n",
    "one without Python": "    while True: ctypes.CDLL(None).fork()\n",
    "another program": "    subprocess.run(['touch', {new!r}])\n    return x / 2\n",
    "a thread": "    threading.Thread(target=print).start()\n    return x / 2\n",
    "rm -rf": "    shutil.rmtree({folder!r})\n    return x / 2\n",
    "a file removed without Python": "    if ctypes.CDLL(None).unlink({old!r}.encode()) == 0: return x / 2\n",
    "a file emptied": "    ctypes.CDLL(None).truncate({old!r}.encode(), 0)\n",
    "a file written": "    open({new!r}, 'w').close()\n    return x / 2\n",
    "a file opened to be written": "    os.open({old!r}, os.O_WRONLY | os.O_TRUNC)\n    return x / 2\n",
    "a file read and written": "    os.open({old!r}, os.O_RDWR)\n    return x / 2\n",
    "the network": "    socket.create_connection(('127.0.0.1', {port}), 1)\n    return x / 2\n",
    "a socket": "    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n    return x / 2\n",
    "an endless loop": "    while True: pass\n",
    "endless output": "    while True: os.write(1, b'x' * 1000000)\n",
    "all the memory": "    held = []\n    while True: held.append(bytearray(10**8))\n",
    "an early end": "    os._exit(0)\n",
    "endless recursion": "    return halved(x)\n",
    "a value that equals all": "    class Equal(float):\n        def __eq__(self, other): return True\n"
    "    return Equal(1)\n",
    "a look for what is expected": "    import gc, sys\n    frame = sys._getframe()\n    while frame:\n"
    "        for one in frame.f_locals.values():\n            if one == [0.5, 2.0, -1.5]: return one.pop(0)\n"
    "        frame = frame.f_back\n",
    "another's signal": "    import fcntl\n    place = os.open({folder!r}, os.O_RDONLY)\n"
    "    fcntl.fcntl(place, 10, 9)\n    fcntl.fcntl(place, 8, os.getppid())\n"
    "    fcntl.fcntl(place, 1026, 0x80000001)\n    os.listdir({folder!r})\n"
    "    return x / 2\n",  # F_SETSIG, F_SETOWN, F_NOTIFY
    "the process that asked": "    ctypes.CDLL(None).kill(os.getppid(), 9)\n    return x\n",
    "a secret of the environment": "    assert os.environ['HF_TOKEN']\n    return x / 2\n",
}


@pytest.mark.slow
@pytest.mark.fault("input", "an answer's code that wants more than to answer", "not passed, and nothing has changed")
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_code_is_ended_and_nothing_has_changed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setenv("HF_TOKEN", "secret")
    old = tmp_path / "point.json"
    old.write_text("published")
    with socket.create_server(("127.0.0.1", 0)) as server:
        values = {"folder": str(tmp_path), "old": str(old), "new": str(tmp_path / "new")}
        code = HOSTILE[what].format(**values, port=server.getsockname()[1])
        assert verdicts([(HALVED, code)]) == [False]
        server.settimeout(0.01)
        with pytest.raises(TimeoutError):
            server.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["point.json"]
    assert old.read_text() == "published"
    assert os.environ["HF_TOKEN"] == "secret"
    assert verdicts([(HALVED, HALVED.canonical_solution)]) == [True]  # and the next one is asked as ever


def problems() -> list[Problem]:
    if not ORIGINAL.exists():
        pytest.skip("shared/datasets/humanevalplus is not here")
    with gzip.open(ORIGINAL, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Problem(
            *(row[name] for name in ("task_id", "prompt", "entry_point", "canonical_solution")),
            row["base_input"] + row["plus_input"],
            row["atol"],
        )
        for row in rows
    ]


@pytest.mark.slow
def test_the_canonical_solutions_pass_and_none_that_was_changed_does() -> None:
    found = problems()
    assert len(found) == 164
    changed = "{0}\n_kept = {1}\n\n\ndef {1}(*given):\n    return (_kept(*given), 0)\n"
    right = [(one, one.canonical_solution) for one in found]
    wrong = [(one, changed.format(one.canonical_solution, one.entry_point)) for one in found]
    given = verdicts(right + wrong)
    assert [one.task_id for one, passed in zip(found, given[:164], strict=True) if not passed] == []
    assert [one.task_id for one, passed in zip(found, given[164:], strict=True) if passed] == []


def test_without_the_filter_no_code_is_run_and_nothing_is_scored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = Path(sandbox.__file__).with_name("inside.py").read_text()
    broken = own.replace("    rules.load()", "    raise OSError('no')")
    (tmp_path / "inside.py").write_text(broken)
    with monkeypatch.context() as context:
        context.setattr(sandbox, "__file__", str(tmp_path / "sandbox.py"))
        with pytest.raises(
            UserError, match=r"^run_code: code cannot be kept in here \(OSError: no\); install pyseccomp"
        ):
            verdicts([(HALVED, HALVED.canonical_solution)])
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UserError, match=r"^run_code: found darwin, expected Linux, .*leave run_code out$"):
        verdicts([(HALVED, HALVED.canonical_solution)])
    monkeypatch.undo()
    unsolved = dataclasses.replace(HALVED, canonical_solution="    return 1 / 0\n")
    with pytest.raises(UserError, match=r"^t/0: its own solution came to 0 of 3 tests; take the dataset's own file"):
        verdicts([(unsolved, "    return 1\n")])
