"""When a point ends, by the protocol of the config."""

from typing import Protocol

from joulebench.analysis.intervals import FEWEST_BLOCKS
from joulebench.config.sweeps import Fixed, Timed
from joulebench.measure.adaptive import AdaptiveEnd
from joulebench.measure.order import ENDLESS
from joulebench.measure.sample_tokens import sample_tokens
from joulebench.measure.serving import Serving
from joulebench.records.models import EndedBy

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
        """See End."""
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
        """See End."""
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
    fewest, block_s = ((1 + FEWEST_BATCHES) * batch, 0.0) if whole_batches else (0, 1.0)
    if isinstance(what.protocol, Timed):
        return TimedEnd(what.protocol.seconds, fewest)
    tokens = sample_tokens(what.prepared)
    mix = None if tokens is None else tokens.prompt_tokens / tokens.output_tokens
    return AdaptiveEnd(what.protocol, what.energy, mix, batch, fewest, block_s, what.start)


def batches_end(what: Serving) -> End:
    """Of batches, back to back, of as many outputs as the setting says."""
    assert what.protocol is not None
    fewest = FEWEST_BATCHES * what.setting.max_batch_size
    if isinstance(what.protocol, Fixed):
        return FixedEnd(max(what.protocol.requests, fewest))
    if isinstance(what.protocol, Timed):
        return TimedEnd(what.protocol.seconds, fewest)
    return AdaptiveEnd(what.protocol, what.energy, None, turnover=0, fewest=fewest, block_s=0.0)
