"""AMD GPUs under Zeus' own classes, with a driver that is made up: `DRIVER` stands in for AMD's library `amdsmi`.

It lists its cards in another order than HIP, as some machines do. No test of this file has seen a card.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import joulebench
from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.measure import devices
from joulebench.meters import GPUS, choose, opened
from joulebench.meters import gpus as common
from joulebench.meters.base import NoMeterError
from joulebench.meters.machine import MachineError, probe, require

zeus_gpu: Any = pytest.importorskip("zeus.device.gpu")
zeus_amd: Any = pytest.importorskip("zeus.device.gpu.amd")

AMD = GPUS["rocm"]
VARIABLES = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
NOT_SUPPORTED, NOT_INIT = 2, 32

DRIVER = """
import time
from types import SimpleNamespace

class AmdSmiException(Exception):
    pass

class AmdSmiLibraryException(AmdSmiException):
    def __init__(self, code):
        super().__init__(f"Error code: {code}")
        self.code = code
    def get_error_code(self):
        return self.code
    def get_error_info(self):
        return f"{self.code} |\\n of the made-up driver"

def card(hip):
    return SimpleNamespace(
        hip=hip, uuid=f"{hip}{hip}ff-0000", name="AMD Instinct MI300X", watts=100 * (hip + 1),
        instant=True, average=False, counter=1.0, partition="SPX", processes=[],
    )

cards = [card(2), card(0), card(1)]
AmdSmiInitFlags = SimpleNamespace(INIT_AMD_GPUS=2)

def known(value):
    if value is None:
        raise AmdSmiLibraryException(2)
    return value

def amdsmi_init(flags):
    pass

def amdsmi_shut_down():
    pass

def amdsmi_get_processor_handles():
    return list(range(len(cards)))

def amdsmi_get_gpu_enumeration_info(handle):
    return {"hip_id": cards[handle].hip}

def amdsmi_get_gpu_device_uuid(handle):
    return cards[handle].uuid

def amdsmi_get_gpu_asic_info(handle):
    return {"market_name": cards[handle].name}

def amdsmi_get_gpu_driver_info(handle):
    return {"driver_name": "amdgpu", "driver_version": "6.10.5"}

def amdsmi_get_power_cap_info(handle):
    return {"power_cap": 750_000_000, "min_power_cap": 0, "max_power_cap": 750_000_000}

def amdsmi_get_power_info(handle):
    one = cards[handle]
    return {
        "current_socket_power": one.watts if one.instant else "N/A",
        "average_socket_power": one.watts if one.average else "N/A",
    }

def amdsmi_get_energy_count(handle):
    one = cards[handle]
    energy_uj = time.monotonic() * one.watts * known(one.counter) * 1e6
    return {"energy_accumulator": energy_uj / 15.3, "counter_resolution": 15.3}

def amdsmi_get_gpu_vram_usage(handle):
    return {"vram_total": 196_592, "vram_used": 1000}

def amdsmi_get_gpu_compute_partition(handle):
    return known(cards[handle].partition)

def amdsmi_get_gpu_process_list(handle):
    return [{"pid": 1, "memory_usage": {"vram_mem": held}} for held in cards[handle].processes]
"""


@pytest.fixture(autouse=True)
def _given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says which GPUs; what a test or a measurement says of it is taken back."""
    for name in (*VARIABLES, "SLURM_JOB_ID", "JOULEBENCH_METERS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Of the driver, of Zeus' AMD classes and of the meter: only sleeping moves it."""
    now = SimpleNamespace(s=1000.0)

    def sleep(seconds: float) -> None:
        now.s += seconds

    time = SimpleNamespace(monotonic=lambda: now.s, sleep=sleep)
    for module in (zeus_amd, common):
        monkeypatch.setattr(module, "time", time)
    now.sleep, now.time = sleep, time
    return now


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace) -> Iterator[Any]:
    """The made-up driver; `by_hip` are its cards in HIP's order."""
    made: Any = ModuleType("amdsmi")
    exec(DRIVER, made.__dict__)
    made.time, made.by_hip = clock.time, sorted(made.cards, key=lambda card: card.hip)
    monkeypatch.setitem(sys.modules, "amdsmi", made)
    monkeypatch.setattr(zeus_amd, "amdsmi", made)
    monkeypatch.setattr(zeus_gpu, "_gpus", None)
    for module in ("zeus.device.gpu", "zeus.device.gpu.nvidia"):
        monkeypatch.setattr(f"{module}.nvml_is_available", lambda: False)
    zeus_amd.amdsmi_is_available.cache_clear()
    zeus_amd._hip_to_amdsmi_handle.cache_clear()
    yield made
    zeus_gpu._gpus = None
    gc.collect()  # Zeus shuts down the driver that it knows
    zeus_amd.amdsmi_is_available.cache_clear()
    zeus_amd._hip_to_amdsmi_handle.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "hips"),
    [
        ({}, [0, 1, 2]),
        ({"HIP_VISIBLE_DEVICES": "2"}, [2]),
        ({"HIP_VISIBLE_DEVICES": "2, 0"}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "1,2"}, [1, 2]),
        ({"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "1"}, [1]),
    ],
)
def test_what_a_process_may_use_is_said_in_hip_s_indices(
    driver: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], hips: list[int]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert [(gpu.index, gpu.uuid) for gpu in AMD.visible()] == [(hip, f"{hip}{hip}ff-0000") for hip in hips]
    assert [gpu["uuid"] for gpu in AMD.facts()] == [f"{hip}{hip}ff-0000" for hip in hips]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            {"ROCR_VISIBLE_DEVICES": "0"},
            "ROCR_VISIBLE_DEVICES, which Zeus does not read; unset it, and name the GPUs in H",
        ),
        ({"GPU_DEVICE_ORDINAL": "0", "HIP_VISIBLE_DEVICES": "0"}, "GPU_DEVICE_ORDINAL, which Zeus does not read"),
        (
            {"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"},
            "HIP_VISIBLE_DEVICES and CUDA_VISIBLE_DEVICES that differ",
        ),
        ({"HIP_VISIBLE_DEVICES": ""}, "no GPU, since HIP_VISIBLE_DEVICES is ''"),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, "a GPU named twice in CUDA_VISIBLE_DEVICES=1,1"),
        ({"HIP_VISIBLE_DEVICES": "3"}, r"no GPUs that are '3', as HIP_VISIBLE_DEVICES says, among 0 \(00ff-0000\), 1 "),
        ({"HIP_VISIBLE_DEVICES": "GPU-00ff"}, "no GPUs that are 'GPU-00ff'"),
        ({"SLURM_JOB_ID": "7"}, "no GPU given to this Slurm job, which has no HIP_VISIBLE_DEVICES"),
    ],
)
def test_what_could_mean_another_gpu_is_refused(
    driver: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], complaint: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for call in (AMD.visible, AMD.facts):
        with pytest.raises(NoMeterError, match=complaint) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_cards_that_cannot_be_told_apart_or_reached_are_refused(driver: Any) -> None:
    driver.by_hip[1].uuid = driver.by_hip[0].uuid
    with pytest.raises(NoMeterError, match="two GPUs of one UUID among 00ff-0000, 00ff-0000, 22ff-0000"):
        AMD.visible()
    driver.by_hip[1].hip = 5
    zeus_amd._hip_to_amdsmi_handle.cache_clear()
    with pytest.raises(NoMeterError, match=r"no GPU that AMDSMI can measure \(GPU with HIP index 1 not found"):
        AMD.visible()
    driver.cards.clear()
    for call in (AMD.visible, AMD.facts):
        with pytest.raises(NoMeterError, match="no GPU under this machine's AMD driver"):
            call()


@pytest.mark.slow
def test_the_counter_s_units_are_those_of_the_columns(driver: Any, clock: SimpleNamespace) -> None:
    meter = AMD.start(1)
    assert meter.sources == dict.fromkeys(("gpu:0", "gpu:1", "gpu:2"), "amdsmi_counter")
    before = list(meter.read())
    clock.sleep(2.0)
    after = list(meter.read())
    rises = [(last.energy_j or 0) - (first.energy_j or 0) for first, last in zip(before, after, strict=True)]
    assert rises == [pytest.approx(2 * watts, abs=0.01) for watts in (100, 200, 300)]
    assert [one.power_w for one in after] == [100.0, 200.0, 300.0]
    assert after[0].memory_used_mb == pytest.approx(1048.576)
    one = after[0]
    assert (one.temperature_c, one.clock_mhz, one.throttled, one.power_capped, one.processes) == (None,) * 5


def test_a_counter_that_zeus_finds_wrong_is_not_used(driver: Any, clock: SimpleNamespace) -> None:
    driver.by_hip[1].counter = 0.01
    meter = AMD.start(1)
    assert meter.sources == {"gpu:0": "amdsmi_counter", "gpu:1": "amdsmi_power", "gpu:2": "amdsmi_counter"}
    energies = []
    for watts, passed_s in ((100, 0.0), (200, 1.0), (400, 2.0)):
        clock.sleep(passed_s)
        driver.by_hip[1].watts = watts
        energies.append(list(meter.read())[1].energy_j)
    assert energies == [0.0, 150.0, 750.0]  # 1 s at 150 W on average, then 2 s at 300 W


def test_a_card_that_tells_its_average_power_alone(driver: Any) -> None:
    for card in driver.cards:
        card.instant, card.average = False, True
    driver.by_hip[0].counter = 0.01
    meter = AMD.start(1)
    assert meter.sources["gpu:0"] == "amdsmi_power"
    assert [one.power_w for one in meter.read()] == [100.0, 200.0, 300.0]


@pytest.mark.slow
def test_neither_counter_nor_power_is_one_line(driver: Any) -> None:
    driver.by_hip[2].instant = False  # without a power Zeus trusts no counter
    with pytest.raises(NoMeterError, match=r"^gpu:2 has neither an energy counter nor a power reading$"):
        AMD.start(1)


@pytest.mark.slow
def test_a_driver_without_the_counter_s_call_is_one_line(driver: Any) -> None:
    driver.by_hip[0].counter = None
    with pytest.raises(NoMeterError, match=r"^no GPU that AMDSMI can measure \(2 \| of the made-up driver\)$") as error:
        AMD.start(1)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_no_driver_is_one_line(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(flags: int) -> None:
        raise driver.AmdSmiLibraryException(NOT_INIT)

    monkeypatch.setattr(driver, "amdsmi_init", refuse)
    for call in (AMD.visible, AMD.facts):
        with pytest.raises(NoMeterError, match=r"^no AMD driver on this machine$"):
            call()
    zeus_amd.amdsmi_is_available.cache_clear()
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    with pytest.raises(MachineError) as error:
        probe("rocm", hardware_name="mi300x", reports_as="MI300X")
    assert str(error.value) == (
        "mi300x: needs a ROCm device that reports 'MI300X'; found no AMD driver on this machine; "
        "run on such a machine or build another hardware of the config"
    )
    (warning,) = choose("rocm", allow=["nvml", "amdsmi"]).warnings
    assert warning == "no energy source for the GPU: no AMD driver on this machine; energy columns will be empty"


@pytest.mark.slow
def test_a_driver_of_nvidia_beside_it_is_refused(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeus.device.gpu.nvidia.nvml_is_available", lambda: True)
    with pytest.raises(NoMeterError, match="an NVIDIA driver beside AMD's"):
        AMD.facts()


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"name": "AMD Instinct MI250X"}, {"partition": "CPX"}])
def test_a_part_of_a_card_is_refused(driver: Any, change: dict[str, str]) -> None:
    vars(driver.by_hip[2]).update(change)
    for call in (AMD.facts, lambda: AMD.start(1)):
        with pytest.raises(NoMeterError, match=r"a part of AMD Instinct MI.* cannot be told from the rest's"):
            call()


@pytest.mark.slow
def test_a_card_that_knows_no_partitions_is_whole(driver: Any) -> None:
    for card in driver.cards:
        card.partition = None
    assert len(AMD.facts()) == 3


@pytest.mark.slow
def test_facts_of_a_machine(driver: Any) -> None:
    assert choose("rocm", allow=["nvml", "amdsmi"]).meters == ("amdsmi",)
    machine = probe("rocm", opened("amdsmi", ["amdsmi"]))
    assert machine.device == "AMD Instinct MI300X"
    assert machine.devices[1] == {
        "name": "AMD Instinct MI300X",
        "uuid": "11ff-0000",
        "driver": "6.10.5",
        "power_limit_w": 750.0,
        "memory_mb": pytest.approx(196_592 * 1.048576),
        "compute_processes": 0,
    }
    assert machine.energy_sources == dict.fromkeys(("gpu:0", "gpu:1", "gpu:2"), "amdsmi_counter")
    require(machine, "mi300x", "rocm", "mi300x")
    with pytest.raises(MachineError, match="mi325x: needs a ROCm device that reports 'MI325X'; found 'AMD Instinct MI"):
        require(machine, "mi325x", "rocm", "MI325X")


@pytest.mark.slow
def test_a_servers_processes_are_no_others(driver: Any) -> None:
    machine = probe("rocm", opened("amdsmi", ["amdsmi"]))
    machine.devices[0]["compute_processes"] = 2
    require(machine, "mi300x", "rocm", None, 2)
    with pytest.raises(MachineError, match="mi300x: 1 other processes use AMD Instinct MI300X"):
        require(machine, "mi300x", "rocm", None, 1)


@pytest.mark.slow
def test_processes_with_memory_on_a_gpu_are_others(driver: Any) -> None:
    driver.by_hip[0].processes = [0]  # it may be shown on every GPU
    require(probe("rocm", opened("amdsmi", ["amdsmi"])), "mi300x", "rocm", None)
    driver.by_hip[1].processes = [0, 4096, 1]
    with pytest.raises(MachineError, match=r"2 other processes use AMD Instinct MI300X \(11ff-0000\)"):
        require(probe("rocm", opened("amdsmi", ["amdsmi"])), "mi300x", "rocm", None)


@pytest.mark.slow
def test_idle_power_by_counter_and_by_power(driver: Any, clock: SimpleNamespace) -> None:
    driver.by_hip[1].counter = 0.01
    began = clock.s
    idle = [gpu["idle_power_w"] for gpu in probe("rocm", opened("amdsmi", ["amdsmi"]), idle_s=10.0).devices]
    assert idle == [pytest.approx(watts, rel=1e-3) for watts in (100, 200, 300)]
    assert clock.s - began >= 10.0


@pytest.mark.slow
def test_fewer_than_needed_names_hip_s_variable(driver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec.model_construct(
        device="rocm", hardware="mi300x", model="m", variant=None, repeat=1, tensor_parallel=4
    )
    for value, found in ((None, "found 3 (HIP_VISIBLE_DEVICES is not set)"), ("0", "found 1 (HIP_VISIBLE_DEVICES=0)")):
        if value is not None:
            monkeypatch.setenv("HIP_VISIBLE_DEVICES", value)
        with pytest.raises(UserError) as error:
            devices.given(spec)
        assert f"mi300x: m needs 4 GPUs (tensor_parallel); {found}; ask Slurm" in str(error.value)


@pytest.mark.slow
def test_a_run_and_its_sampler_see_what_was_taken(tmp_path: Path) -> None:
    """Another process holds GPU 2; of those that were given the next two are left."""
    (tmp_path / "amdsmi.py").write_text(DRIVER)
    script = (
        "import json, os, sys, time\n"
        "from pathlib import Path\n"
        "import polars as pl\n"
        "from joulebench.config.spec import RunSpec\n"
        "from joulebench.measure import devices, locks\n"
        "from joulebench.meters import choose\n"
        "from joulebench.meters.machine import probe, require\n"
        "from joulebench.meters.sampling import Sampling\n"
        "locks.LOCKS = folder = Path(sys.argv[1])\n"
        "spec = RunSpec.model_construct(device='rocm', model='m', tensor_parallel=2)\n"
        "gpus = devices.given(spec)\n"
        "with locks.alone_on('22ff-0000'), devices.taken(spec, gpus):\n"
        "    chosen = choose('rocm', allow=['amdsmi'])\n"
        "    machine = probe('rocm', chosen)\n"
        "    require(machine, 'x', 'rocm', 'MI300X')\n"
        "    with Sampling.start(chosen.meters, folder) as sampling:\n"
        "        began = time.monotonic()\n"
        "        time.sleep(0.5)\n"
        "        energy = sampling.since(began, time.monotonic())\n"
        "rise = lambda name: pl.col(name).last() - pl.col(name).first()\n"
        "watts = energy.group_by('device').agg(rise('energy_j') / rise('time_s'))\n"
        "print(json.dumps([os.environ['HIP_VISIBLE_DEVICES'], os.environ['CUDA_VISIBLE_DEVICES'],\n"
        "    [gpu['uuid'] for gpu in machine.devices], sampling.sources, dict(watts.rows())]))\n"
    )
    source = str(Path(joulebench.__file__).parents[1])
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), source]), "HIP_VISIBLE_DEVICES": "2,1,0"}
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=os.environ | path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    hip, cuda, uuids, sources, watts = json.loads(run.stdout)
    assert (hip, cuda) == ("1,0", "1,0")
    assert uuids == ["11ff-0000", "00ff-0000"]
    assert sources == {"gpu:0": "amdsmi_counter", "gpu:1": "amdsmi_counter"}
    assert watts == {"gpu:0": pytest.approx(200, rel=0.05), "gpu:1": pytest.approx(100, rel=0.05)}
