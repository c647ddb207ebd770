"""NVIDIA GPUs through Zeus and NVML.

Devices `gpu:0`.. are the GPUs that this process was given (`visible`), in that order.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from joulebench.meters.base import NoMeterError, Reading
from joulebench.meters.gpus import named, see_only, visible
from joulebench.records.sources import NVML_COUNTER, NVML_POWER

INTERVAL_S = 0.02
PROCESSES_EVERY = 50
"""Polls between two looks at the processes: one second."""

T = TypeVar("T")


class Nvml:
    """Energy by the GPU's own counter (`nvml_counter`), or by its instant power integrated (`nvml_power`).

    `throttled` is slowing down for heat, by the hardware or by its power brake. Running at the power limit,
    `power_capped`, is not: that is how a GPU under load is meant to run. Processes are counted once a second.
    """

    def __init__(self, gpus: Sequence[Any]) -> None:
        self._gpus = [_Gpu(f"gpu:{i}", gpu) for i, gpu in enumerate(gpus)]
        self.sources: dict[str, str | None] = {gpu.device: gpu.source for gpu in self._gpus}

    def read(self) -> Iterator[Reading]:
        for gpu in self._gpus:
            yield gpu.read()

    def close(self) -> None:
        """Zeus shuts NVML down when the interpreter exits."""


class _Gpu:
    def __init__(self, device: str, gpu: Any) -> None:
        self.device = device
        self._gpu = gpu
        counts = gpu.supports_get_total_energy_consumption()
        if counts and _or_none(gpu.get_total_energy_consumption) is not None:
            self.source = NVML_COUNTER.name
        elif _or_none(gpu.get_instant_power_usage) is not None:
            self.source = NVML_POWER.name
        else:
            raise NoMeterError(f"{device} has neither an energy counter nor a power reading")
        self._integral_j = 0.0
        self._last: tuple[float, float] | None = None
        self._processes: int | None = None
        self._polls = 0

    def read(self) -> Reading:
        import pynvml

        if self.source == NVML_COUNTER.name:
            energy_j = self._gpu.get_total_energy_consumption() / 1e3
            power_mw = _or_none(self._gpu.get_instant_power_usage)
            power_w = None if power_mw is None else power_mw / 1e3
        else:
            power_w = self._gpu.get_instant_power_usage() / 1e3
            energy_j = self._integrated_j(power_w)
        handle = self._gpu.handle
        memory = _or_none(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
        reasons = _or_none(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        slowdowns = (
            pynvml.nvmlClocksThrottleReasonHwSlowdown
            | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
        )
        return Reading(
            self.device,
            self.source,
            energy_j,
            power_w,
            temperature_c=_or_none(self._gpu.get_gpu_temperature),
            clock_mhz=_or_none(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            memory_used_mb=None if memory is None else memory.used / 1e6,
            throttled=None if reasons is None else bool(reasons & slowdowns),
            power_capped=None if reasons is None else bool(reasons & pynvml.nvmlClocksThrottleReasonSwPowerCap),
            processes=self._count_processes(),
        )

    def _count_processes(self) -> int | None:
        if self._polls % PROCESSES_EVERY == 0:
            self._processes = compute_processes(self._gpu.handle)
        self._polls += 1
        return self._processes

    def _integrated_j(self, power_w: float) -> float:
        """Trapezoids between the polls."""
        now = time.monotonic()
        if self._last is not None:
            last_s, last_w = self._last
            self._integral_j += (now - last_s) * (power_w + last_w) / 2
        self._last = now, power_w
        return self._integral_j


def start(engine_pid: int) -> Nvml:
    """Open the GPUs' meters. Raises NoMeterError where there is no NVIDIA driver, or no GPU that this process sees."""
    return Nvml(_gpus())


def facts() -> list[dict[str, Any]]:
    """What each GPU says of itself, in the order of the devices. Raises NoMeterError as `start` does."""
    return [_facts(gpu) for gpu in _gpus()]


def _facts(gpu: Any) -> dict[str, Any]:
    import pynvml

    return {
        "name": gpu.get_name(),
        "uuid": pynvml.nvmlDeviceGetUUID(gpu.handle),
        "driver": pynvml.nvmlSystemGetDriverVersion(),
        "power_limit_w": _watts(gpu.get_power_management_limit),
        "default_power_limit_w": _watts(lambda: pynvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu.handle)),
        "max_sm_clock_mhz": _or_none(lambda: pynvml.nvmlDeviceGetMaxClockInfo(gpu.handle, pynvml.NVML_CLOCK_SM)),
        "max_memory_clock_mhz": _or_none(lambda: pynvml.nvmlDeviceGetMaxClockInfo(gpu.handle, pynvml.NVML_CLOCK_MEM)),
        "memory_mb": _or_none(lambda: pynvml.nvmlDeviceGetMemoryInfo(gpu.handle).total / 1e6),
        "ecc": _mode(lambda: pynvml.nvmlDeviceGetEccMode(gpu.handle)[0]),
        "mig": _mode(lambda: pynvml.nvmlDeviceGetMigMode(gpu.handle)[0]),
        "persistence": _mode(lambda: pynvml.nvmlDeviceGetPersistenceMode(gpu.handle)),
        "compute_processes": compute_processes(gpu.handle) or 0,
    }


def compute_processes(handle: Any) -> int | None:
    """How many processes have a context on a GPU, those of other containers too; None where it cannot say."""
    import pynvml

    found = _or_none(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return None if found is None else len(found)


def idle_power_w(seconds: float) -> list[float]:
    """What each GPU draws on average over so long, in the order of the devices; nobody must be using them.

    From its energy counter where it has one; otherwise from its power readings, ten a second.
    Raises NoMeterError as `start` does.
    """
    meters = [_Gpu(f"gpu:{place}", gpu) for place, gpu in enumerate(_gpus())]
    began = time.monotonic()
    first = last = [meter.read().energy_j or 0.0 for meter in meters]
    while time.monotonic() - began < seconds:
        time.sleep(0.1)
        last = [meter.read().energy_j or 0.0 for meter in meters]
    passed = time.monotonic() - began
    return [(end - start) / passed for start, end in zip(first, last, strict=True)]


def _mode(call: Callable[[], int]) -> bool | None:
    mode = _or_none(call)
    return None if mode is None else bool(mode)


def _gpus() -> Sequence[Any]:
    try:
        from zeus.device.gpu import get_gpus
        from zeus.device.gpu.nvidia import nvml_is_available
        from zeus.exception import ZeusBaseError
    except ImportError as error:
        raise NoMeterError(f"no Zeus ({error})") from None
    if not nvml_is_available():
        raise NoMeterError("no NVIDIA driver on this machine")
    if named() is not None:
        see_only(visible())  # Zeus takes indices alone
    try:
        gpus: Sequence[Any] = get_gpus().gpus
    except (ZeusBaseError, ValueError) as error:
        raise NoMeterError(f"no GPU that NVML can measure ({' '.join(str(error).split())})") from None
    if not gpus:
        raise NoMeterError("no GPU under this machine's NVIDIA driver")
    return gpus


def _watts(call: Callable[[], float]) -> float | None:
    milliwatts = _or_none(call)
    return None if milliwatts is None else milliwatts / 1e3


def _or_none(call: Callable[[], T]) -> T | None:
    """What `call` returns, or None where this GPU or its driver does not know it."""
    import pynvml
    from zeus.device.gpu.common import ZeusGPUFunctionNotFoundError, ZeusGPUNotSupportedError

    unknown = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    try:
        return call()
    except (ZeusGPUNotSupportedError, ZeusGPUFunctionNotFoundError):
        return None
    except pynvml.NVMLError as error:
        if error.value in unknown:
            return None
        raise
