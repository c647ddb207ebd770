"""AMD GPUs through Zeus and AMD SMI: written against Zeus' interface and a made-up driver, not run on a card.

Zeus takes HIP's indices, out of HIP_VISIBLE_DEVICES or else CUDA_VISIBLE_DEVICES, as HIP does. Two more variables
renumber the GPUs below HIP, and Zeus does not read them: a run under one of those is refused. The temperature stays
null, since AMD SMI tells it in degrees and Zeus takes them for thousandths.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from joulebench.meters.base import Gpu, NoMeterError
from joulebench.meters.gpus import Device, ZeusGpus, or_none
from joulebench.records.sources import AMDSMI_COUNTER, AMDSMI_POWER

VARIABLES = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
RENUMBERING = ("ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
MIB = 1.048576
"""In MB."""


class AmdDevice(Device):
    """Zeus holds the counter against the power for half a second, and does without where it is ten times off.

    Clock, throttling and processes stay null: for the first two Zeus has no call, and of the processes AMD SMI may
    hide other users' and show one on every GPU.
    """

    counter, power = AMDSMI_COUNTER, AMDSMI_POWER
    power_calls = ("get_instant_power_usage", "get_average_power_usage")

    def state(self) -> dict[str, Any]:
        return {"memory_used_mb": _memory_mb(self.gpu.handle, "vram_used")}


class Amd(ZeusGpus):
    """What `device: rocm` means. Indices are HIP's."""

    NAME, maker, device = "amdsmi", "AMD", AmdDevice

    def variable(self) -> str:
        hip, cuda = VARIABLES
        return cuda if cuda in os.environ and hip not in os.environ else hip

    def named(self) -> list[str] | None:
        """As gpus.ZeusGpus. What HIP and Zeus would read differently is refused."""
        for name in RENUMBERING:
            if name in os.environ:
                raise NoMeterError(f"{name}, which Zeus does not read; unset it, and name the GPUs in {VARIABLES[0]}")
        if len({os.environ[name] for name in VARIABLES if name in os.environ}) > 1:
            raise NoMeterError(f"{' and '.join(VARIABLES)} that differ; set one of them")
        return super().named()

    def see_only(self, gpus: Sequence[Gpu]) -> None:
        for name in VARIABLES:  # vLLM wants both alike
            os.environ[name] = ",".join(str(gpu.index) for gpu in gpus)

    def installed(self) -> list[Gpu]:
        self.driver()
        from zeus.device.gpu.amd import AMDGPU
        from zeus.exception import ZeusBaseError

        smi = _smi()  # it stays open: Zeus keeps its handles
        try:
            count = len(smi.amdsmi_get_processor_handles())
            gpus = [Gpu(hip, smi.amdsmi_get_gpu_device_uuid(AMDGPU(hip).handle)) for hip in range(count)]
        except (ZeusBaseError, smi.AmdSmiLibraryException, LookupError, AttributeError) as error:
            raise self.unmeasured(error) from None
        self.some(gpus)
        if len({gpu.uuid for gpu in gpus}) < len(gpus):
            raise NoMeterError(f"two GPUs of one UUID among {', '.join(gpu.uuid for gpu in gpus)}")
        return gpus

    def opened(self) -> Sequence[Any]:
        """As gpus.ZeusGpus. Refuses parts of a card, and a machine with NVIDIA's driver, whose GPUs Zeus prefers."""
        self.driver()
        from zeus.device.gpu.nvidia import nvml_is_available

        if nvml_is_available():
            raise NoMeterError("an NVIDIA driver beside AMD's, and Zeus reads NVIDIA's GPUs then")
        gpus = super().opened()
        for gpu in gpus:
            name, part = gpu.get_name(), _or_none(_smi().amdsmi_get_gpu_compute_partition, gpu.handle)
            if "MI250" in name or part not in (None, "N/A", "SPX"):
                raise NoMeterError(f"a part of {name} (partition {part}), whose energy cannot be told from the rest's")
        return gpus

    def facts_of(self, gpu: Any) -> dict[str, Any]:
        """`compute_processes`: those that AMD SMI shows with memory on this GPU."""
        smi, handle = _smi(), gpu.handle
        driver = _or_none(smi.amdsmi_get_gpu_driver_info, handle)
        processes = _or_none(smi.amdsmi_get_gpu_process_list, handle) or []
        return {
            "name": gpu.get_name(),
            "uuid": smi.amdsmi_get_gpu_device_uuid(handle),
            "driver": driver and driver["driver_version"],
            "power_limit_w": or_none(lambda: gpu.get_power_management_limit() / 1e3),
            "memory_mb": _memory_mb(handle, "vram_total"),
            "compute_processes": sum(one["memory_usage"]["vram_mem"] > 0 for one in processes),
        }


def _smi() -> Any:
    """AMD SMI as Zeus has imported it, for what Zeus has no call of."""
    from zeus.device.gpu import amd

    return amd.amdsmi


def _memory_mb(handle: Any, which: str) -> float | None:
    usage = _or_none(_smi().amdsmi_get_gpu_vram_usage, handle)
    return None if usage is None else usage[which] * MIB


def _or_none(call: Callable[[Any], Any], handle: Any) -> Any:
    return or_none(lambda: call(handle), _smi().AmdSmiLibraryException)
