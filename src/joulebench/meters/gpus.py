"""GPUs through Zeus: what is the same whoever made them.

Devices `gpu:0`.. are the GPUs that this process was given (`visible`), in that order.
"""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from joulebench.meters.base import Gpu, Gpus, NoMeterError, Reading
from joulebench.records.sources import EnergySource

NOBODY = ("", "-1", "NoDevFiles")
"""What stands for no GPU; the last is Slurm's."""

T = TypeVar("T")


class Device(ABC):
    """Energy by the GPU's own counter (`counter`), or by its power integrated (`power`).

    The power is told by the first of Zeus' `power_calls` that works here.
    """

    counter: ClassVar[EnergySource]
    power: ClassVar[EnergySource]
    power_calls: ClassVar[Sequence[str]] = ("get_instant_power_usage",)

    def __init__(self, device: str, gpu: Any) -> None:
        self.device, self.gpu = device, gpu
        calls = [getattr(gpu, name) for name in self.power_calls]
        self._power_mw = next((call for call in calls if or_none(call) is not None), calls[0])
        counts = gpu.supports_get_total_energy_consumption()
        if counts and or_none(gpu.get_total_energy_consumption) is not None:
            self.source = self.counter.name
        elif or_none(self._power_mw) is not None:
            self.source = self.power.name
        else:
            raise NoMeterError(f"{device} has neither an energy counter nor a power reading")
        self._integral_j = 0.0
        self._last: tuple[float, float] | None = None

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a Reading has beside energy and power."""

    def read(self) -> Reading:
        if self.source == self.counter.name:
            energy_j = self.gpu.get_total_energy_consumption() / 1e3
            power_w = or_none(lambda: self._power_mw() / 1e3)
        else:
            power_w = self._power_mw() / 1e3
            energy_j = self._integrated_j(power_w)
        return Reading(self.device, self.source, energy_j, power_w, **self.state())

    def _integrated_j(self, power_w: float) -> float:
        now = time.monotonic()
        if self._last is not None:
            last_s, last_w = self._last
            self._integral_j += (now - last_s) * (power_w + last_w) / 2
        self._last = now, power_w
        return self._integral_j


class ZeusMeter:
    """The devices of a process, each read when it is asked for."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self.sources: dict[str, str | None] = {one.device: one.source for one in devices}

    def read(self) -> Iterator[Reading]:
        for one in self._devices:
            yield one.read()

    def close(self) -> None:
        """Zeus shuts the driver's library down when the interpreter exits."""


class ZeusGpus(Gpus):
    """Of one `maker`; what differs is left to its module. `NAME` is what Zeus calls the driver's library too."""

    INTERVAL_S = 0.02
    maker: ClassVar[str]
    device: ClassVar[type[Device]]

    @abstractmethod
    def installed(self) -> list[Gpu]:
        """Every GPU that the driver lets this process open, there being one at least."""

    @abstractmethod
    def facts_of(self, gpu: Any) -> dict[str, Any]:
        """What one of Zeus' GPUs says of itself."""

    def named(self) -> list[str] | None:
        """As base.Gpus. A Slurm job that was given no GPU has none, and none may be named twice."""
        variable = self.variable()
        value = os.environ.get(variable)
        if value is None:
            if "SLURM_JOB_ID" in os.environ:
                raise NoMeterError(
                    f"no GPU given to this Slurm job, which has no {variable} (set it where jobs own whole nodes)"
                )
            return None
        if value.strip() in NOBODY:
            raise NoMeterError(f"no GPU, since {variable} is '{value.strip()}'")
        words = [word.strip() for word in value.split(",")]
        self._refuse_twice(words)
        return words

    def visible(self) -> list[Gpu]:
        words, every = self.named(), self.installed()
        gpus = every if words is None else [self._find(word, every) for word in words]
        self._refuse_twice(gpus)
        return gpus

    def start(self, engine_pid: int) -> ZeusMeter:
        """Open the GPUs' meters. Raises NoMeterError where there is no driver, or no GPU that this process sees."""
        return ZeusMeter(self._devices())

    def facts(self) -> list[dict[str, Any]]:
        return [self.facts_of(gpu) for gpu in self.opened()]

    def idle_power_w(self, seconds: float) -> list[float]:
        """From the energy counter where there is one, otherwise from ten power readings a second."""
        devices = self._devices()
        began = time.monotonic()
        first = last = [one.read().energy_j or 0.0 for one in devices]
        while time.monotonic() - began < seconds:
            time.sleep(0.1)
            last = [one.read().energy_j or 0.0 for one in devices]
        passed = time.monotonic() - began
        return [(end - start) / passed for start, end in zip(first, last, strict=True)]

    def held_mb(self, processes: Collection[int]) -> float | None:
        """As base.Gpus."""
        return None

    def driver(self) -> None:
        """Raises NoMeterError where Zeus is not installed, or finds no driver."""
        try:
            there = getattr(import_module(f"zeus.device.gpu.{self.maker.lower()}"), f"{self.NAME}_is_available")
        except ImportError as error:
            raise NoMeterError(f"no Zeus ({error})") from None
        if not there():
            raise NoMeterError(f"no {self.maker} driver on this machine")

    def opened(self) -> Sequence[Any]:
        """Zeus' objects of the GPUs that this process may use. Raises NoMeterError as `start` does."""
        self.driver()
        from zeus.device.gpu import get_gpus
        from zeus.exception import ZeusBaseError

        if self.named() is not None:
            self.see_only(self.visible())  # Zeus takes indices alone
        try:
            gpus: Sequence[Any] = get_gpus().gpus
        except (ZeusBaseError, ValueError, LookupError, AttributeError) as error:  # the last two of an old library
            raise self.unmeasured(error) from None
        return self.some(gpus)

    def some(self, gpus: Sequence[T]) -> Sequence[T]:
        if not gpus:
            raise NoMeterError(f"no GPU under this machine's {self.maker} driver")
        return gpus

    def unmeasured(self, error: Exception) -> NoMeterError:
        return NoMeterError(f"no GPU that {self.NAME.upper()} can measure ({' '.join(str(error).split())})")

    def _devices(self) -> list[Device]:
        return [self.device(f"gpu:{place}", gpu) for place, gpu in enumerate(self.opened())]

    def _find(self, word: str, every: Sequence[Gpu]) -> Gpu:
        """By index, or by as much of its UUID as tells it from the others, as CUDA does."""
        if word.isdecimal():
            found = [gpu for gpu in every if gpu.index == int(word)]
        else:
            found = [gpu for gpu in every if word.startswith("GPU-") and gpu.uuid.startswith(word)]
        if len(found) != 1:
            raise NoMeterError(
                f"{len(found) or 'no'} GPUs that are '{word[:60]}', as {self.variable()} says, among "
                f"{', '.join(f'{gpu.index} ({gpu.uuid})' for gpu in every)}"
            )
        return found[0]

    def _refuse_twice(self, gpus: Sequence[str | Gpu]) -> None:
        if len(set(gpus)) < len(gpus):
            raise NoMeterError(f"a GPU named twice in {self.variable()}={os.environ[self.variable()]}")


def or_none(call: Callable[[], T], *unknown: type[Exception]) -> T | None:
    """What `call` returns, or None where this GPU or its driver does not know it: by Zeus' errors, or by `unknown`."""
    from zeus.device.gpu.common import ZeusGPUFunctionNotFoundError, ZeusGPUNotSupportedError

    try:
        return call()
    except (ZeusGPUNotSupportedError, ZeusGPUFunctionNotFoundError, *unknown):
        return None
