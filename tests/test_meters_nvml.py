"""NVIDIA GPUs at Zeus' boundary: two GPUs that say what the tests tell them to say."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from joulebench.meters import GPUS, choose, opened
from joulebench.meters import gpus as common
from joulebench.meters.base import NoMeterError
from joulebench.meters.machine import MachineError, probe, require

pynvml: Any = pytest.importorskip("pynvml")
gpu_common: Any = pytest.importorskip("zeus.device.gpu.common")

THERMAL, POWER_CAP, IDLE = 0x20, 0x04, 0x01


@dataclass
class Gpu:
    handle: int
    counter_mj: int | None = 5_000_000
    power_mw: int | None = 321_500
    reasons: int = POWER_CAP
    name: str = "NVIDIA H100 80GB HBM3"
    mig: int = 0
    processes: list[object] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def supports_get_total_energy_consumption(self) -> bool:
        return self.counter_mj is not None

    def get_total_energy_consumption(self) -> int:
        return self._known(self.counter_mj)

    def get_instant_power_usage(self) -> int:
        return self._known(self.power_mw)

    def get_gpu_temperature(self) -> int:
        return 54

    def get_name(self) -> str:
        return self.name

    def get_power_management_limit(self) -> int:
        return 700_000

    def _known(self, value: int | None) -> int:
        if value is None:
            raise gpu_common.ZeusGPUNotSupportedError("Not Supported")
        return value


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[Gpu]:
    found = [Gpu(0), Gpu(1)]

    def clock(handle: int, kind: int) -> int:
        return {pynvml.NVML_CLOCK_SM: 1980 - handle, pynvml.NVML_CLOCK_MEM: 2619}[kind]

    monkeypatch.setattr("zeus.device.gpu.nvidia.nvml_is_available", lambda: True)
    monkeypatch.setattr("zeus.device.gpu.get_gpus", lambda: SimpleNamespace(gpus=found))
    memory = SimpleNamespace(used=12_345_600_000, total=85_520_809_984)
    for name, answer in {
        "nvmlDeviceGetMemoryInfo": lambda _: memory,
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: found[handle].reasons,
        "nvmlDeviceGetClockInfo": clock,
        "nvmlDeviceGetMaxClockInfo": clock,
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
        "nvmlSystemGetDriverVersion": lambda: "580.95.05",
        "nvmlDeviceGetPowerManagementDefaultLimit": lambda _: 700_000,
        "nvmlDeviceGetEccMode": lambda _: [1, 1],
        "nvmlDeviceGetMigMode": lambda handle: [found[handle].mig, 0],
        "nvmlDeviceGetPersistenceMode": lambda _: 1,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: found[handle].processes,
    }.items():
        monkeypatch.setattr(pynvml, name, answer)
    return found


def test_units_are_those_of_the_columns(gpus: list[Gpu]) -> None:
    meter = GPUS["cuda"].start(1)
    assert meter.sources == {"gpu:0": "nvml_counter", "gpu:1": "nvml_counter"}
    first, second = meter.read()
    assert (first.device, second.device) == ("gpu:0", "gpu:1")
    assert first.energy_j == 5000.0
    assert first.power_w == 321.5
    assert first.temperature_c == 54
    assert (first.clock_mhz, second.clock_mhz) == (1980, 1979)
    assert first.memory_used_mb == 12345.6


@pytest.mark.parametrize(("reasons", "throttled"), [(IDLE, False), (POWER_CAP, False), (THERMAL | POWER_CAP, True)])
def test_throttled_is_slowing_down_not_the_power_limit(gpus: list[Gpu], reasons: int, throttled: bool) -> None:
    gpus[0].reasons = reasons
    reading = next(GPUS["cuda"].start(1).read())
    assert (reading.throttled, reading.power_capped) == (throttled, reasons != IDLE)


def test_processes_are_counted_once_in_fifty_polls(gpus: list[Gpu]) -> None:
    meter = GPUS["cuda"].start(1)
    seen = []
    for poll in range(101):
        gpus[0].processes = [object()] * (poll + 1)
        seen.append(next(meter.read()).processes)
    assert seen == [1] * 50 + [51] * 50 + [101]


def test_what_processes_hold_is_summed_over_the_gpus(gpus: list[Gpu]) -> None:
    held = [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in ((7, 1_000_000), (8, 2_000_000), (9, None))]
    gpus[0].processes, gpus[1].processes = held[:2], held[1:]
    assert GPUS["cuda"].held_mb([7, 8]) == 5.0
    assert GPUS["cuda"].held_mb([7]) == 1.0
    assert GPUS["cuda"].held_mb([7, 9]) is None  # the driver does not say
    assert GPUS["cuda"].held_mb([1]) is None  # numbered in another way here


def test_without_a_counter_power_is_integrated(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus[1].counter_mj = None
    clock = iter([10.0, 11.0, 13.0])
    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    meter = GPUS["cuda"].start(1)
    assert meter.sources == {"gpu:0": "nvml_counter", "gpu:1": "nvml_power"}
    energies = []
    for power_mw in (100_000, 200_000, 400_000):
        gpus[1].power_mw = power_mw
        _, second = meter.read()
        assert second.source == "nvml_power"
        energies.append(second.energy_j)
    assert energies == [0.0, 150.0, 750.0]  # 1 s at 150 W on average, then 2 s at 300 W


def test_a_counter_that_is_not_supported_after_all_falls_back(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus[0].counter_mj = None
    monkeypatch.setattr(Gpu, "supports_get_total_energy_consumption", lambda _: True)
    assert GPUS["cuda"].start(1).sources["gpu:0"] == "nvml_power"


def test_what_a_gpu_does_not_know_is_null(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    gpus[0].power_mw = None
    for name in ("nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetMemoryInfo"):
        monkeypatch.setattr(pynvml, name, unknown)
    reading = next(GPUS["cuda"].start(1).read())
    assert reading.energy_j == 5000.0
    assert (reading.power_w, reading.clock_mhz, reading.throttled, reading.memory_used_mb) == (None,) * 4


def test_a_gpu_that_is_lost_is_an_error(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    meter = GPUS["cuda"].start(1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetClockInfo", lost)
    with pytest.raises(pynvml.NVMLError):
        next(meter.read())


def test_a_gpu_without_counter_and_power_is_no_meter(gpus: list[Gpu]) -> None:
    gpus[1].counter_mj = gpus[1].power_mw = None
    with pytest.raises(NoMeterError, match="gpu:1 has neither"):
        GPUS["cuda"].start(1)


def test_facts_of_a_machine_with_gpus(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOULEBENCH_METERS", raising=False)
    assert choose("cuda", allow=["nvml"]).meters == ("nvml",)
    machine = probe("cuda", opened("nvml", ["nvml"]))
    assert machine.device == "NVIDIA H100 80GB HBM3"
    assert machine.devices[1] == {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-1",
        "driver": "580.95.05",
        "power_limit_w": 700.0,
        "default_power_limit_w": 700.0,
        "max_sm_clock_mhz": 1979,
        "max_memory_clock_mhz": 2619,
        "memory_mb": 85520.809984,
        "ecc": True,
        "mig": False,
        "persistence": True,
        "compute_processes": 0,
    }
    assert machine.energy_sources == {"gpu:0": "nvml_counter", "gpu:1": "nvml_counter"}
    assert (machine.tdp_w, machine.tdp_source) == (None, None)
    require(machine, "h100", "cuda", "h100")


def test_a_slice_of_a_gpu_is_refused(gpus: list[Gpu]) -> None:
    gpus[1].mig = 1
    with pytest.raises(MachineError, match=r"h100: NVIDIA H100 80GB HBM3 is in MIG mode, .* measure on a whole GPU"):
        require(probe("cuda", opened("nvml", ["nvml"])), "h100", "cuda", "H100")


def test_a_gpu_that_others_use_is_refused(gpus: list[Gpu]) -> None:
    gpus[0].processes = [object(), object()]
    with pytest.raises(MachineError, match=r"h100: 2 other processes use NVIDIA H100 80GB HBM3 \(GPU-0\), .* wait for"):
        require(probe("cuda", opened("nvml", ["nvml"])), "h100", "cuda", "H100")


def test_idle_power_is_the_counter_s_rise_over_the_time(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        for place, gpu in enumerate(gpus):
            gpu.counter_mj = (gpu.counter_mj or 0) + round(seconds * 1000 * (71 + place))

    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    idle = [gpu["idle_power_w"] for gpu in probe("cuda", opened("nvml", ["nvml"]), idle_s=10.0).devices]
    assert idle == [pytest.approx(71.0), pytest.approx(72.0)]
    assert now[0] >= 10.0


def test_every_gpu_must_be_the_one_that_the_config_means(gpus: list[Gpu]) -> None:
    gpus[1].name = "NVIDIA A100-SXM4-80GB"
    with pytest.raises(MachineError) as error:
        require(probe("cuda", opened("nvml", ["nvml"])), "h100", "cuda", "H100")
    assert str(error.value) == (
        "h100: needs a CUDA device that reports 'H100'; found 'NVIDIA A100-SXM4-80GB'; "
        "run on such a machine or build another hardware of the config"
    )
