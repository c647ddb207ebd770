"""Energy sources, one module each, and which of them a machine uses.

The measuring process never reads a meter: `sampling.Sampling` starts the sampler process that does.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from joulebench.errors import UserError
from joulebench.meters import codecarbon, none, rapl
from joulebench.meters.amdsmi import Amd
from joulebench.meters.base import Gpus, MeterModule, NoMeterError
from joulebench.meters.nvml import Nvidia
from joulebench.names import Device

GPUS: Final[dict[Device, Gpus]] = {
    "cuda": Nvidia(),
    "rocm": Amd(),
}
METERS: Final[dict[str, MeterModule]] = {
    **{gpus.NAME: gpus for gpus in GPUS.values()},
    "rapl": rapl,
    "codecarbon": codecarbon,
    "none": none,
}

VARIABLE = "JOULEBENCH_METERS"


@dataclass(frozen=True)
class Chosen:
    """The meters to run, device -> source of what they read, and what people should know about the choice."""

    meters: tuple[str, ...]
    sources: Mapping[str, str | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def beside(self, other: "Chosen") -> "Chosen":
        return Chosen(self.meters + other.meters, {**self.sources, **other.sources}, self.warnings + other.warnings)

    def saying(self, warning: str) -> "Chosen":
        """The same with another warning before its own."""
        return replace(self, warnings=(warning, *self.warnings))


def choose(device: Device, allow: Sequence[str] | None = None) -> Chosen:
    """The meters that measure runs on `device`, in order of trust, from `allow` where it is given.

    A GPU's host is measured by RAPL or not at all. A CPU is measured by RAPL, else estimated by CodeCarbon, else
    its energy stays null. JOULEBENCH_METERS (names, comma-separated) overrides the choice.
    Each meter is opened once to see whether it works. Raises UserError for an unknown meter, or for one that
    JOULEBENCH_METERS names and this machine lacks.
    """
    if forced := os.environ.get(VARIABLE, "").strip():
        return _forced(tuple(dict.fromkeys(name.strip() for name in forced.split(","))))
    allowed = known(METERS if allow is None else allow)
    return _for_gpus(GPUS[device].NAME, allowed) if device in GPUS else _for_cpu(allowed)


def known(names: Sequence[str] | dict[str, MeterModule]) -> tuple[str, ...]:
    """`names` as they are. Raises UserError for a meter that is not registered."""
    for name in names:
        if name not in METERS:
            raise UserError(f"no meter '{name}'; known are {', '.join(METERS)}")
    return tuple(names)


def opened(name: str, allowed: Sequence[str]) -> Chosen:
    """A meter, opened and closed again. Raises NoMeterError where it is not `allowed` or does not work here."""
    if name not in allowed:
        raise NoMeterError(f"{name} not allowed")
    meter = METERS[name].start(os.getpid())
    meter.close()
    return Chosen((name,), dict(meter.sources), tuple(getattr(meter, "warnings", ())))


def _forced(names: tuple[str, ...]) -> Chosen:
    try:
        known(names)
    except UserError as error:
        raise UserError(f"{VARIABLE}: {error}") from None
    if "none" in names and len(names) > 1:
        raise UserError(f"{VARIABLE}: found '{','.join(names)}'; none stands for no meter, so it stands alone")
    chosen = Chosen(())
    for name in names:
        try:
            chosen = chosen.beside(opened(name, names))
        except NoMeterError as reason:
            raise UserError(f"{VARIABLE}: {name} cannot be used here ({reason}); leave it out") from None
    return chosen.saying(f"{VARIABLE} says to measure with {', '.join(names)}")


def _for_gpus(meter: str, allowed: tuple[str, ...]) -> Chosen:
    try:
        gpus = opened(meter, allowed)
    except NoMeterError as reason:
        return _nothing(f"no energy source for the GPU: {reason}; energy columns will be empty")
    try:
        return gpus.beside(opened("rapl", allowed))
    except NoMeterError as reason:
        return gpus.saying(f"only the GPUs are measured, not their host: {reason}")


def _for_cpu(allowed: tuple[str, ...]) -> Chosen:
    try:
        return opened("rapl", allowed)
    except NoMeterError as error:
        no_rapl = error
    try:
        return opened("codecarbon", allowed).saying(f"no energy counter: {no_rapl}; energy is CodeCarbon's estimate")
    except NoMeterError as no_estimate:
        return _nothing(f"no energy source on this machine: {no_rapl}, {no_estimate}; energy columns will be empty")


def _nothing(why: str) -> Chosen:
    return opened("none", ("none",)).saying(why)
