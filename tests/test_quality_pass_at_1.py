"""Answers' code against the tests of its problem, and code that wants more than to answer."""

import gzip
import json
import os
import sys
from pathlib import Path

import pytest
from building import SHARED

from joulebench.errors import UserError
from joulebench.quality.pass_at_1 import Problem, passes
from joulebench.quality.sandbox import filters

ORIGINAL = SHARED / "datasets" / "humanevalplus" / "HumanEvalPlus.jsonl.gz"
PROMPT = "import ctypes, os, shutil, socket, subprocess, threading\n\n\ndef halved(x):\n"
HALVED = Problem("t/0", PROMPT, "halved", "    return x / 2\n", [[1], [4], [-3]])


def test_an_answer_passes_where_every_test_does() -> None:
    assert passes(HALVED, "    return x * 0.5\n")
    assert not passes(HALVED, "    return x // 2\n")  # right for 4 alone
    assert not passes(HALVED, "    return x / 2 + 1e-5\n")
    assert not passes(HALVED, "    return [x / 2]\n")
    assert not passes(HALVED, "    return x / \n")
    assert not passes(HALVED, "    raise SystemExit(0)\n")


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
    "the process that asked": "    ctypes.CDLL(None).kill(os.getppid(), 9)\n    return x\n",
    "a secret of the environment": "    assert os.environ['HF_TOKEN']\n    return x / 2\n",
}


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
        assert not passes(HALVED, code)
        server.settimeout(0.01)
        with pytest.raises(TimeoutError):
            server.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["point.json"]
    assert old.read_text() == "published"
    assert os.environ["HF_TOKEN"] == "secret"
    assert passes(HALVED, HALVED.canonical_solution)  # and the next one is asked as ever


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
    assert [one.task_id for one in found if not passes(one, one.canonical_solution)] == []
    changed = "{0}\n_kept = {1}\n\n\ndef {1}(*given):\n    return (_kept(*given), 0)\n"
    passed = [one.task_id for one in found if passes(one, changed.format(one.canonical_solution, one.entry_point))]
    assert passed == []
    assert len(found) == 164


def test_without_the_filter_no_code_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(UserError, match=r"^run_code: the kernel's filter cannot be set .*; install libseccomp2 .*$"):
        filters()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UserError, match=r"^run_code: found darwin, expected Linux, .*leave run_code out$"):
        filters()
