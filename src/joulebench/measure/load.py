"""What the load of one point leaves behind, and how far it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from joulebench.records.models import EndedBy
from joulebench.records.schemas import REQUESTS


@dataclass
class Progress:
    """How far a point is, for whoever watches it."""

    finished: int
    elapsed_s: float
    share: float


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
        times = [name for name in schema if name.endswith("_s")]
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(times) - self.started)
