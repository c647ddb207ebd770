"""An engine whose every step is known beforehand, and what it serves."""

import polars as pl

from joulebench.engines.base import Prepared, Step, Times
from joulebench.measure.serving import Progress


class Clockwork:
    """A text engine that prefills what is new in one step, then gives each request one token a step."""

    whole_batches = False

    def __init__(self, seats: int = 1000, fails: int | None = None) -> None:
        self.seats, self.fails = seats, fails
        self.waiting: list[tuple[int, Prepared]] = []
        self.left: dict[int, int] = {}
        self.served: list[int] = []

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        raise NotImplementedError

    def submit(self, request: int, prepared: Prepared) -> None:
        self.waiting.append((request, prepared))
        self.served.append(int(str(prepared.prompt)))

    def step(self) -> Step:
        step = Step(running=0, waiting=0)
        while self.waiting and len(self.left) < self.seats:
            request, prepared = self.waiting.pop(0)
            self.left[request] = prepared.max_output_tokens
            step.admitted.append(request)
            step.first_output.append(request)
            step.first_tokens += 1
            step.prompt_tokens += prepared.prompt_tokens or 0
        step.running, step.waiting, step.output_tokens = len(self.left), len(self.waiting), len(self.left)
        for request in list(self.left):
            self.left[request] -= 1
            if request == self.fails:
                step.failed[request] = "its seat broke"
                del self.left[request]
            elif self.left[request] == 0:
                step.finished[request] = 3
                del self.left[request]
        return step

    def abort(self) -> dict[int, Times]:
        self.waiting.clear()
        self.left.clear()
        return {}

    def close(self) -> None:
        pass


def prompts(count: int, tokens: int = 3) -> list[Prepared]:
    return [Prepared(str(number), prompt_tokens=10, max_output_tokens=tokens) for number in range(count)]


def ignore(progress: Progress) -> None:
    assert 0.0 <= progress.share <= 1.0
