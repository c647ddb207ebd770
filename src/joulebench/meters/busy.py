"""The host beside the meters: how busy its processors were with others than the measured processes, how much was stolen
of them, and the memory of the engine's processes.

The first two come from the counts of /proc/stat (Linux, proc_stat(5)), which are of the whole machine whatever
container asks, as a whole-host estimate and RAPL's counters of whole packages are. Busy is user + nice + system + irq +
softirq: a guest's time is part of user already, idle and iowait are not busy. Steal is what the hypervisor gave to
others.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
VARIABLE = "JOULEBENCH_PROC_STAT"
"""Names another file of these counts: a container may have the host's elsewhere. One that is not there tells nothing,
and what was measured so says that it was not checked."""
INTERVAL_S = 0.5

Member = tuple[int, float]
"""A process: its number, and when it was started, since numbers are given again."""


@dataclass(frozen=True)
class Processors:
    """CPU-seconds since the machine's start, of all its processors together, and how many of them are online."""

    online: int
    busy_s: float
    stolen_s: float


def processors(stat: str, ticks_per_s: float) -> Processors:
    """From the text of /proc/stat. Raises ValueError where it is of another form."""
    first, *rest = stat.splitlines() or [""]
    name, *counts = first.split() or [""]
    online = sum(line.startswith("cpu") for line in rest)
    if name != "cpu" or len(counts) < 8 or not online:
        raise ValueError("not the contents of /proc/stat")
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, counts[:8])
    return Processors(online, (user + nice + system + irq + softirq) / ticks_per_s, steal / ticks_per_s)


class Family:
    """CPU-seconds of processes that come and go, counted from the first look on.

    `look` gives what each one that is there has used itself, and what its children had used that ended and that it
    waited for. A process that is gone without having been waited for is counted up to the last look at it.
    """

    def __init__(self, look: Callable[[], Mapping[Member, tuple[float, float]]]) -> None:
        self._look = look
        self._last = dict(look())
        self._used_s = 0.0

    def used_s(self) -> float:
        now = dict(self._look())
        own_s = ended_s = 0.0
        for member, (own, ended) in now.items():
            own_before, ended_before = self._last.get(member, (0.0, 0.0))
            own_s += own - own_before
            ended_s += ended - ended_before
        counted_s = sum(own + ended for member, (own, ended) in self._last.items() if member not in now)
        self._last = now
        self._used_s += own_s + max(0.0, ended_s - counted_s)
        return self._used_s


class Others:
    """What others than the measured processes used: an engine's process, this one, and the descendants of both."""

    def __init__(self, engine_pid: int, interval_s: float = INTERVAL_S, stat: Path | None = None) -> None:
        self._stat = stat or Path(os.environ.get(VARIABLE, STAT))
        self._interval_s = interval_s
        self._asked_s = time.monotonic()
        self._others_s = self._stolen_s = 0.0
        self._family_s = 0.0
        self._last = self._processors()
        if self._last is not None:
            self._family = Family(lambda: _tree(engine_pid, os.getpid()))

    def read(self) -> tuple[float | None, float | None]:
        """Seconds since the start that others kept the processors busy, and that were stolen.

        Means over the online processors: 1 s a second is the whole machine. Both are None within `interval_s` of the
        last answer, and where /proc/stat cannot be read.
        """
        now_s = time.monotonic()
        if self._last is None or now_s - self._asked_s < self._interval_s:
            return None, None
        self._asked_s = now_s
        now, family_s = self._processors(), self._family.used_s()
        if now is None:
            return None, None
        used_s = now.busy_s - self._last.busy_s - (family_s - self._family_s)
        self._others_s += used_s / now.online
        self._stolen_s += (now.stolen_s - self._last.stolen_s) / now.online
        self._last, self._family_s = now, family_s
        return self._others_s, self._stolen_s

    def _processors(self) -> Processors | None:
        try:
            return processors(self._stat.read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
        except (OSError, ValueError):
            return None


class EngineMemory:
    """Resident memory of a process and its descendants, without the process that asks and its descendants.

    For machines whose device has no memory of its own. Pages that processes share count once for each of them.
    """

    def __init__(self, pid: int, interval_s: float = 0.25) -> None:
        self._pid = pid
        self._interval_s = interval_s
        self._asked_s = -interval_s

    def used_mb(self) -> float | None:
        """MB (10^6 bytes); None within `interval_s` of the last answer, or where the process is gone."""
        import psutil

        now = time.monotonic()
        if now - self._asked_s < self._interval_s * 0.9:
            return None
        self._asked_s = now
        ours = {os.getpid()} - {self._pid}
        total_bytes: int = 0
        try:
            engine = psutil.Process(self._pid)
            total_bytes += engine.memory_info().rss
            family = engine.children(recursive=True)
        except psutil.NoSuchProcess:
            return None
        for process in family:  # parents come before their children
            try:
                if process.pid in ours or process.ppid() in ours:
                    ours.add(process.pid)
                else:
                    total_bytes += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total_bytes / 1e6


def _tree(*roots: int) -> dict[Member, tuple[float, float]]:
    import psutil

    found: dict[Member, tuple[float, float]] = {}
    for root in roots:
        if any(pid == root for pid, _ in found):
            continue
        try:
            first = psutil.Process(root)
            family = [first, *first.children(recursive=True)]
        except psutil.Error:
            continue
        for process in family:
            try:
                used = process.cpu_times()
                member = process.pid, process.create_time()
            except psutil.Error:
                continue
            found[member] = used.user + used.system, used.children_user + used.children_system
    return found
