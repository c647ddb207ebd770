"""Ticks: what arrives from a server close together, which stands for one of its iterations.

A tick is over when nothing came for a twentieth of the usual time between ticks, and between 2 and 5 ms: the tokens of
one iteration come within that of each other, and iterations lie further apart (docs/measurements.md).

Where a server's answers are not in step a tick holds some of them, or several tokens of one, so that its duration is no
time between two tokens. That time is each answer's own: `token_gaps_s`.
"""

import math
import time
from collections import deque
from collections.abc import Iterable
from queue import Empty, SimpleQueue
from statistics import median
from typing import TypeVar

from joulebench.engines.server_client import Arrival
from joulebench.errors import UserError

LEAST_QUIET_S, MOST_QUIET_S, QUIET_SHARE = 0.002, 0.005, 0.05
MOST_TICK_S = 0.05
"""A tick is over all the same, where arrivals leave no gap."""
USUAL = 9
"""So many times between ticks are looked at, of which the median is the usual one."""
STEPS = 100
"""In a factor of ten: gaps are recorded within 1.2 %, so that few different ones stand in a file."""
LEAST_GAP_S = 1e-6

T = TypeVar("T")


class Ticks:
    def __init__(self) -> None:
        self._between_s: deque[float] = deque(maxlen=USUAL)
        self._last_s: float | None = None

    def next(self, arrivals: SimpleQueue[T], patience_s: float) -> list[T]:
        """One or more arrivals. Raises UserError where there is none in `patience_s`."""
        try:
            found = [arrivals.get(timeout=patience_s)]
        except Empty:
            raise UserError(f"nothing came from the server in {patience_s:g} s; see whether it still runs") from None
        began_s = time.monotonic()
        quiet_s = self._quiet_s(began_s)
        while time.monotonic() < began_s + MOST_TICK_S:
            time.sleep(quiet_s)
            before = len(found)
            while not arrivals.empty():
                found.append(arrivals.get())
            if len(found) == before:
                break
        return found

    def _quiet_s(self, began_s: float) -> float:
        if self._last_s is not None:
            self._between_s.append(began_s - self._last_s)
        self._last_s = began_s
        usual_s = median(self._between_s) if self._between_s else 0.0
        return min(max(LEAST_QUIET_S, QUIET_SHARE * usual_s), MOST_QUIET_S)


def token_gaps_s(tick: Iterable[Arrival]) -> list[float]:
    """How long each token of a tick had come after the one before it in its answer: seconds over 0, in rising order.

    Of n tokens that came together after a gap g, each counts as g / n. Those that came with an answer's first token
    have no gap: they were made within its TTFT, nobody saw when, and 0 s would make a server that holds them back look
    faster.
    """
    found: list[float] = []
    for one in tick:
        if one.gap_s is not None:
            steps = round(STEPS * math.log10(max(one.gap_s / one.tokens, LEAST_GAP_S)))
            found += [10 ** (steps / STEPS)] * one.tokens
    return sorted(found)
