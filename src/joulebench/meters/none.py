"""No energy source at all: energy and power stay null, the memory of the engine's processes does not."""

from collections.abc import Iterator

from joulebench.meters.base import Reading
from joulebench.meters.busy import EngineMemory

INTERVAL_S = 0.25


class Nothing:
    """Device `host`, without a source."""

    def __init__(self, engine_pid: int) -> None:
        self.sources: dict[str, str | None] = {"host": None}
        self._memory = EngineMemory(engine_pid, INTERVAL_S)

    def read(self) -> Iterator[Reading]:
        yield Reading("host", None, energy_j=None, power_w=None, memory_used_mb=self._memory.used_mb())

    def close(self) -> None:
        pass


def start(engine_pid: int) -> Nothing:
    return Nothing(engine_pid)
