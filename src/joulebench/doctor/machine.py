"""What can be measured here: the GPUs and their counters, RAPL, and the energy source that a run would use."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from joulebench.doctor.finding import Finding, missing, note, ok

if TYPE_CHECKING:
    from joulebench.meters.base import Gpus

SYS, PROC, DEV = Path("/sys"), Path("/proc"), Path("/dev")
DISPLAY: Final = ("0x0300", "0x0302", "0x0380", "0x1200")
"""PCI classes of GPUs: VGA, 3D and other display controllers, and AMD's accelerators (PCI Code and ID Assignment)."""
VENDORS: Final = {"0x10de": "NVIDIA", "0x1002": "AMD"}
BUSY = 0.25
"""Load over processors above which the machine is busy with something else: on a CPU it is measured too."""


def look() -> Iterator[Finding]:
    """Processors, GPUs, RAPL, and what a run on each kind of device would read."""
    yield _processors()
    yield from _gpus()
    yield _rapl()
    yield from _sources()


def _processors() -> Finding:
    count, memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = os.getloadavg()[0]
    said = f"{count} processors, {memory:.0f} GB of memory, load {load:.1f} over the last minute"
    return note(said, "measure when nothing else computes here") if load > BUSY * count else ok(said)


def _gpus() -> Iterator[Finding]:
    bus = on_the_bus()
    drivers = {"NVIDIA": PROC / "driver/nvidia/version", "AMD": DEV / "kfd"}
    try:
        from joulebench.meters import GPUS
    except ImportError as error:
        for maker, driver in drivers.items():
            if driver.exists() or maker in bus:
                yield note(
                    f"{bus.count(maker) or 'some'} {maker} GPUs, not asked for their counters ({error})",
                    "make leaderboard",
                )
        return
    silent = True
    for device, gpus in GPUS.items():
        maker = getattr(gpus, "maker", device)
        for finding in _of(gpus, maker, maker in bus or drivers[maker].exists()):
            silent = False
            yield finding
    if silent:
        yield note("no GPU", "nothing, if a CPU is what you want to measure")


def _of(gpus: "Gpus", maker: str, signs: bool) -> Iterator[Finding]:
    """Each GPU of one maker; nothing where there are none and there is no sign of one."""
    from joulebench.meters.base import NoMeterError

    try:
        facts, sources = gpus.facts(), list(gpus.start(os.getpid()).sources.values())
    except NoMeterError as error:
        if signs:
            yield note(
                f"{maker} GPUs that cannot be measured: {error}",
                f"install {maker}'s driver, or see that this user may use it",
            )
        return
    for place, (gpu, source) in enumerate(zip(facts, sources, strict=True)):
        limit = gpu.get("power_limit_w")
        said = f"gpu:{place} {gpu['name']}, power limit {'not known' if limit is None else f'{limit:g} W'}"
        said += f", energy from {source}"
        if gpu.get("mig"):
            yield note(
                f"{said}; in MIG mode", "measure on a whole GPU: a slice's energy cannot be told from its neighbours'"
            )
        elif others := gpu.get("compute_processes"):
            yield note(
                f"{said}; {others} processes use it", "wait for their end, or end them: their energy would be counted"
            )
        else:
            yield ok(said)


def on_the_bus() -> list[str]:
    """The makers of the GPUs on the PCI bus, one each."""
    found = []
    for folder in sorted(SYS.glob("bus/pci/devices/*")):
        try:
            vendor, kind = ((folder / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor in VENDORS and kind.startswith(DISPLAY):
            found.append(VENDORS[vendor])
    return found


def _rapl() -> Finding:
    zones = sorted(SYS.glob("class/powercap/intel-rapl:*/energy_uj"))
    if not zones:
        return note(
            "no RAPL: the processor's energy cannot be read here",
            "nothing on a virtual machine; else: sudo modprobe intel_rapl_common",
        )
    closed = [zone for zone in zones if not os.access(zone, os.R_OK)]
    if closed:
        return note(
            f"RAPL: {len(closed)} of {len(zones)} counters cannot be read by this user",
            "until the next start: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj",
        )
    return ok(f"RAPL: {len(zones)} counters can be read")


def _sources() -> Iterator[Finding]:
    """What a run would read: of the CPU, and of the GPUs where there are any."""
    try:
        from joulebench.errors import UserError
        from joulebench.meters import GPUS, choose
        from joulebench.meters.base import NoMeterError
        from joulebench.records.sources import SOURCES
    except ImportError as error:
        yield missing(f"energy sources: not asked ({error})", "make leaderboard")
        return
    for device in ("cpu", *GPUS):
        try:
            if device in GPUS and not GPUS[device].visible():
                continue
            chosen = choose(device)
        except NoMeterError:
            continue
        except UserError as error:
            yield missing(str(error), "unset JOULEBENCH_METERS, or name others")
            continue
        sources = {one for one in chosen.sources.values() if one is not None}
        said = f"device {device}: energy from {', '.join(sorted(sources)) or 'nothing'}"
        why = "; ".join(chosen.warnings)
        if not sources:
            yield note(f"{said} ({why})", "latencies are measured all the same")
        elif any(SOURCES[one].is_estimate for one in sources):
            yield note(
                f"{said}: an estimate, no measurement ({why})", "rank nothing by it; use a machine with RAPL or a GPU"
            )
        else:
            yield ok(said + (f" ({why})" if why else ""))
