"""What the load generators ask of an engine, and nothing else of it.

An engine that can start in more than one way says how it did in `start`, a records.EngineStart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl


@dataclass(frozen=True)
class Prepared:
    """A request as one engine will serve it.

    `prompt` is the engine's own form of it (token ids, or the pipeline's arguments); `max_output_tokens`
    bounds the answer, and `ignore_end` makes it exactly as long; `answer` is then what stands behind the prompt of a
    request that is begun in the middle, as token ids of that length. `ids` are the prompt's own. Diffusion uses none of
    these.
    """

    prompt: object
    prompt_tokens: int | None = None
    max_output_tokens: int = 0
    ignore_end: bool = False
    answer: Sequence[int] = ()
    ids: Sequence[int] = ()


@dataclass(frozen=True)
class Times:
    """When a request was admitted, got its first token and its last: seconds of the monotonic clock.

    None for what has not come to pass, or what the engine does not know of a request that was dropped.
    """

    admitted: float | None
    first_output: float | None
    finished: float | None


@dataclass
class Step:
    """What one iteration of a text engine did. Lists hold the ids that `submit` was given.

    Who was admitted, and who got a first token, may stay out where `times` tells it at the end.
    """

    running: int
    waiting: int
    prompt_tokens: int = 0
    output_tokens: int = 0
    preempted: int = 0
    kv_cache_usage: float | None = None
    first_tokens: int = 0
    """Those of `output_tokens` that opened an answer."""
    token_gaps_s: list[float] | None = None
    """Of an engine whose steps are not its iterations: see records.ITERATIONS."""
    admitted: list[int] = field(default_factory=list)
    first_output: list[int] = field(default_factory=list)
    finished: dict[int, int] = field(default_factory=dict)
    """Request id -> its output tokens."""
    answers: dict[int, Sequence[int]] = field(default_factory=dict)
    """Request id -> the tokens themselves."""
    times: dict[int, Times] = field(default_factory=dict)
    """Request id -> its own times, from an engine that knows them better than by whole iterations."""
    failed: dict[int, str] = field(default_factory=dict)
    """Request id -> why."""


@dataclass(frozen=True)
class Watched:
    """What is seen of a server and its client, from the beginning on: the difference of two is a point's.

    `busy_s`: for how long the client was not waiting. At the looks at /metrics: requests that were `in_flight`, and
    those of them that were `in_engine`, run or waiting. The others are on their way, or their answers lie ready.
    """

    busy_s: float
    in_flight: int
    in_engine: int


class TextEngine(Protocol):
    """Serves prompts; one call of `step` is one iteration, whole prompts or single tokens alike.

    With `whole_batches`, the answers of a batch end together, and nothing is admitted before: a window of whole
    batches is the only one that holds prefill and decode in their proportion.
    """

    whole_batches: bool
    longest: int | None
    """Tokens of a prompt and its answer, at most; None where nothing bounds them."""

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Turn the task's prompts (records.PROMPTS) into what `submit` takes: tokenized, with their output lengths."""

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        """The same request with the token ids `ids` as its prompt; an image that is in it has to stay in it."""

    def text(self, ids: Sequence[int]) -> str:
        """What tokens say, without those that only end an answer."""

    def submit(self, request: int, prepared: Prepared) -> None:
        """Queue a request under an id that is not in use."""

    def step(self) -> Step:
        """Run one iteration and wait for its end. Only called while requests are in the engine."""

    def abort(self) -> dict[int, Times]:
        """Drop every request that is in the engine.

        Returns what is known of the dropped ones, by request id, where `Step` has not told it already.
        """

    def close(self) -> None:
        """Free the device and end every process of the engine. Safe to call twice."""


class DiffusionEngine(Protocol):
    """Turns a batch of prompts into as many outputs."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What every call of the pipeline is given beside its requests: plain values, its own guidance among them."""

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Turn the task's prompts (records.PROMPTS) into what `generate` takes."""

    def generate(self, batch: Sequence[Prepared]) -> int:
        """Make one output a request, wait for the device, and return the number of denoising steps taken."""

    def images(self, batch: Sequence[Prepared]) -> list[Any]:
        """What `generate` makes, as images of PIL's: one a request. Of tasks whose response is an image."""

    def close(self) -> None:
        """Free the device. Safe to call twice."""
