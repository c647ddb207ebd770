"""A script that runs in the server of `warmed` is what it is in a process of its own, but for its imports."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from building import wait_until
from warmed import search_path

SCRIPT = """import json, os, sys, time
print(json.dumps([sys.argv, os.getcwd(), os.environ["MINE"], sys.path[:2], __name__, sys.stdin.read()]))
print("torch" in sys.modules, file=sys.stderr, flush=True)
if sys.argv[1] == "sleep":
    open("begun", "w").close()
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""

pytestmark = pytest.mark.slow


def start(folder: Path, word: str, path: str, **environment: str) -> "subprocess.Popen[str]":
    (folder / "workflow" / "scripts").mkdir(parents=True, exist_ok=True)
    (folder / "workflow" / "scripts" / "measure.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "workflow/scripts/measure.py", word],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "MINE": "a word"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_script_finds_and_says_the_same(warm: None, tmp_path: Path) -> None:
    found = {}
    for path in ("/no/src", search_path(Path("/no/src"))):
        process = start(tmp_path, "3", path)
        said, imported = process.communicate("a line", timeout=60)
        assert process.returncode == 3
        found[imported.strip()] = json.loads(said)
    scripts = str(tmp_path / "workflow" / "scripts")
    expected = [
        ["workflow/scripts/measure.py", "3"],
        str(tmp_path),
        "a word",
        [scripts, "/no/src"],
        "__main__",
        "a line",
    ]
    assert found == {"False": expected, "True": expected}


def test_another_environment_for_imports_is_served_by_a_process_of_its_own(warm: None, tmp_path: Path) -> None:
    process = start(tmp_path, "0", search_path(Path("/no/src")), HF_ENDPOINT="http://nowhere")
    _, imported = process.communicate("", timeout=60)
    assert (process.returncode, imported.strip()) == (0, "False")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_script_ends_with_its_caller(warm: None, tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "sleep", search_path(Path("/no/src")))
    assert process.stdin is not None
    process.stdin.close()
    wait_until((tmp_path / "begun").exists)
    process.send_signal(number)
    assert process.wait(20) == -number
    wait_until(lambda: not [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(tmp_path)], 20)
