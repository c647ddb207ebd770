"""What the sampler asks of a meter, and what a meter says of a device."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from joulebench.errors import UserError


class MeterError(UserError):
    """A meter gave a reading that cannot be true."""


class NoMeterError(UserError):
    """A meter cannot be used on this machine; the message is the reason."""


@dataclass(frozen=True)
class Reading:
    """One device at one moment.

    `energy_j` is cumulative from any origin and never falls; None where nothing measures or estimates it, and then
    `source` is None too.
    """

    device: str
    source: str | None
    energy_j: float | None
    power_w: float | None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    memory_used_mb: float | None = None
    throttled: bool | None = None
    power_capped: bool | None = None
    processes: int | None = None


_DEVICE, _SOURCE, *_FACTS = (one.name for one in fields(Reading))
COLUMNS = (_DEVICE, _SOURCE, "time_s", *_FACTS, "others_busy_s", "stolen_s")
"""A line of the sampler's file: a reading and its time. The same columns as `records.ENERGY`, which the sampler
does not import, since it would load polars beside the engine."""


class Meter(Protocol):
    """An energy source that has been opened."""

    @property
    def sources(self) -> Mapping[str, str | None]:
        """Device -> source of its energy, for every device that `read` reports."""

    def read(self) -> Iterator[Reading]:
        """The devices, each read when it is asked for, so that the time around one `next` is the reading's own.

        A device that has no reading to give at the moment is left out. Raises MeterError for a reading that cannot
        be true, and whatever the source raises when it fails.
        """

    def close(self) -> None:
        """Free what the meter holds. Safe to call twice."""


class MeterModule(Protocol):
    """What a module of one energy source offers."""

    INTERVAL_S: float
    """Time between two polls."""

    def start(self, engine_pid: int) -> Meter:
        """Open the meter; `engine_pid` is the process whose memory counts. Raises NoMeterError with the reason."""


@dataclass(frozen=True)
class Gpu:
    """One GPU: its index, as its driver and Zeus count, and its UUID."""

    index: int
    uuid: str


class Gpus(MeterModule, Protocol):
    """How GPUs of one kind are reached. Every call raises NoMeterError where they cannot be used, with the reason."""

    NAME: str
    """The meter's."""

    def variable(self) -> str:
        """The environment variable that says which GPUs this process may use."""

    def named(self) -> list[str] | None:
        """The indices or UUIDs in it; None where it is not set, so that every GPU may be used."""

    def visible(self) -> list[Gpu]:
        """The GPUs that this process may use, in the order in which it was given them."""

    def see_only(self, gpus: Sequence[Gpu]) -> None:
        """From now on this process, and what it starts, uses these alone. To be called before anybody else looks."""

    def facts(self) -> list[dict[str, Any]]:
        """What each GPU says of itself, in that order: `name`, `uuid`, `compute_processes`, and what else it tells."""

    def idle_power_w(self, seconds: float) -> list[float]:
        """What each GPU draws on average over so long, in that order; nobody must be using them."""

    def held_mb(self, processes: Collection[int]) -> float | None:
        """What these processes hold of the memory of the GPUs that this process may use, MB (10^6 bytes).

        None where the driver does not tell it, as within a container that numbers its processes by itself.
        """
