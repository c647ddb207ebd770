"""The memory of the engine's processes, for machines whose device has no memory of its own."""

import os
import time


class EngineMemory:
    """Resident memory of a process and its descendants, without the process that asks and its descendants.

    Pages that processes share count once for each of them.
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
