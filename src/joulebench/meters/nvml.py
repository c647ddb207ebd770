"""NVIDIA GPUs through Zeus and NVML.

CUDA takes indices and UUIDs in CUDA_VISIBLE_DEVICES, and numbers the GPUs by speed unless CUDA_DEVICE_ORDER says
otherwise; NVML does not look at it; Zeus takes NVML's indices alone; vLLM names a file by it, and eight UUIDs are too
long a name. So both forms are understood, and NVML's indices are handed down, with CUDA told to number as NVML does.
"""

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from joulebench.meters.base import Gpu, NoMeterError
from joulebench.meters.gpus import Device, ZeusGpus, or_none
from joulebench.records.sources import NVML_COUNTER, NVML_POWER

VARIABLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
PROCESSES_EVERY = 50
"""Polls between two looks at the processes: one second."""

T = TypeVar("T")


class NvidiaDevice(Device):
    """`throttled` is slowing down for heat, by the hardware or by its power brake. Running at the power limit,
    `power_capped`, is not: that is how a GPU under load is meant to run. Processes are counted once a second.
    """

    counter, power = NVML_COUNTER, NVML_POWER
    _processes: int | None = None
    _polls = 0

    def state(self) -> dict[str, Any]:
        import pynvml

        handle = self.gpu.handle
        memory = _or_none(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
        reasons = _or_none(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        slowdowns = (
            pynvml.nvmlClocksThrottleReasonHwSlowdown
            | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
            | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
        )
        if self._polls % PROCESSES_EVERY == 0:
            self._processes = compute_processes(handle)
        self._polls += 1
        return {
            "temperature_c": _or_none(self.gpu.get_gpu_temperature),
            "clock_mhz": _or_none(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            "memory_used_mb": None if memory is None else memory.used / 1e6,
            "throttled": None if reasons is None else bool(reasons & slowdowns),
            "power_capped": None if reasons is None else bool(reasons & pynvml.nvmlClocksThrottleReasonSwPowerCap),
            "processes": self._processes,
        }


class Nvidia(ZeusGpus):
    """What `device: cuda` means. Indices are NVML's, which are by PCI bus; a UUID is `GPU-...`."""

    NAME, maker, device = "nvml", "NVIDIA", NvidiaDevice

    def variable(self) -> str:
        return VARIABLE

    def named(self) -> list[str] | None:
        """As gpus.ZeusGpus. A slice of a GPU is refused too."""
        words = super().named()
        if any(word.upper().startswith("MIG") for word in words or ()):
            value = os.environ[VARIABLE]
            raise NoMeterError(f"a MIG slice in {VARIABLE}={value}, whose energy cannot be told from its neighbours'")
        return words

    def see_only(self, gpus: Sequence[Gpu]) -> None:
        os.environ[VARIABLE] = ",".join(str(gpu.index) for gpu in gpus)
        os.environ[ORDER] = "PCI_BUS_ID"

    def installed(self) -> list[Gpu]:
        try:
            import pynvml
        except ImportError as error:
            raise NoMeterError(f"no NVML ({error})") from None
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NoMeterError(f"no NVIDIA driver on this machine ({error})") from None
        gpus: list[Gpu] = []
        closed: list[int] = []
        try:
            for index in range(pynvml.nvmlDeviceGetCount()):
                try:
                    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                except pynvml.NVMLError as error:
                    if error.value != pynvml.NVML_ERROR_NO_PERMISSION:
                        raise
                    closed.append(index)
                    continue
                gpus.append(Gpu(index, pynvml.nvmlDeviceGetUUID(handle)))
        except pynvml.NVMLError as error:
            raise self.unmeasured(error) from None
        finally:
            pynvml.nvmlShutdown()
        self.some(gpus)
        if closed and closed[0] < gpus[-1].index:  # CUDA does not count those, so that its numbers are not NVML's
            raise NoMeterError(f"GPU {closed[0]} closed to this job, and {gpus[-1].index}, behind it, open to it")
        return gpus

    def held_mb(self, processes: Collection[int]) -> float | None:
        import pynvml

        try:
            there = [one for gpu in self.opened() for one in _processes(gpu.handle) or ()]
        except (NoMeterError, pynvml.NVMLError):
            return None
        found = [one.usedGpuMemory for one in there if one.pid in processes]
        return None if not found or None in found else sum(found) / 1e6

    def facts_of(self, gpu: Any) -> dict[str, Any]:
        import pynvml

        handle = gpu.handle
        return {
            "name": gpu.get_name(),
            "uuid": pynvml.nvmlDeviceGetUUID(handle),
            "driver": pynvml.nvmlSystemGetDriverVersion(),
            "power_limit_w": _or_none(lambda: gpu.get_power_management_limit() / 1e3),
            "default_power_limit_w": _or_none(lambda: pynvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) / 1e3),
            "max_sm_clock_mhz": _or_none(lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            "max_memory_clock_mhz": _or_none(lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
            "memory_mb": _or_none(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).total / 1e6),
            "ecc": _or_none(lambda: bool(pynvml.nvmlDeviceGetEccMode(handle)[0])),
            "mig": _or_none(lambda: bool(pynvml.nvmlDeviceGetMigMode(handle)[0])),
            "persistence": _or_none(lambda: bool(pynvml.nvmlDeviceGetPersistenceMode(handle))),
            "compute_processes": compute_processes(handle) or 0,
        }


def compute_processes(handle: Any) -> int | None:
    """How many processes have a context on a GPU, those of other containers too; None where it cannot say."""
    found = _processes(handle)
    return None if found is None else len(found)


def _processes(handle: Any) -> Sequence[Any] | None:
    import pynvml

    return _or_none(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle))


def _or_none(call: Callable[[], T]) -> T | None:
    """What a call of NVML returns, or None where this GPU or its driver does not know it."""
    import pynvml

    return or_none(call, pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound)
