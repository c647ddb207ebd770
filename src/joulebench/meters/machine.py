"""What the measuring machine is, and whether it is the one that the config means."""

import os
import platform
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from joulebench.errors import UserError
from joulebench.meters import GPUS, Chosen, choose, codecarbon
from joulebench.meters.base import NoMeterError
from joulebench.names import Device
from joulebench.records.models import Machine

NEEDED: Final[dict[str, str]] = {"cpu": "a CPU", "cuda": "a CUDA device", "rocm": "a ROCm device"}


class MachineError(UserError):
    """This machine is not the one that the config names."""


def probe(
    device: Device,
    chosen: Chosen | None = None,
    *,
    hardware_name: str = "cuda",
    reports_as: str | None = None,
    idle_s: float = 0.0,
) -> Machine:
    """The facts of this machine. Takes seconds on a CPU, whose TDP CodeCarbon looks up.

    With `idle_s`, each GPU's facts hold what it draws over so many seconds in which nothing is asked of it.
    `chosen`: the meters that will run; by default `choose(device)`. `hardware_name` and `reports_as` only word the
    error: raises MachineError where `device` is of GPUs and this process sees no GPU.
    """
    devices: list[dict[str, Any]] = []
    tdp_w = tdp_source = None
    cpu = _cpu_model()
    if device in GPUS:
        try:
            devices = GPUS[device].facts()
            if idle_s:
                idle_w = GPUS[device].idle_power_w(idle_s)
                devices = [gpu | {"idle_power_w": round(watts, 2)} for gpu, watts in zip(devices, idle_w, strict=True)]
        except NoMeterError as error:
            raise _wrong(hardware_name, device, reports_as, str(error)) from None
        name = " + ".join(dict.fromkeys(str(gpu["name"]) for gpu in devices))
    else:
        name = cpu
        with suppress(NoMeterError):
            tdp = codecarbon.tdp()
            tdp_w, tdp_source = tdp.total_w, tdp.source
    return Machine(
        host=socket.gethostname(),
        cpu=cpu,
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total / 1e6,
        device=name,
        devices=devices,
        tdp_w=tdp_w,
        tdp_source=tdp_source,
        energy_sources=dict((chosen or choose(device)).sources),
    )


def require(machine: Machine, hardware_name: str, device: str, reports_as: str | None, server: int = 0) -> None:
    """Raise MachineError unless `machine` is what the config says of `hardware_name`.

    No GPU may be in MIG mode, or have another process on it than the measured server's, of which there are `server`.
    Every GPU that this process sees must carry `reports_as` in its name, in any case; on a CPU its model must.
    """
    if device in GPUS and not machine.devices:
        raise _wrong(hardware_name, device, reports_as, "no GPU on this machine")
    if others := machine.others(reports_as):
        raise _wrong(hardware_name, device, reports_as, " and ".join(f"'{name}'" for name in dict.fromkeys(others)))
    for gpu in machine.devices:
        if gpu.get("mig"):
            raise MachineError(
                f"{hardware_name}: {gpu['name']} is in MIG mode, where a slice's energy cannot be told from its "
                "neighbours'; measure on a whole GPU"
            )
        if (others_on_it := (gpu.get("compute_processes") or 0) - server) > 0:
            raise MachineError(
                f"{hardware_name}: {others_on_it} other processes use {gpu['name']} ({gpu['uuid']}), and "
                "their energy would be counted; wait for their end, or end them (nvidia-smi or amd-smi lists them)"
            )


def require_kind(hardware_name: str, device: Device, reports_as: str | None) -> None:
    """Raise MachineError unless this machine has what the config means, whoever uses it at the moment."""
    names = [_cpu_model()]
    if device in GPUS:
        try:
            names = [str(gpu["name"]) for gpu in GPUS[device].facts()]
        except NoMeterError as error:
            raise _wrong(hardware_name, device, reports_as, str(error)) from None
    if not names:
        raise _wrong(hardware_name, device, reports_as, "no GPU on this machine")
    if others := [name for name in names if (reports_as or "").casefold() not in name.casefold()]:
        raise _wrong(hardware_name, device, reports_as, " and ".join(f"'{name}'" for name in dict.fromkeys(others)))


def _wrong(hardware_name: str, device: str, reports_as: str | None, found: str) -> MachineError:
    needs = NEEDED[device] + ("" if reports_as is None else f" that reports '{reports_as}'")
    return MachineError(
        f"{hardware_name}: needs {needs}; found {found}; run on such a machine or build another hardware of the config"
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == "model name"]
    return names[0] if names else platform.processor() or platform.machine()
