"""Whole runs of the measuring script and of the workflow on a real engine, broken off and started again."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from building import PROJECT, prepare_tiny, tiny, wait_until
from warmed import search_path

TASK, MODEL = "llm-chat", "joulebench/llama-1m"
RUN = f"results/cpu/runs/{TASK}/joulebench--llama-1m"
LOCKS = "import sys; from pathlib import Path; from joulebench.measure import locks; locks.LOCKS = Path.cwd(); "
"""A lock of its own, so that another measurement of this machine is not waited for."""

pytestmark = pytest.mark.slow


def swept(batch_sizes: list[int]) -> dict[str, Any]:
    raw = tiny()
    raw["tasks"][TASK]["sweep"] = {"batch_sizes": batch_sizes, "protocol": {"kind": "timed", "seconds": 0.5}}
    return raw


class Bench:
    """A folder in which one small run is measured again and again by the measuring script."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder, self.run = folder, folder / RUN
        (folder / "config.yaml").write_text(yaml.safe_dump(swept([1, 2, 3])))
        (folder / "results").mkdir()
        for part in ("prompts", "models"):
            (folder / "results" / part).symlink_to(shared / part)

    def start(self, log: str = "logs/a.log", **environment: str) -> "subprocess.Popen[str]":
        script = PROJECT / "workflow" / "scripts" / "measure.py"
        words = [str(script), "cpu", TASK, "joulebench--llama-1m", log]
        program = f"{LOCKS}import runpy; sys.argv = {words!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def points(self) -> dict[str, str]:
        """Digest of every file of every point that has ended."""
        return digests(self.run)

    def until(self, process: "subprocess.Popen[str]", points: int) -> None:
        """Until so many points have ended and the next is under way."""
        wait_until(lambda: process.poll() is not None or len(list(self.run.glob("points/[0-9]*"))) >= points)
        assert process.poll() is None, process.communicate()[1]

    def ours(self) -> list[psutil.Process]:
        found = psutil.process_iter(["cwd", "status"])
        return [
            one
            for one in found
            if (one.info["cwd"] or "").startswith(str(self.folder)) and one.info["status"] != psutil.STATUS_ZOMBIE
        ]


def digests(run: Path) -> dict[str, str]:
    files = sorted(run.glob("points/[0-9]*/*"))
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def finished(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said = process.communicate(timeout=180)[1]
    return process.returncode, said


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests and model of the tiny config, made once."""
    results = tmp_path_factory.mktemp("prepared")
    prepare_tiny(TASK, results / "prompts" / f"{TASK}.parquet", results / "models" / "joulebench--llama-1m")
    return results


@pytest.fixture
def bench(tmp_path: Path, shared: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, shared)
    yield made
    wait_until(lambda: not made.ours(), 20)


def of(parent: psutil.Process, who: str) -> psutil.Process:
    if who == "parent":
        return parent
    (child,) = parent.children()
    if who == "child":
        return child
    return next(one for one in child.children() if "joulebench.meters.sampler" in one.cmdline())


def kill(what: str, who: str, number: signal.Signals, code: int) -> Any:
    outcome = "no process is left; the same command goes on, and what had ended is unchanged to the byte"
    return pytest.param(who, number, code, id=f"{who}-{number.name}", marks=pytest.mark.fault("fault", what, outcome))


@pytest.mark.parametrize(
    ("who", "number", "code"),
    [
        kill("SIGKILL of the measuring process in the second point", "child", signal.SIGKILL, -9),
        kill("SIGKILL of the process that waits for it", "parent", signal.SIGKILL, -9),
        kill("SIGKILL of the energy sampler in the second point", "sampler", signal.SIGKILL, 1),
        kill("SIGTERM of the measurement in the second point", "parent", signal.SIGTERM, 143),
    ],
)
def test_killed_and_given_again(bench: Bench, who: str, number: signal.Signals, code: int) -> None:
    process = bench.start()
    bench.until(process, 1)
    of(psutil.Process(process.pid), who).send_signal(number)
    ended, said = finished(process)
    assert ended == code
    assert "Traceback" not in said
    wait_until(lambda: not bench.ours(), 20)
    before = {name: digest for name, digest in bench.points().items() if "00-b1" in name}
    assert len(before) == 4
    if who == "child":
        assert "killed by signal 9" in (bench.folder / "logs" / "a.log").read_text()
    ended, said = finished(bench.start())
    assert ended == 0, said
    assert bench.points().items() >= before.items()
    assert sorted(path.name for path in bench.run.iterdir()) == [".lock", "points", "run.json", "start.json"]


@pytest.mark.fault("fault", "two give the same command at once", "measured once; both end well")
def test_two_callers_at_once(bench: Bench) -> None:
    first = bench.start()
    wait_until((bench.run / "unfinished.json").exists)
    second = bench.start("logs/b.log")
    ended, said = finished(first)
    assert ended == 0, said
    before = bench.points()
    ended, said = finished(second)
    assert ended == 0, said
    assert "whole already" in said
    assert bench.points() == before


@pytest.mark.fault(
    "fault", "a point that had ended is removed while the next is measured", "one line; the next call measures it again"
)
def test_a_point_vanishes(bench: Bench) -> None:
    process = bench.start()
    bench.until(process, 1)
    shutil.rmtree(bench.run / "points" / "00-b1")
    ended, said = finished(process)
    assert ended == 1
    assert "00-b1: removed or damaged while its run was measured" in said
    assert "Traceback" not in said
    assert not (bench.run / "run.json").exists()
    before = bench.points()
    ended, said = finished(bench.start())
    assert ended == 0, said
    assert bench.points().items() >= before.items()
    assert [point["point"] for point in json.loads((bench.run / "run.json").read_text())["points"]] == [0, 1, 2]


@pytest.mark.fault("fault", "the run's folder is removed while it is measured", "the run fails without a traceback")
def test_the_folder_vanishes(bench: Bench) -> None:
    process = bench.start()
    bench.until(process, 1)
    shutil.rmtree(bench.run)
    ended, said = finished(process)
    assert ended == 1
    assert "Traceback" not in said


@pytest.mark.fault("fault", "the disk fills up while a run is measured", "one line; with room again it goes on")
def test_a_full_disk_under_a_run(bench: Bench) -> None:
    runs = bench.folder / "results" / "cpu" / "runs"
    runs.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "none", str(runs), "-o", "size=60k"]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        ended, said = finished(bench.start())
        assert ended == 1
        assert "Traceback" not in said
        assert "No space left on device" in said
        assert not (bench.run / "run.json").exists()
        before = bench.points()
        subprocess.run(["mount", "-o", "remount,size=10m", str(runs)], check=True)
        ended, said = finished(bench.start())
        assert ended == 0, said
        assert bench.points().items() >= before.items()
        assert not list(bench.run.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", "-l", str(runs)], check=True)


class Workflow:
    """A copy of the project in which one small run is made by Snakemake."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / RUN
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":!results", ":!tests"]
        for name in subprocess.run(listed, cwd=PROJECT, capture_output=True, check=True).stdout.decode().split("\0"):
            if name and (PROJECT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, folder / name)
        (folder / "mine.yaml").write_text(yaml.safe_dump(swept([1, 2])))

    def start(self, *words: str) -> "subprocess.Popen[str]":
        command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "all", f"{RUN}/run.json"]
        return subprocess.Popen(
            [*command, "--configfile", "mine.yaml", *words],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": search_path(self.folder / "src")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def made(warm: None, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A project whose run has ended well."""
    workflow = Workflow(tmp_path_factory.mktemp("project"))
    ended, said = finished(workflow.start())
    assert ended == 0, said
    return workflow


@pytest.mark.fault("fault", "Snakemake fails to note that a run has ended", "the same command keeps every point")
def test_a_run_whose_end_was_not_noted(made: Workflow) -> None:
    before = digests(made.run)
    (made.run / "run.json").unlink()
    ended, said = finished(made.start())
    assert ended == 0, said
    assert "whose run.json is gone" in said
    assert digests(made.run) == before


@pytest.mark.fault(
    "fault",
    "--force of a whole run with a model that cannot be loaded",
    "the job fails, and the earlier points are back; the next call makes run.json of them",
)
def test_a_forced_run_that_cannot_start(made: Workflow) -> None:
    before = digests(made.run)
    weights = next((made.folder / "results" / "models").rglob("config.json"))
    sound = weights.read_bytes()
    weights.write_bytes(b"{")
    ended, said = finished(made.start("--force"))
    assert ended == 1
    assert "measuring anew" in said
    assert digests(made.run) == before
    weights.write_bytes(sound)
    ended, said = finished(made.start())
    assert ended == 0, said
    assert digests(made.run) == before


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=name, marks=pytest.mark.fault("fault", f"{name} of a whole run", "measured again"))
        for name, words in (
            ("--force", ["--force"]),
            ("--forcerun measure", ["--forcerun", "measure"]),
        )
    ],
)
def test_what_was_asked_for_again_is_measured_again(made: Workflow, words: list[str]) -> None:
    before = digests(made.run)
    ended, said = finished(made.start(*words))
    assert ended == 0, said
    after = digests(made.run)
    assert after.keys() == before.keys()
    assert not [name for name in after if after[name] == before[name]]
    assert not list(made.run.glob("old-*"))


@pytest.mark.fault("fault", "logs/ is on a full disk under Snakemake", "the run ends well, without its log")
def test_a_full_disk_under_logs(made: Workflow) -> None:
    logs = made.folder / "logs" / "cpu" / TASK
    mount = ["mount", "-t", "tmpfs", "none", str(logs), "-o", "size=8k"]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        (logs / "fill").write_bytes(bytes(os.statvfs(logs).f_bavail * os.statvfs(logs).f_frsize))
        ended, said = finished(made.start("--force"))
    finally:
        subprocess.run(["umount", "-l", logs], check=True)
    assert ended == 0, said
    assert (made.run / "run.json").exists()
    assert said.count("takes no more (No space left on device)") == 1
