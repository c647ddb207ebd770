"""What one point serves and how long, and what serves it: one way for text, one for diffusion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from joulebench.config.sweeps import Ending
from joulebench.engines.base import Prepared
from joulebench.loads.setting import Setting
from joulebench.measure.load import Load, Watch
from joulebench.meters.following import Following
from joulebench.records.models import SampleTokens, Start

ENDLESS = 1_000_000
"""Requests that a point without a number of them may ask for: its queue is never empty."""


@dataclass(frozen=True)
class Serving:
    """The requests of the sample as the engine prepared them, and by what they are served."""

    prepared: Sequence[Prepared]
    setting: Setting
    protocol: Ending | None
    """When the point ends; None where its load counts its requests."""
    seed: int = 0
    """Of the order of serving, and of arrivals; each `repeat` of a run has an order of its own."""
    repeat: int = 1
    start: Start = "cold"
    warmup_batches: int = 0
    """Batches of a diffusion task that come before those that count."""
    energy: Following | None = None
    """What the devices have drawn so far: the adaptive protocol asks for it."""


class Server(Protocol):
    """One loaded engine and the sample's requests: what is done with them differs by family of tasks."""

    def make_ready(self) -> None:
        """What comes before the first point. Raises UserError for a setting that the engine cannot hold."""

    def prepared(self, setting: Setting) -> Sequence[Prepared]:
        """The sample's requests as a point of this setting serves them."""

    def serve(self, what: Serving, load: Load, watch: Watch) -> None:
        """Serve until the point ends; what happened is in `load`, also where this raises."""

    def overloaded(self, what: Serving, requests: pl.DataFrame, iterations: pl.DataFrame) -> str | None:
        """Why the engine could not keep up, by what was recorded; None where it did."""

    def facts(self, what: Serving) -> dict[str, Any]:
        """What point.json has of this family alone."""


def sample_tokens(prepared: Sequence[Prepared]) -> SampleTokens | None:
    """Sums over all of `prepared`; None where a model ends its answers by itself, and where requests have no tokens."""
    if not prepared or not all(one.ignore_end and one.prompt_tokens is not None for one in prepared):
        return None
    return SampleTokens(
        requests=len(prepared),
        prompt_tokens=sum(one.prompt_tokens or 0 for one in prepared),
        output_tokens=sum(one.max_output_tokens for one in prepared),
    )


def serving_order(available: int, needed: int, seed: int, repeat: int = 1) -> Iterator[int]:
    """Indices of `needed` requests out of `available`: as sampled, then in a new seeded order each time round.

    A run's repeat k > 1 has other orders, and is in one from the first time round on: numpy's `default_rng` of
    (seed, turn, k), where the first run's is of (seed, turn). So the order is part of what differs between repeats.
    """
    given = 0
    turn = 0
    while given < needed:
        generator = np.random.default_rng([seed, turn, *([repeat] if repeat > 1 else [])])
        as_sampled = turn == 0 and repeat == 1
        indices = range(available) if as_sampled else generator.permutation(available).tolist()
        for index in indices:
            if given == needed:
                return
            yield index
            given += 1
        turn += 1
