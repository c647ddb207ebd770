"""What one point serves and how long, what serves it, and what that leaves behind."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count, islice
from typing import Any, Protocol

import numpy as np
import polars as pl

from joulebench.config.sweeps import Ending
from joulebench.engines.base import Prepared
from joulebench.loads.setting import Setting
from joulebench.meters.following import Following
from joulebench.records.models import EndedBy, SampleTokens, Start
from joulebench.records.schemas import LENGTHS_OF_TIME, REQUESTS

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
    whole_sample: bool = False
    """Whether the point goes on until each request of the sample has been answered once."""


@dataclass
class Progress:
    """How far a point is, for whoever watches it."""

    finished: int
    elapsed_s: float
    share: float
    answered: int | None = None
    """So many requests of the sample, where the point's protocol is over and it goes on until all are answered once."""
    sample: int = 0


Watch = Callable[[Progress], None]


@dataclass(kw_only=True)
class Request:
    """One request on its way: records.REQUESTS without its first two columns; absolute monotonic seconds."""

    prompt_tokens: int | None
    output_tokens: int | None = None
    submitted: float
    admitted: float | None = None
    first_output: float | None = None
    finished: float | None = None
    status: str = "aborted"
    asked_output_tokens: int | None = None
    begun_output_tokens: int | None = None


@dataclass
class Load:
    """The raw rows of one point, filled while it runs: what is here when it breaks off is what there is.

    `iterations` holds rows of `schema` without their first two columns; every time is an absolute monotonic second
    until `tables` makes it relative to `started`.
    """

    point: int
    schema: pl.Schema
    started: float = field(default_factory=time.monotonic)
    began: datetime = field(default_factory=lambda: datetime.now().astimezone())
    """The same moment by the machine's clock, in its time zone: what other programs' logs have."""
    failure: str | None = None
    ended_by: EndedBy | None = None
    requests: list[Request] = field(default_factory=list)
    iterations: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def ended(self) -> float:
        """The end of the last iteration; the start where there was none."""
        place = list(self.schema).index("end_s") - 2
        return float(self.iterations[-1][place]) if self.iterations else self.started

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Requests and iterations, times relative to the point's start."""
        requests = [(self.point, number, *vars(one).values()) for number, one in enumerate(self.requests)]
        iterations = [(self.point, number, *row) for number, row in enumerate(self.iterations)]
        return self._relative(requests, REQUESTS), self._relative(iterations, self.schema)

    def _relative(self, rows: list[tuple[Any, ...]], schema: pl.Schema) -> pl.DataFrame:
        times = [name for name in schema if name.endswith("_s") and name not in LENGTHS_OF_TIME]
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(times) - self.started)


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

    def turns() -> Iterator[Iterable[int]]:
        for turn in count():
            generator = np.random.default_rng([seed, turn, *([repeat] if repeat > 1 else [])])
            as_sampled = turn == 0 and repeat == 1
            yield range(available) if as_sampled else generator.permutation(available).tolist()

    return islice(chain.from_iterable(turns()), needed)
