"""The most memory that a point needed, beside what the sampler reads of the devices: torch's, and the processes'.

The kernel keeps the most resident memory of each process (VmHWM in /proc/{pid}/status, proc_pid_status(5)), and begins
anew when 5 is written to /proc/{pid}/clear_refs. Torch keeps the most that it has allocated and reserved of a GPU.
Both are asked twice a point, and cost nothing in between.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from joulebench.meters import GPUS
from joulebench.names import Device
from joulebench.records.models import Memory

PROC = Path("/proc")
_MOST = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)
_FORGET_MOST = "5"


class Watched:
    """This process and all that it has started, but for the process `sampler` and what that has started."""

    def __init__(self, device: Device, sampler: int) -> None:
        self._device, self._sampler = device, sampler
        self._anew = False

    def start(self) -> None:
        """From now on counts what comes."""
        for index in _torch_gpus():
            sys.modules["torch"].cuda.reset_peak_memory_stats(index)
        anew = [_forgets(pid) for pid in self._family()]
        self._anew = all(anew)

    def most(self) -> Memory:
        """Since `start`, MB (10^6 bytes). A process that has ended meanwhile is not counted.

        `allocated_mb`, `reserved_mb`: null where torch has no GPU in this process, as beside an engine in a process of
        its own. `process_mb`: of the GPUs' memory, as it is now. `ram_mb`: the sum of each process's own most; pages
        that processes share count in each; null where the kernel does not begin anew.
        """
        gpus, family = _torch_gpus(), self._family()
        cuda = sys.modules["torch"].cuda if gpus else None
        # One that was started after the point began has no earlier most.
        known = self._anew and [kb for pid in family if (kb := _most_kb(pid)) is not None]
        return Memory(
            allocated_mb=_mb(cuda.max_memory_allocated(index) for index in gpus) if cuda else None,
            reserved_mb=_mb(cuda.max_memory_reserved(index) for index in gpus) if cuda else None,
            process_mb=GPUS[self._device].held_mb(family) if self._device in GPUS else None,
            ram_mb=sum(known) * 1024 / 1e6 if known else None,
        )

    def _family(self) -> Sequence[int]:
        import psutil

        ours, left_out = psutil.Process(), {self._sampler}
        found = [ours.pid]
        for process in ours.children(recursive=True):  # parents come before their children
            with suppress(psutil.Error):
                if process.pid in left_out or process.ppid() in left_out:
                    left_out.add(process.pid)
                else:
                    found.append(process.pid)
        return found


def _torch_gpus() -> Sequence[int]:
    """Those on which torch has allocated in this process; torch is not imported for it."""
    torch = sys.modules.get("torch")
    return range(torch.cuda.device_count()) if torch is not None and torch.cuda.is_initialized() else ()


def _mb(found: Iterable[int]) -> float | None:
    """None where nothing was allocated: the engine has a process of its own."""
    return sum(found) / 1e6 or None


def _forgets(pid: int) -> bool:
    try:
        (PROC / str(pid) / "clear_refs").write_text(_FORGET_MOST, encoding="ascii")
    except OSError:
        return False
    return True


def _most_kb(pid: int) -> int | None:
    with suppress(OSError):
        if found := _MOST.search((PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace")):
            return int(found[1])
    return None
