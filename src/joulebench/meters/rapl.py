"""Processors and their memory through RAPL's energy counters, read by Zeus.

Zeus adds up the wrap-arounds of a counter that processes of its own have seen. They look once a second, ten times
a second near the counter's end, so right after a wrap-around the sum is too low for a moment: such readings are left
out. Those processes start with the first reading and end with the sampler's process group.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from joulebench.meters.base import MeterError, NoMeterError, Reading
from joulebench.meters.busy import EngineMemory
from joulebench.records.sources import RAPL

INTERVAL_S = 0.05
FIRST_S = 0.1
WATCHED_S = 1.0
"""A counter moves every millisecond. One of the memory that has not within WATCHED_S, while its processor's has within
FIRST_S, measures nothing: some machines list one and never move it."""
UNSEEN_WRAP_S = 1.5


class Rapl:
    """Devices `cpu:i` and, where the processor reports it, `dram:i`; the engine's memory goes with the first.

    `still` are devices that are left out, since their counters stand still.
    """

    def __init__(self, cpus: Any, packages: Sequence[int], engine_pid: int, still: Collection[str] = ()) -> None:
        self.sources: dict[str, str | None] = {}
        for i in packages:
            self.sources[f"cpu:{i}"] = RAPL.name
            if cpus.supports_get_dram_energy_consumption(i) and f"dram:{i}" not in still:
                self.sources[f"dram:{i}"] = RAPL.name
        self.warnings = tuple(f"{device} is left out: its RAPL counter stands still" for device in sorted(still))
        self._cpus = cpus
        self._packages = packages
        self._memory = EngineMemory(engine_pid)
        self._highest_j: dict[str, tuple[float, float]] = {}

    def read(self) -> Iterator[Reading]:
        memory_used_mb = self._memory.used_mb()
        for i in self._packages:
            energy = self._cpus.get_total_energy_consumption(i)
            for device, energy_mj in ((f"cpu:{i}", energy.cpu_mj), (f"dram:{i}", energy.dram_mj)):
                if device in self.sources and energy_mj is not None and self._is_true(device, energy_mj / 1e3):
                    yield Reading(device, RAPL.name, energy_mj / 1e3, None, memory_used_mb=memory_used_mb)
                    memory_used_mb = None

    def _is_true(self, device: str, energy_j: float) -> bool:
        """False while a wrap-around may not have been seen yet. Raises MeterError when it stays so."""
        now = time.monotonic()
        highest_j, at_s = self._highest_j.get(device, (energy_j, now))
        if energy_j >= highest_j:
            self._highest_j[device] = energy_j, now
            return True
        if now - at_s > UNSEEN_WRAP_S:
            raise MeterError(f"RAPL's counter of {device} went back from {highest_j:.3f} to {energy_j:.3f} J")
        return False

    def close(self) -> None:
        """Zeus ends its processes when the interpreter exits."""


def start(engine_pid: int) -> Rapl:
    """Open the counters. Raises NoMeterError where there are none, or this user may not read them."""
    try:
        from zeus.device.cpu import get_cpus
        from zeus.device.cpu.common import ZeusCPUNoPermissionError
        from zeus.device.cpu.rapl import rapl_is_available
        from zeus.exception import ZeusBaseError
    except ImportError as error:
        raise NoMeterError(f"RAPL not readable (no Zeus: {error})") from None
    if not rapl_is_available():
        raise NoMeterError("no RAPL on this machine")
    try:
        cpus = get_cpus()
    except (ZeusCPUNoPermissionError, PermissionError):
        raise NoMeterError("RAPL not readable (permission denied: run as root or make energy_uj readable)") from None
    except (ZeusBaseError, OSError, ValueError) as error:
        raise NoMeterError(f"RAPL not readable ({' '.join(str(error).split())})") from None
    packages = [i for i, cpu in enumerate(cpus.cpus) if _is_package(cpu)]
    if not packages:
        raise NoMeterError("RAPL has no processor package on this machine")
    still = _standing_still(cpus, packages)
    if dead := sorted(device for device in still if device.startswith("cpu")):
        raise NoMeterError(
            f"RAPL's counter of {', '.join(dead)} stands still, so that the machine's energy is not known"
        )
    return Rapl(cpus, packages, engine_pid, still)


def _standing_still(cpus: Any, packages: Sequence[int]) -> set[str]:
    """Devices whose counters stand still while another moves; none where all do, as the sampling says by itself.

    Their files are read as they are: Zeus would start its processes for it. Of the Zeus daemon there are none.
    """
    files: dict[str, Path] = {}
    for i in packages:
        cpu = cpus.cpus[i]
        for device, zone in ((f"cpu:{i}", getattr(cpu, "rapl_file", None)), (f"dram:{i}", getattr(cpu, "dram", None))):
            if zone is not None:
                files[device] = Path(zone.energy_uj_path)
    try:
        first = {device: file.read_bytes() for device, file in files.items()}
        moved: set[str] = set()
        began = time.monotonic()
        while moved != files.keys() and time.monotonic() - began < (WATCHED_S if moved else FIRST_S):
            time.sleep(0.002)
            moved |= {device for device, file in files.items() if file.read_bytes() != first[device]}
    except OSError:  # Zeus says what is wrong
        return set()
    return files.keys() - moved if moved else set()


def _is_package(cpu: Any) -> bool:
    """Zeus lists every zone at the top as a processor. One named psys is the whole platform, packages included."""
    zone = getattr(cpu, "rapl_file", None)  # none where the Zeus daemon reads
    return zone is None or str(zone.name).startswith("package")
