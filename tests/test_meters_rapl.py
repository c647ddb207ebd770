"""RAPL through Zeus, on a powercap folder that the tests move, since few machines let them read a real one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from joulebench.meters import rapl
from joulebench.meters.base import MeterError, NoMeterError
from joulebench.meters.sampling import SamplerError, Sampling

zeus_rapl: Any = pytest.importorskip("zeus.device.cpu.rapl")
zeus_cpu: Any = pytest.importorskip("zeus.device.cpu")

RANGE_J = 1000


@dataclass
class Powercap:
    root: Path

    def zone(self, path: str, name: str, energy_j: float) -> None:
        folder = self.root / path
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_J * 10**6}\n")
        self.move(path, energy_j)

    def move(self, path: str, energy_j: float) -> None:
        aside = self.root / path / "aside"
        aside.write_text(f"{round(energy_j * 10**6)}\n")
        aside.replace(self.root / path / "energy_uj")


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Powercap]:
    """One processor at 900 J with its memory at 40 J, and the platform's zone, which holds both."""
    folder = Powercap(tmp_path / "intel-rapl")
    folder.zone("intel-rapl:0", "package-0", 900)
    folder.zone("intel-rapl:0/intel-rapl:0:0", "core", 500)
    folder.zone("intel-rapl:0/intel-rapl:0:1", "dram", 40)
    folder.zone("intel-rapl:1", "psys", 2000)
    monkeypatch.setattr(zeus_rapl, "RAPL_DIR", str(folder.root))
    monkeypatch.setattr(zeus_cpu, "_cpus", None)
    zeus_rapl.rapl_is_available.cache_clear()
    yield folder
    for cpu in zeus_cpu._cpus.cpus if zeus_cpu._cpus else ():
        for zone in (cpu.rapl_file, cpu.dram):
            if zone is not None and zone._wraparound_tracker is not None:
                zone._wraparound_tracker._stop()
    zeus_rapl.rapl_is_available.cache_clear()


@pytest.fixture
def elsewhere(powercap: Powercap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Powercap:
    """The same folder, for processes that are started."""
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        f"import zeus.device.cpu.rapl\nzeus.device.cpu.rapl.RAPL_DIR = {str(powercap.root)!r}\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(patch), os.environ.get("PYTHONPATH", "")]))
    return powercap


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _energies(meter: rapl.Rapl) -> dict[str, float | None]:
    return {reading.device: reading.energy_j for reading in meter.read()}


def test_package_and_memory_in_joules_and_the_platform_left_out(powercap: Powercap) -> None:
    meter = rapl.start(os.getpid())
    assert meter.sources == {"cpu:0": "rapl", "dram:0": "rapl"}
    readings = list(meter.read())
    assert [(one.device, one.source, one.energy_j) for one in readings] == [
        ("cpu:0", "rapl", 900.0),
        ("dram:0", "rapl", 40.0),
    ]
    assert readings[0].memory_used_mb == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.5)
    assert readings[1].memory_used_mb is None
    powercap.move("intel-rapl:0", 903.5)
    assert _energies(meter) == {"cpu:0": 903.5, "dram:0": 40.0}


@pytest.mark.slow
def test_a_wrap_around_adds_the_range(powercap: Powercap) -> None:
    meter = rapl.start(os.getpid())
    tracker = zeus_cpu.get_cpus().cpus[0].rapl_file.wraparound_tracker
    powercap.move("intel-rapl:0", 950)
    seen, give_up = 0, time.monotonic() + 30
    while seen == 0 and time.monotonic() < give_up:  # until Zeus' process looks
        for energy_j in (950, 940):
            powercap.move("intel-rapl:0", energy_j)
            time.sleep(0.3)
        seen = tracker.get_num_wraparounds()
    assert seen > 0
    time.sleep(0.5)
    before_j = _energies(meter)["cpu:0"]
    assert before_j is not None
    powercap.move("intel-rapl:0", 20)
    after_j: list[float | None] = []
    while not after_j and time.monotonic() < give_up:
        after_j += [one.energy_j for one in meter.read() if one.device == "cpu:0"]
        time.sleep(0.01)
    assert after_j == [pytest.approx(before_j + 80, abs=1e-6)]  # 940 to 1000, and 20 more


def test_a_counter_that_goes_back_and_does_not_wrap_is_an_error(
    powercap: Powercap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rapl, "UNSEEN_WRAP_S", 0.1)
    meter = rapl.start(os.getpid())
    assert _energies(meter)["cpu:0"] == 900.0
    tracker = zeus_cpu.get_cpus().cpus[0].rapl_file.wraparound_tracker
    tracker.process.terminate()
    tracker.process.join()
    powercap.move("intel-rapl:0", 890)
    assert "cpu:0" not in _energies(meter)
    time.sleep(0.15)
    with pytest.raises(MeterError, match=r"cpu:0 went back from 900\.000 to 890\.000 J"):
        list(meter.read())


def test_unreadable_counters_say_why(powercap: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(zeus_rapl.RAPLFile):  # type: ignore[misc]
        def __init__(self, path: str) -> None:
            raise zeus_rapl.cpu_common.ZeusCPUNoPermissionError("Can't read file due to permission error")

    monkeypatch.setattr(zeus_rapl, "RAPLFile", Refused)
    with pytest.raises(NoMeterError, match=r"permission denied: run as root or make energy_uj readable"):
        rapl.start(os.getpid())


def test_no_counters_say_so(powercap: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAPL_DIR", "CONTAINER_RAPL_DIR"):
        monkeypatch.setattr(zeus_rapl, name, str(powercap.root / "absent"))
    with pytest.raises(NoMeterError, match="no RAPL on this machine"):
        rapl.start(os.getpid())


@pytest.mark.slow
def test_the_sampler_takes_the_counters_and_ends_zeus_processes(elsewhere: Powercap, tmp_path: Path) -> None:
    with Sampling.start(["rapl"], tmp_path / "files") as sampling:
        helpers = psutil.Process(sampling.pid).children(recursive=True)
        assert len(helpers) >= 2  # one that counts wrap-arounds for each counter
        time.sleep(0.2)
        begin = time.monotonic()
        elsewhere.move("intel-rapl:0", 912.5)
        elsewhere.move("intel-rapl:0/intel-rapl:0:1", 41.25)
        time.sleep(0.5)
        frame = sampling.since(begin, time.monotonic())
        now_j = sampling.now().energy_j
    cpu, dram = (frame.filter(device=device)["energy_j"] for device in ("cpu:0", "dram:0"))
    assert (cpu[0], cpu[-1], dram[0], dram[-1]) == (0.0, 12.5, 0.0, 1.25)
    assert now_j == 13.75
    assert not [one for one in helpers if _runs(one)]


@pytest.mark.slow
def test_a_counter_that_stands_still_is_no_measurement(elsewhere: Powercap, tmp_path: Path) -> None:
    with Sampling.start(["rapl"], tmp_path / "files") as sampling:
        begin = time.monotonic()
        time.sleep(2.2)
        with pytest.raises(SamplerError, match=r"energy of cpu:0 \(rapl\) did not move in 2\.\d s"):
            sampling.since(begin, time.monotonic())


@pytest.mark.slow
def test_a_killed_parent_leaves_no_process_of_zeus(elsewhere: Powercap, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from joulebench.meters.sampling import Sampling\n"
        "print(Sampling.start(['rapl'], Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "files")], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    sampler = psutil.Process(int(parent.stdout.readline()))
    family = [sampler, *sampler.children(recursive=True)]
    assert len(family) >= 3
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    give_up = time.monotonic() + 2.0
    left = family
    while left and time.monotonic() < give_up:
        left = [one for one in left if _runs(one)]
        time.sleep(0.02)
    assert left == []
