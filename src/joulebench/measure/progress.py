"""What a person sees of a run: one live line on a terminal, plain log lines elsewhere."""

import logging
import sys
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from joulebench.analysis.checks import OTHERS_FLAG_PERCENT, STOLEN_FLAG_PERCENT
from joulebench.measure.serving import Progress

log = logging.getLogger(__name__)

LIVE_EVERY_S = 0.25
LOG_EVERY_S = 10.0


class Display:
    """Tells how far a run is: point, requests done, J per response so far, time left."""

    def __init__(self, run: str, points: int) -> None:
        self._run, self._points = run, points
        console = Console(stderr=True)
        self._live = Live(console=console, refresh_per_second=4, transient=True) if sys.stderr.isatty() else None
        self._every = LIVE_EVERY_S if self._live else LOG_EVERY_S
        self._next = 0.0

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def due(self) -> bool:
        """Whether it is time for `show`: what it shows costs something to find out."""
        return time.monotonic() >= self._next

    def show(
        self, point: int, setting: str, progress: Progress, energy_j: float | None, beside: Sequence[str] = ()
    ) -> None:
        """Show one point's progress; `energy_j` since the point's start, None where nothing measures.

        `setting`: what it stands for, in words. `beside`: what else is to be said of the moment (load_of_others).
        """
        self._next = time.monotonic() + self._every
        each = "no energy source"
        if energy_j is not None:
            each = f"{energy_j / progress.finished:.3g} J/response" if progress.finished else "no response yet"
        left = f", {progress.elapsed_s * (1 / progress.share - 1):.0f} s left" if progress.share > 0.02 else ""
        if progress.answered is not None:
            left = f", the rest of the sample: {progress.answered} of {progress.sample} answered"
        line = f"{self._run} {point + 1}/{self._points}, {setting}: {progress.finished} done, {each}{left}"
        line = "; ".join((line, *beside))
        if self._live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        else:
            log.info(line)


def load_of_others(others_share: float | None, stolen_share: float | None) -> list[str]:
    """What to say while others than the measured processes have more of the processors than the checks let pass."""
    shares = (
        ("other processes use", others_share, OTHERS_FLAG_PERCENT),
        ("the hypervisor takes", stolen_share, STOLEN_FLAG_PERCENT),
    )
    return [
        f"{who} {100 * share:.0f} % of the processors"
        for who, share, limit in shares
        if share is not None and 100 * share > limit
    ]
