"""What a model says to the sampled prompts: one greedy answer each, which it ends itself."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from joulebench.engines.base import Prepared, TextEngine
from joulebench.errors import UserError


@dataclass(frozen=True)
class Answer:
    """What was said, cut off before a stop string, and its tokens with what ended it."""

    text: str
    tokens: int
    ended: bool
    """By itself, before it had all the tokens that it might get."""


def answers(engine: TextEngine, prepared: Sequence[Prepared], in_flight: int, stop: Sequence[str] = ()) -> list[Answer]:
    """One for each of `prepared`, in their order, `in_flight` asked at once. Raises UserError where one failed."""
    left = deque(enumerate(prepared))
    found: dict[int, Answer] = {}
    asked = 0
    while len(found) < len(prepared):
        while left and asked - len(found) < in_flight:
            engine.submit(*left.popleft())
            asked += 1
        step = engine.step()
        for number, why in step.failed.items():
            raise UserError(f"request {number} failed: {why}; no score without its answer")
        for number, ids in step.answers.items():
            text, most = engine.text(ids), prepared[number].max_output_tokens
            found[number] = Answer(before(text, stop), len(ids), len(ids) < most or before(text, stop) != text)
    return [found[number] for number in range(len(prepared))]


def before(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first of the stop strings in it."""
    return text[: min((text.index(one) for one in stop if one in text), default=len(text))]
