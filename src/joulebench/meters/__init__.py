"""Energy sources, one module each, and which of them a machine uses.

The measuring process never reads a meter: `sampling.Sampling` starts the sampler process that does.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from joulebench.errors import UserError
from joulebench.meters import codecarbon, none, nvml, rapl
from joulebench.meters.base import MeterModule, NoMeterError

METERS: Final[dict[str, MeterModule]] = {
    "nvml": nvml,
    "rapl": rapl,
    "codecarbon": codecarbon,
    "none": none,
}

VARIABLE = "JOULEBENCH_METERS"


@dataclass(frozen=True)
class Chosen:
    """The meters to run, and what people should know about the choice."""

    meters: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def choose(device: Literal["cpu", "cuda"], allow: Sequence[str] | None = None) -> Chosen:
    """The meters that measure runs on `device`, in order of trust, from `allow` where it is given.

    A GPU's host is measured by RAPL or not at all. A CPU is measured by RAPL, else estimated by CodeCarbon, else
    its energy stays null. JOULEBENCH_METERS (names, comma-separated) overrides the choice.
    Raises UserError for an unknown meter, or for one that JOULEBENCH_METERS names and this machine lacks.
    """
    if forced := os.environ.get(VARIABLE, "").strip():
        return _forced(tuple(dict.fromkeys(name.strip() for name in forced.split(","))))
    allowed = known(METERS if allow is None else allow)
    return _for_gpus(allowed) if device == "cuda" else _for_cpu(allowed)


def known(names: Sequence[str] | dict[str, MeterModule]) -> tuple[str, ...]:
    """`names` as they are. Raises UserError for a meter that is not registered."""
    for name in names:
        if name not in METERS:
            raise UserError(f"no meter '{name}'; known are {', '.join(METERS)}")
    return tuple(names)


def _forced(names: tuple[str, ...]) -> Chosen:
    try:
        known(names)
    except UserError as error:
        raise UserError(f"{VARIABLE}: {error}") from None
    if "none" in names and len(names) > 1:
        raise UserError(f"{VARIABLE}: found '{','.join(names)}'; none stands for no meter, so it stands alone")
    for name in names:
        if reason := _why_not(name, names):
            raise UserError(f"{VARIABLE}: {name} cannot be used here ({reason}); leave it out")
    return Chosen(names, (f"{VARIABLE} says to measure with {', '.join(names)}", *_warnings(names)))


def _for_gpus(allowed: tuple[str, ...]) -> Chosen:
    if reason := _why_not("nvml", allowed):
        return Chosen(("none",), (f"no energy source for the GPU: {reason}; energy columns will be empty",))
    if reason := _why_not("rapl", allowed):
        return Chosen(("nvml",), (f"only the GPUs are measured, not their host: {reason}",))
    return Chosen(("nvml", "rapl"), _warnings(("rapl",)))


def _for_cpu(allowed: tuple[str, ...]) -> Chosen:
    if not (no_rapl := _why_not("rapl", allowed)):
        return Chosen(("rapl",), _warnings(("rapl",)))
    if no_estimate := _why_not("codecarbon", allowed):
        warning = f"no energy source on this machine: {no_rapl}, {no_estimate}; energy columns will be empty"
        return Chosen(("none",), (warning,))
    return Chosen(("codecarbon",), (f"no energy counter: {no_rapl}; energy is CodeCarbon's estimate",))


def _warnings(names: Sequence[str]) -> tuple[str, ...]:
    """What the meter of the processors leaves out, where it is among those chosen."""
    if "rapl" not in names:
        return ()
    meter = METERS["rapl"].start(os.getpid())
    meter.close()
    return tuple(getattr(meter, "warnings", ()))


def _why_not(name: str, allowed: Sequence[str]) -> str | None:
    if name not in allowed:
        return f"{name} not allowed"
    try:
        METERS[name].start(os.getpid()).close()
    except NoMeterError as error:
        return str(error)
    return None
