"""Answers are taken in the order of the prompts, so many asked at once, and cut off before a stop string."""

from collections.abc import Sequence

import pytest

from joulebench.engines.base import Prepared, Step
from joulebench.errors import UserError
from joulebench.quality.answering import answers, before


class Speller:
    """Says each prompt's letters back, one a step, the shortest first to end."""

    whole_batches = False

    def __init__(self, fails: int | None = None) -> None:
        self.said: dict[int, list[int]] = {}
        self.left: dict[int, tuple[Prepared, int]] = {}
        self.most, self.fails = 0, fails

    def submit(self, request: int, prepared: Prepared) -> None:
        self.left[request] = (prepared, 0)
        self.most = max(self.most, len(self.left))

    def step(self) -> Step:
        step = Step(running=len(self.left), waiting=0)
        for request, (one, done) in list(self.left.items()):
            letters, done = [ord(letter) for letter in str(one.prompt)], done + 1
            self.left[request] = (one, done)
            if request == self.fails:
                step.failed[request] = "its seat broke"
            if done == min(len(letters), one.max_output_tokens):
                step.finished[request], step.answers[request] = done, letters[:done]
                del self.left[request]
        return step

    def text(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


def asked(*prompts: str) -> list[Prepared]:
    return [Prepared(prompt, len(prompt), 6) for prompt in prompts]


def test_answers_come_in_the_order_of_their_prompts() -> None:
    engine = Speller()
    found = answers(engine, asked("aaaa", "b", "cc", "dddddddd"), in_flight=2)  # type: ignore[arg-type]
    assert [one.text for one in found] == ["aaaa", "b", "cc", "dddddd"]
    assert [one.tokens for one in found] == [4, 1, 2, 6]
    assert [one.ended for one in found] == [True, True, True, False]
    assert engine.most == 2


def test_a_stop_string_ends_an_answer() -> None:
    (found,) = answers(Speller(), asked("ab#cd#"), 1, ("x", "#"))  # type: ignore[arg-type]
    assert (found.text, found.tokens, found.ended) == ("ab", 6, True)
    assert before("a\ndef b\nif c", ("\nif ", "\ndef ")) == "a"
    assert before("whole", ()) == "whole"


def test_no_score_without_every_answer() -> None:
    with pytest.raises(UserError, match=r"^request 1 failed: its seat broke; no score without its answer$"):
        answers(Speller(fails=1), asked("aaaa", "bbb"), 2)  # type: ignore[arg-type]
