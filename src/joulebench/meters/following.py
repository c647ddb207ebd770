"""The sampler's file, read while it grows: its latest readings, and the energy at a moment.

The energy at a moment is known as soon as a later counter update covers it.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from joulebench.records.sources import counted


@dataclass(frozen=True)
class Now:
    """What the latest readings say.

    `energy_j`: what the headline devices have drawn since the sampler's start; None where one of them has none.
    `others_share`, `stolen_share`: how much of the processors others used, and the hypervisor took, in the last half
    second or so; None where the readings do not say.
    """

    energy_j: float | None
    others_share: float | None
    stolen_share: float | None


class Following:
    """What the headline devices have drawn together, at times of time.monotonic(), as analysis.energy has it.

    `behind` bytes of the file's end are read at the start, so that the counters are known from before. Each `read`
    costs what was written since the last.
    """

    def __init__(self, file: Path, sources: Mapping[str, str | None], behind: int) -> None:
        headline = counted(sources).headline
        self.measures = bool(headline) and all(sources[device] is not None for device in headline)
        """Whether every headline device has a source; an estimate is one."""
        self._updates: dict[bytes, tuple[list[float], list[float]]] = {
            device.encode(): ([], []) for device in headline if self.measures
        }
        self._file = file
        self._at = max(0, file.stat().st_size - behind)
        self._at += self._complete().find(b"\n") + 1  # the header, or a line of which the start is missing
        self.read()

    def read(self) -> None:
        """Take in the lines that were completed since the last call."""
        lines = self._complete()
        self._at += len(lines)
        for line in lines.splitlines():
            device, _, time_s, energy_j, _ = line.split(b",", 4)
            if device in self._updates and energy_j:
                times, energies = self._updates[device]
                joules = float(energy_j)
                if not energies or joules != energies[-1]:
                    times.append(float(time_s))
                    energies.append(joules)

    def energy_j(self, time_s: float) -> float | None:
        """The counters' sum then, linear between their updates; None where one of them is not known."""
        if not self.measures:
            return None
        total = 0.0
        for times, energies in self._updates.values():
            after = bisect_left(times, time_s)
            if after == len(times):
                return None
            if times[after] == time_s:
                total += energies[after]
                continue
            if after == 0:
                return None
            (t0, t1), (e0, e1) = times[after - 1 : after + 1], energies[after - 1 : after + 1]
            total += e0 + (e1 - e0) * (time_s - t0) / (t1 - t0)
        return total

    def _complete(self) -> bytes:
        """What follows in the file, without a last line that is not complete yet."""
        with self._file.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        return text[: text.rfind(b"\n") + 1]


def latest(lines: bytes, headline: Sequence[str]) -> Now:
    """What the last of `lines` of the sampler's file say, `headline` being the devices that count."""
    energies_j: dict[str, str] = {}
    busy: list[tuple[float, ...]] = []
    for line in reversed(lines.decode().splitlines()):
        device, _, time_s, energy_j, *_, others_busy_s, stolen_s = line.split(",")
        if device in headline:
            energies_j.setdefault(device, energy_j)
        if others_busy_s and len(busy) < 2:
            busy.append((float(time_s), float(others_busy_s), float(stolen_s)))
        if len(energies_j) == len(headline) and len(busy) == 2:
            break
    known = len(energies_j) == len(headline) and all(energies_j.values())
    drawn_j = sum(map(float, energies_j.values())) if known else None
    if len(busy) < 2:
        return Now(drawn_j, None, None)
    passed_s, *used_s = (last - before for last, before in zip(*busy, strict=True))
    others_share, stolen_share = (max(0.0, used / passed_s) for used in used_s)
    return Now(drawn_j, others_share, stolen_share)
