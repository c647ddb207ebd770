"""When a point ends, by the protocol of the config."""

import logging
from typing import Protocol

import numpy as np

from joulebench.analysis.intervals import FEWEST_BLOCKS
from joulebench.analysis.stopping import Stopping
from joulebench.config.sweeps import Adaptive, Ending, Fixed, Timed
from joulebench.measure.serving import ENDLESS, Serving, sample_tokens
from joulebench.meters.following import Following
from joulebench.records.models import EndedBy, Start

log = logging.getLogger(__name__)

CHECK_S = 1.0
FEWEST_BATCHES = FEWEST_BLOCKS
"""That a window holds where requests are served in whole batches, its blocks: fewer give no interval."""


class End(Protocol):
    """Asked after each iteration of a text task; after the warm-up, then after each batch, of a diffusion task."""

    requests: int
    """So many are there to be asked for."""
    share: float
    """How much of the point is done, 0 to 1; what comes before the window counts as the first fifth."""
    ended_by: EndedBy | None

    def over(self, now: float, finished: int, outputs: int = 0, prompts: int = 0, towards: float = 1.0) -> bool:
        """Whether the point has ended at `now`, s.

        `finished`: requests so far (diffusion: since the warm-up). `outputs`, `prompts`: since the last call, output
        tokens (diffusion: outputs) and prompt tokens. `towards`: how much is done of what comes before the window,
        which opens at 1.
        """


class FixedEnd:
    """Ends a point when so many requests have finished."""

    ended_by: EndedBy | None = None

    def __init__(self, requests: int) -> None:
        self.requests = requests
        self.share = 0.0

    def over(self, now: float, finished: int, outputs: int = 0, prompts: int = 0, towards: float = 1.0) -> bool:
        self.share = min(1.0, finished / self.requests)
        return finished >= self.requests


class TimedEnd:
    """Ends a point so many seconds after its window has opened, and not before `fewest` requests have finished."""

    ended_by: EndedBy | None = None

    def __init__(self, seconds: float, fewest: int) -> None:
        self.requests = ENDLESS
        self.share = 0.0
        self._seconds, self._fewest = seconds, fewest
        self._opened: float | None = None

    def over(self, now: float, finished: int, outputs: int = 0, prompts: int = 0, towards: float = 1.0) -> bool:
        if self._opened is None:
            if towards < 1:
                self.share = 0.2 * towards
                return False
            self._opened = now
        done = (now - self._opened) / self._seconds
        if self._fewest:
            done = min(done, finished / self._fewest)
        self.share = 0.2 + 0.8 * min(1.0, done)
        return done >= 1.0


class AdaptiveEnd:
    """Ends a point when the interval of energy per output is narrow enough.

    The window holds `fewest` finished requests at least; `turnover` of them fill the batch. It is cut into blocks at
    the first iteration end that comes `block_s` after the last cut. Once a second the energy at the cuts is looked up
    and the stop rule asked; every other iteration costs sums and comparisons.
    """

    def __init__(
        self,
        protocol: Adaptive,
        energy: Following | None,
        prompt_per_output: float | None,
        turnover: int,
        fewest: int,
        block_s: float,
        start: Start = "cold",
    ) -> None:
        self.requests = ENDLESS
        self.share = 0.0
        self.ended_by: EndedBy | None = None
        self._protocol, self._prompt_per_output = protocol, prompt_per_output
        self._energy = energy if energy is not None and energy.measures else None
        self._turnover, self._fewest, self._block_s = turnover, fewest, block_s
        self._stopping = Stopping(protocol.half_width, protocol.confidence, protocol.min_seconds, start)
        self._opened: float | None = None
        self._check_s = self._cut_s = 0.0
        self._outputs = self._prompts = 0
        self._cuts: list[tuple[float, int, int, int]] = []
        """Time, outputs and prompt tokens since the window opened, requests finished."""
        self._energies_j: list[float] = []
        """At the first of the cuts: those that a counter update has passed."""
        if self._energy is None:
            log.warning(
                "nothing measures energy here, so how well it is known cannot be told: the point ends after %g s of "
                "window%s",
                protocol.max_seconds,
                "" if protocol.max_requests is None else f", or {protocol.max_requests} requests",
            )

    def over(self, now: float, finished: int, outputs: int = 0, prompts: int = 0, towards: float = 1.0) -> bool:
        """Once over, it stays so."""
        if self.ended_by is not None:
            return True
        check = now >= self._check_s
        if check:
            self._check_s = now + CHECK_S
            if self._energy is not None:
                self._energy.read()
        if self._opened is None:
            self.share = 0.2 * min(1.0, towards)
            if towards >= 1:
                self._opened = now
                self._cut(now, finished)
            return False
        self._outputs += outputs
        self._prompts += prompts
        if now >= self._cut_s:
            self._cut(now, finished)
        passed_s = now - self._opened
        if finished >= self._fewest:
            self.ended_by = self._reason(passed_s, finished, check)
        self.share = 1.0 if self.ended_by else 0.2 + 0.8 * self._towards_the_end(passed_s, finished)
        return self.ended_by is not None

    def _cut(self, now: float, finished: int) -> None:
        self._cuts.append((now, self._outputs, self._prompts, finished))
        self._cut_s = now + self._block_s

    def _reason(self, passed_s: float, finished: int, check: bool) -> EndedBy | None:
        if check and passed_s >= self._protocol.min_seconds and self._enough():
            return "precision"
        if self._protocol.max_requests is not None and finished >= self._protocol.max_requests:
            return "max_requests"
        return "max_seconds" if passed_s >= self._protocol.max_seconds else None

    def _enough(self) -> bool:
        if self._energy is None:
            return False
        for time_s, *_ in self._cuts[len(self._energies_j) :]:
            energy_j = self._energy.energy_j(time_s)
            if energy_j is None:
                break
            self._energies_j.append(energy_j)
        known = len(self._energies_j)
        if known <= FEWEST_BLOCKS:
            return False
        block_s, outputs, prompts, finished = np.diff(np.array(self._cuts[:known]), axis=0).T
        drawn_j = np.diff(self._energies_j)
        if self._prompt_per_output is None:
            return self._stopping.enough(block_s, drawn_j, outputs)
        turnovers = finished / self._turnover
        return self._stopping.enough(block_s, drawn_j, outputs, prompts, self._prompt_per_output, turnovers)

    def _towards_the_end(self, passed_s: float, finished: int) -> float:
        requests = self._protocol.max_requests
        return min(1.0, max(passed_s / self._protocol.max_seconds, finished / requests if requests else 0.0))


def text_end(what: Serving, whole_batches: bool) -> End:
    """Of a point of text; without a protocol it ends when its requests have finished.

    With `whole_batches` it is asked after each of them, and they are the blocks.
    """
    batch = what.setting.max_batch_size
    if what.protocol is None:
        assert what.setting.requests is not None
        return FixedEnd(what.setting.requests)
    if isinstance(what.protocol, Fixed):
        return FixedEnd(what.protocol.requests)
    fewest, block_s = ((1 + _fewest_batches(what.protocol)) * batch, 0.0) if whole_batches else (0, 1.0)
    if isinstance(what.protocol, Timed):
        return TimedEnd(what.protocol.seconds, fewest)
    tokens = sample_tokens(what.prepared)
    mix = None if tokens is None else tokens.prompt_tokens / tokens.output_tokens
    return AdaptiveEnd(what.protocol, what.energy, mix, batch, fewest, block_s, what.start)


def batches_end(what: Serving) -> End:
    """Of batches, back to back, of as many outputs as the setting says."""
    assert what.protocol is not None
    fewest = _fewest_batches(what.protocol) * what.setting.max_batch_size
    if isinstance(what.protocol, Fixed):
        return FixedEnd(max(what.protocol.requests, fewest))
    if isinstance(what.protocol, Timed):
        return TimedEnd(what.protocol.seconds, fewest)
    return AdaptiveEnd(what.protocol, what.energy, None, turnover=0, fewest=fewest, block_s=0.0)


def _fewest_batches(protocol: Ending) -> int:
    asked = protocol.min_batches if isinstance(protocol, Timed) else None
    return max(FEWEST_BATCHES, asked or 0)
