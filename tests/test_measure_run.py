"""Whole runs of the measuring script on a real engine, broken off in every way that happens."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
import yaml
from building import PROJECT, plain, prepare_tiny, tiny, wait_until

from joulebench import config
from joulebench.analysis.points import WantedRun, points
from joulebench.plan import Plan
from joulebench.records.files import read_parquet, read_run
from joulebench.records.schemas import ITERATIONS

SCRIPTS = PROJECT / "workflow" / "scripts"
TASK, MODEL = "llm-chat", "joulebench/llama-1m"


class Bench:
    """A folder in which one small run is measured again and again."""

    def __init__(
        self, folder: Path, shared: Path, environment: Mapping[str, str] | None = None, **changes: Any
    ) -> None:
        self.folder = folder
        self.environment = os.environ | (environment or {})
        raw = tiny()
        raw["tasks"][TASK]["sweep"] = {"batch_sizes": [1, 2, 3, 4], "protocol": {"kind": "timed", "seconds": 1.0}}
        for path, value in changes.items():
            *steps, last = path.split("__")
            block = raw
            for step in steps:
                block = block[step.replace("_", "-")]
            block[last] = value
        (folder / "config.yaml").write_text(yaml.safe_dump(raw))
        (folder / "results").mkdir()
        for part in ("prompts", "models"):
            (folder / "results" / part).symlink_to(shared / part)
        self.plan = Plan(config.load(folder / "config.yaml"))
        self.cell = self.plan.cell("cpu", TASK, "joulebench--llama-1m")
        self.run = folder / self.cell.folder

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(SCRIPTS / "measure.py"), "cpu", TASK, "joulebench--llama-1m", "run.log"]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment | environment, stderr=subprocess.PIPE, text=True
        )

    def finish(self, **environment: str) -> tuple[int, str]:
        process = self.start(**environment)
        said = process.communicate(timeout=120)[1]
        return process.returncode, said

    def samplers(self) -> list[int]:
        """Sampler processes that write into this run's folder."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            if "joulebench.meters.sampler" in (process.info["cmdline"] or []) and process.info["cwd"] == str(
                self.folder
            ):
                found.append(process.pid)
        return found

    def wait_for(self, process: "subprocess.Popen[str]", points_there: int) -> None:
        """Until so many points have ended and the sampler is at work."""

        def reached() -> bool:
            assert process.poll() is None, process.communicate()[1]
            return len(list(self.run.glob("points/[0-9]*"))) >= points_there and bool(self.samplers())

        wait_until(reached)

    def ended(self) -> dict[str, str]:
        """Digest of every file of every point that has ended."""
        files = sorted(self.run.glob("points/[0-9]*/*"))
        return {str(path.relative_to(self.run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def table(self) -> pl.DataFrame:
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return points([WantedRun(self.cell.folder, self.plan.spec(self.cell), None)])[0]
        finally:
            os.chdir(here)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Requests and model of the tiny config, made once."""
    results = tmp_path_factory.mktemp("prepared")
    prepare_tiny(TASK, results / "prompts" / f"{TASK}.parquet", results / "models" / "joulebench--llama-1m")
    return results


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = psutil.Process().children(recursive=True)  # of other tests, as warmed.serving's
    yield
    deadline = time.monotonic() + 5
    while left := [
        one
        for one in psutil.Process().children(recursive=True)
        if one not in before and one.status() != psutil.STATUS_ZOMBIE
    ]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


@pytest.mark.slow
def test_killed_at_several_moments_it_goes_on_at_the_first_unfinished_point(tmp_path: Path, prepared: Path) -> None:
    bench = Bench(tmp_path, prepared)
    before: dict[str, str] = {}
    for points_there, who in ((0, "measurement"), (1, "parent"), (3, "measurement")):
        process = bench.start()
        bench.wait_for(process, points_there)
        time.sleep(0.4)
        parent = psutil.Process(process.pid)
        (parent if who == "parent" else parent.children()[0]).kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        wait_until(lambda: not bench.samplers(), 20)
        assert not (bench.run / "run.json").exists()
        now = bench.ended()
        assert now.items() >= before.items(), "a finished point has changed"
        before = now
    code, said = bench.finish()
    assert code == 0, said
    assert "going on with the sweep" in said
    assert bench.ended().items() >= before.items()
    assert bench.table().select("max_batch_size", "status").rows() == [(b, "measured") for b in (1, 2, 3, 4)]
    assert sorted(path.name for path in bench.run.iterdir()) == [".lock", "points", "run.json", "start.json"]
    assert sorted(path.name for path in (bench.run / "points").iterdir()) == ["00-b1", "01-b2", "02-b3", "03-b4"]
    # Its run.json lost, it is whole again without measuring; asked to be measured again, as Snakemake does, it is.
    whole, record = bench.ended(), read_run(bench.run)
    (bench.run / "run.json").unlink()
    assert bench.finish()[0] == 0
    assert bench.ended() == whole
    again = read_run(bench.run)
    assert record.durations_s is not None
    assert again.durations_s == {part: record.durations_s[part] for part in ("engine_start", "first_call")}
    assert again.energies_j is not None
    assert again.energies_j["engine_start"] == record.energies_j["engine_start"]  # type: ignore[index]
    (bench.run / "start.json").write_text("{}")  # a damaged one tells nothing, and stops nothing
    (bench.run / "run.json").unlink()
    assert bench.finish()[0] == 0
    assert read_run(bench.run).durations_s is None
    (bench.run / "run.json").unlink()
    process = bench.start(JOULEBENCH_ANEW="measure")
    wait_until(lambda: (bench.run / "unfinished.json").exists())
    assert not bench.ended()
    assert len(list(bench.run.glob("old-*/points/03*"))) == 1
    process.terminate()
    assert process.wait(120) == 143
    assert bench.ended() == whole


@pytest.mark.slow
def test_a_run_ends_with_the_workflow_that_started_it(tmp_path: Path, prepared: Path) -> None:
    bench = Bench(tmp_path, prepared)
    command = [sys.executable, str(SCRIPTS / "measure.py"), "cpu", TASK, "joulebench--llama-1m", "run.log"]
    starter = f"import subprocess; subprocess.run({command!r}, cwd={str(tmp_path)!r})"
    parent = subprocess.Popen([sys.executable, "-c", starter], stderr=subprocess.DEVNULL)
    wait_until(bench.samplers)
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 20)
    wait_until(lambda: not bench.samplers(), 5)
    assert not (bench.run / "run.json").exists()


@pytest.mark.slow
def test_a_dead_sampler_fails_the_run(tmp_path: Path, prepared: Path) -> None:
    bench = Bench(tmp_path, prepared)
    process = bench.start()
    bench.wait_for(process, 1)
    for sampler in bench.samplers():
        os.kill(sampler, signal.SIGKILL)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "sampler" in said
    assert "Traceback" not in said
    statuses = [point["status"] for point in json.loads((bench.run / "run.json").read_text())["points"]]
    assert statuses[-1] == "failed"
    assert set(statuses[:-1]) == {"measured"}
    failed = bench.table().filter(pl.col("status") == "failed")
    assert failed.select("energy_per_response_j", "tpot_p50_s").row(0) == (None, None)
    kept = {name: digest for name, digest in bench.ended().items() if "00-b1" in name}
    code, said = bench.finish()
    assert code == 0, said
    assert bench.ended().items() >= kept.items()


@pytest.mark.slow
def test_a_full_cache_is_overloaded_and_ends_the_sweep(tmp_path: Path, prepared: Path) -> None:
    bench = Bench(
        tmp_path,
        prepared,
        tasks__llm_chat__sweep={"batch_sizes": [1, 32, 64], "protocol": {"kind": "fixed", "requests": 96}},
        engines__transformers={"kind": "transformers", "settings": {"num_blocks": 48}},
    )
    code, said = bench.finish()
    assert code == 0, said
    table = bench.table()
    assert table["status"].to_list() == ["measured", "overloaded"]
    assert "of 32 requests running on average while others wait" in table["reason"][1]
    iterations = read_parquet(bench.run / "points" / "01-b32" / "iterations.parquet", ITERATIONS)
    assert iterations["kv_cache_usage"].max() > 0.9


@pytest.mark.slow
def test_no_energy_source_leaves_latency_and_a_warning(tmp_path: Path, prepared: Path) -> None:
    bench = Bench(
        tmp_path,
        prepared,
        tasks__llm_chat__sweep={"batch_sizes": [2], "protocol": {"kind": "fixed", "requests": 16}},
    )
    code, said = bench.finish(JOULEBENCH_METERS="none", JOULEBENCH_PROC_STAT="/no/such/file")  # whoever else computes
    assert code == 0, said
    assert "JOULEBENCH_METERS says to measure with none" in said
    row = bench.table().row(0, named=True)
    assert row["tpot_p50_s"] > 0
    assert row["output_tokens_per_s"] > 0
    assert row["peak_memory_mb"] > 10
    energy = [name for name in row if "energy" in name or name in ("power_w", "integrated_power_ratio")]
    assert {row[name] for name in energy} == {None}
    assert row["reason"] == "no energy: nothing measures host"
    assert row["verdict"].startswith(("no energy: ", "flagged: "))


@pytest.mark.slow
def test_requests_or_a_model_made_under_another_config_are_refused(tmp_path: Path, prepared: Path) -> None:
    for change, complaint in (
        ({"tasks__llm_chat__sample": {"requests": 9, "seed": 0}}, "sampled under other settings of tasks.llm-chat"),
        ({"models__joulebench/llama_1m__seed": 5}, "made under another weights_seed than the config's"),
    ):
        folder = tmp_path / str(len(complaint))
        folder.mkdir()
        bench = Bench(folder, prepared, **change)
        code, said = bench.finish()
        assert code == 1
        assert complaint in said
        assert "delete it and give the same command again" in said
        assert not bench.run.exists()


@pytest.mark.slow
def test_hardware_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    raw = plain(PROJECT / "config.yaml")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "probe_machine.py"), "h100", "machine.json", "probe.log"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        pytest.skip("this machine has an H100")
    assert done.returncode == 1
    complaint = [line for line in done.stderr.splitlines() if "h100: needs" in line]
    assert len(complaint) == 1
    assert "'H100'" in complaint[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "machine.json").exists()
    assert complaint[0] in (tmp_path / "probe.log").read_text()
