"""Which GPUs a run takes, and that two runs never meet on one: real processes, real locks, a driver that is made up.

`DRIVER` puts three GPUs under the real Zeus and NVML bindings; the second draws twice the first's power, and so on.
"""

import json
import logging
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from joulebench.config.spec import RunSpec
from joulebench.measure import devices
from joulebench.measure import locks as holding
from joulebench.meters.base import Gpu
from joulebench.meters.machine import MachineError

pynvml: Any = pytest.importorskip("pynvml")

DRIVER = """
import time
from types import SimpleNamespace
import pynvml

def unknown(*_):
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
for name in dir(pynvml):
    if name.startswith("nvmlDeviceGet"):
        setattr(pynvml, name, unknown)
pynvml.nvmlInit = pynvml.nvmlShutdown = lambda: None
pynvml.nvmlSystemGetDriverVersion = lambda: "580.95.05"
pynvml.nvmlDeviceGetCount = lambda: 3
pynvml.nvmlDeviceGetHandleByIndex = lambda index: range(3)[index]
pynvml.nvmlDeviceGetUUID = lambda index: f"GPU-{index}{index}"
pynvml.nvmlDeviceGetName = lambda index: "NVIDIA H100 80GB HBM3"
pynvml.nvmlDeviceGetArchitecture = lambda index: pynvml.NVML_DEVICE_ARCH_HOPPER
pynvml.nvmlDeviceGetMemoryInfo = lambda index: SimpleNamespace(used=1e9, total=80e9)
pynvml.nvmlDeviceGetTemperature = lambda *_: 40
pynvml.nvmlDeviceGetTemperatureV = lambda *_: 40
pynvml.nvmlDeviceGetTotalEnergyConsumption = lambda index: int(time.monotonic() * 1000 * 100 * (index + 1))
"""

TAKE = """
import json, logging, os, sys, time
from pathlib import Path
import polars as pl
from joulebench.measure import devices
from joulebench.measure import locks
from joulebench.config.spec import RunSpec

locks.LOCKS = Path(sys.argv[1])
logging.basicConfig(format="%(message)s", level=logging.INFO)
spec = RunSpec.model_construct(
    device="cuda", hardware="h100", model="m", variant=None, repeat=1, tensor_parallel=int(sys.argv[2])
)
gpus = devices.given(spec)
"""

HOLD = """
import sys, time
from pathlib import Path
from joulebench.measure import locks

locks.LOCKS = Path(sys.argv[1])
for _ in range(int(sys.argv[3])):
    with locks.alone_on_some(["GPU-a", "GPU-b"], int(sys.argv[2]), every_s=0.001) as mine:
        print("held", flush=True)
        began = time.monotonic()
        time.sleep(float(sys.argv[4]))
        for device in mine:
            print(device, began, time.monotonic(), flush=True)
"""


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    place = tmp_path / "locks"
    place.mkdir()
    return place


@pytest.fixture
def driver(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with three GPUs."""
    place = tmp_path / "driver"
    place.mkdir()
    (place / "sitecustomize.py").write_text(DRIVER)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CUDA_", "SLURM_", "JOULEBENCH"))}
    source = str(Path(devices.__file__).parents[2])
    return kept | {"PYTHONPATH": os.pathsep.join([str(place), source])}


@pytest.fixture(autouse=True)
def _given(monkeypatch: pytest.MonkeyPatch) -> None:
    """As this machine gives them; and what a test changes of it is put back."""
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def python(script: str, *words: object, env: "dict[str, str] | None" = None) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def said(process: "subprocess.Popen[str]") -> str:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out


def spec(needed: int) -> RunSpec:
    return RunSpec.model_construct(
        device="cuda", hardware="h100", model="owner/m", variant=f"tp{needed}", repeat=1, tensor_parallel=needed
    )


@pytest.mark.slow
def test_jobs_never_meet_on_a_device(locks: Path) -> None:
    jobs = [python(HOLD, locks, needed, times, 0.01) for needed, times in ((1, 20), (1, 20), (1, 20), (2, 10))]
    held = [[line.split() for line in said(job).splitlines() if line != "held"] for job in jobs]
    assert [len(lines) for lines in held] == [20, 20, 20, 2 * 10]
    for device in ("GPU-a", "GPU-b"):
        spans = sorted((float(began), float(ended)) for lines in held for name, began, ended in lines if name == device)
        assert len(spans) >= 10
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
    small = sorted((float(began), float(ended)) for lines in held[:3] for _, began, ended in lines)
    assert any(after[0] < before[1] for before, after in pairwise(small)), "one after another, as on a single device"


def test_who_needs_more_than_is_free_waits_and_holds_nothing(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "LOCKS", locks)
    with holding.alone_on_some(["GPU-a", "GPU-b"], 1) as mine:
        assert mine == ["GPU-a"]
        both = python(HOLD, locks, 2, 1, 0)
        time.sleep(0.3)
        assert both.poll() is None
        with holding.alone_on_some(["GPU-a", "GPU-b"], 1) as other:
            assert other == ["GPU-b"]
    assert [line.split()[0] for line in said(both).splitlines()] == ["held", "GPU-a", "GPU-b"]


def test_one_process_at_a_time_chooses(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two that want both GPUs may each take one of them, and give it back, again and again."""
    monkeypatch.setattr(holding, "LOCKS", locks)
    with holding.alone_on("choosing"):
        job = python(HOLD, locks, 2, 1, 0)
        time.sleep(0.3)
        assert job.poll() is None
        free = time.monotonic()
    assert all(float(began) >= free for _, began, _ in map(str.split, said(job).splitlines()[1:]))


def test_a_killed_holder_holds_nothing(
    locks: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(holding, "LOCKS", locks)
    holder = python(HOLD, locks, 2, 1, 60)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(time, "sleep", lambda _: (holder.kill(), holder.wait()))
    with caplog.at_level(logging.INFO), holding.alone_on_some(["GPU-a", "GPU-b"], 1) as mine:
        assert mine == ["GPU-a"]
    holder.kill()
    holder.communicate()
    assert "1 of 2 GPUs wanted, 0 free; waiting for other measurements to end (locks: " in caplog.text
    assert caplog.text.count("waiting") == 1


@pytest.mark.slow
def test_a_cpu_is_one_device_and_no_gpu_is_looked_at(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "LOCKS", locks)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1")
    cpu = RunSpec.model_construct(device="cpu", tensor_parallel=1)
    script = TAKE.replace('"cuda"', '"cpu"') + "with devices.taken(spec, gpus):\n    print(time.monotonic())"
    with devices.taken(cpu, devices.given(cpu)):
        second = python(script, locks, 1)
        while "waiting" not in (second.stderr.readline() if second.stderr else ""):
            assert second.poll() is None
        free = time.monotonic()
    assert float(said(second)) >= free
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-1"
    assert [path.name for path in locks.iterdir()] == [f"joulebench-{os.getuid()}-cpu.lock"]


@pytest.mark.parametrize(
    ("value", "needed", "found"),
    [
        ("0", 2, "found 1 (CUDA_VISIBLE_DEVICES=0)"),
        ("GPU-ab,GPU-cd", 4, "found 2 (CUDA_VISIBLE_DEVICES=GPU-ab,GPU-cd)"),
        ("", 1, "found no GPU, since CUDA_VISIBLE_DEVICES is '' (CUDA_VISIBLE_DEVICES=)"),
        ("MIG-1,MIG-2", 2, "found a MIG slice in CUDA_VISIBLE_DEVICES=MIG-1,MIG-2, whose energy"),
    ],
)
def test_fewer_than_the_model_is_spread_over_is_one_line_before_the_driver_is_asked(
    monkeypatch: pytest.MonkeyPatch, value: str, needed: int, found: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: pytest.fail("asked"))
    with pytest.raises(MachineError) as error:
        devices.given(spec(needed))
    line = str(error.value)
    assert line.startswith(f"h100: owner--m+tp{needed} needs {needed} GPU")
    assert found in line
    assert f"; ask Slurm for {needed} (the gpu resource, --gpus or --gres), or run where there are {needed}" in line
    assert "\n" not in line


@pytest.mark.slow
def test_engine_sampler_and_records_see_what_was_taken(locks: Path, driver: dict[str, str], tmp_path: Path) -> None:
    """GPU 2 is taken by another; of UUIDs in an order of their own the next two are left."""
    script = TAKE + (
        "from joulebench.meters import opened\nfrom joulebench.meters.machine import probe, require\n"
        "from joulebench.meters.sampling import Sampling\n"
        "with devices.taken(spec, gpus):\n"
        "    machine = probe('cuda', opened('nvml', ['nvml']))\n"
        "    require(machine, 'h100', 'cuda', 'H100')\n"
        "    with Sampling.start(['nvml'], Path(sys.argv[3])) as sampling:\n"
        "        began = time.monotonic()\n"
        "        time.sleep(0.5)\n"
        "        energy = sampling.since(began, time.monotonic())\n"
        "rise = lambda name: pl.col(name).last() - pl.col(name).first()\n"
        "watts = energy.group_by('device').agg(rise('energy_j') / rise('time_s'))\n"
        "print(json.dumps([os.environ['CUDA_VISIBLE_DEVICES'], os.environ['CUDA_DEVICE_ORDER'],\n"
        "    [gpu['uuid'] for gpu in machine.devices], sampling.sources, dict(watts.rows())]))\n"
    )
    other = python(HOLD.replace('"GPU-a", "GPU-b"', '"GPU-22"'), locks, 1, 1, 60)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    run = python(script, locks, 2, tmp_path, env=driver | {"CUDA_VISIBLE_DEVICES": "GPU-22,GPU-11,GPU-0"})
    seen, order, uuids, sources, watts = json.loads(said(run))
    other.kill()
    other.communicate()
    assert (seen, order) == ("1,0", "PCI_BUS_ID")
    assert uuids == ["GPU-11", "GPU-00"]
    assert sources == {"gpu:0": "nvml_counter", "gpu:1": "nvml_counter"}
    assert watts == {"gpu:0": pytest.approx(200, rel=0.05), "gpu:1": pytest.approx(100, rel=0.05)}


@pytest.mark.slow
def test_the_probe_of_a_machine_describes_all_that_is_visible(driver: dict[str, str]) -> None:
    script = (
        "from joulebench.meters import opened\nfrom joulebench.meters.machine import probe\n"
        "print(*(gpu['uuid'] for gpu in probe('cuda', opened('nvml', ['nvml'])).devices))"
    )
    jobs = {
        "GPU-00 GPU-11 GPU-22": python(script, env=driver),
        "GPU-22 GPU-00": python(script, env=driver | {"CUDA_VISIBLE_DEVICES": "GPU-2,0"}),
    }
    for uuids, job in jobs.items():
        assert said(job).split() == uuids.split()


@pytest.mark.slow
def test_more_runs_than_gpus_each_have_their_own(locks: Path, driver: dict[str, str]) -> None:
    script = TAKE + (
        "with devices.taken(spec, gpus):\n"
        "    began = time.monotonic()\n"
        "    time.sleep(0.3)\n"
        "    print(json.dumps([os.environ['CUDA_VISIBLE_DEVICES'], began, time.monotonic()]))\n"
    )
    given = driver | {"CUDA_VISIBLE_DEVICES": "0,2"}
    runs = [json.loads(said(job)) for job in [python(script, locks, 1, env=given) for _ in range(3)]]
    assert {device for device, _, _ in runs} == {"0", "2"}
    for device in ("0", "2"):
        spans = sorted((began, ended) for name, began, ended in runs if name == device)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.slow
def test_fewer_than_needed_in_the_machine_is_one_line_too(locks: Path, driver: dict[str, str]) -> None:
    job = python(TAKE, locks, 4, env=driver)
    _, errors = job.communicate(timeout=60)
    assert "h100: m needs 4 GPUs (tensor_parallel); found 3 (CUDA_VISIBLE_DEVICES is not set); ask Slurm" in errors


def test_the_last_process_of_the_run_before_is_waited_for(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "LOCKS", locks)
    left = [2, 1, 0]
    monkeypatch.setattr(devices.GPUS["cuda"], "facts", lambda: [{"compute_processes": left.pop(0)}])
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with devices.taken(spec(1), [Gpu(5, "GPU-a")]):
        assert left == []
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    monkeypatch.setattr(devices.GPUS["cuda"], "facts", lambda: [{"compute_processes": 1}])
    monkeypatch.setattr(devices, "LEAVING_S", 0.05)
    with devices.taken(spec(1), [Gpu(5, "GPU-a")]):
        pass  # somebody else's: the run's own look at the machine refuses that
