"""The onnxruntime engine on a tiny network: what it says beside transformers, and how its batch goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import asked
from onnx_models import MISSING, build, spec

from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.base import Step
from joulebench.engines.onnxruntime import Engine
from joulebench.errors import UserError

pytest.importorskip("onnxruntime_genai", reason=MISSING)
pytestmark = pytest.mark.slow

TEXTS = ("one", "def volume(side, height): and many more words", "x = [1, 2, 3]", "print('three')")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llama-1m", tmp_path_factory.mktemp("model"))


@pytest.fixture
def opened(folder: Path) -> Iterator[Any]:
    """Opens engines, and closes them at the end."""
    made: list[Any] = []

    def one(**changes: Any) -> Any:
        made.append(open_engine(spec(**changes), folder))
        return made[-1]

    yield one
    for engine in made:
        engine.close()


def prompts(*texts: str) -> pl.DataFrame:
    return asked(*((text, "one two three", None) for text in texts))


def steps(engine: Any, count: int) -> list[Step]:
    """Every step until so many requests have finished."""
    made: list[Step] = []
    while sum(len(step.finished) for step in made) < count:
        made.append(engine.step())
    return made


def answers(engine: Any, requests: pl.DataFrame, together: bool = True) -> dict[int, list[int]]:
    """Request -> the tokens of its answer, all at once or one after the other."""
    said: dict[int, list[int]] = {}
    prepared = list(enumerate(engine.prepare(requests)))
    for group in [prepared] if together else [[one] for one in prepared]:
        for number, one in group:
            engine.submit(number, one)
        for step in steps(engine, len(group)):
            said |= {number: list(tokens) for number, tokens in step.answers.items()}
    return said


def test_the_same_tokens_as_transformers_together_and_alone(opened: Any) -> None:
    requests = prompts(*TEXTS)
    expected = answers(opened(engine="transformers-static"), requests, together=False)
    engine = opened()
    assert answers(engine, requests) == expected
    assert answers(engine, requests, together=False) == expected
    assert len({tuple(one) for one in expected.values()}) == 4
    assert len(set(expected[0])) > 4  # it says something, not one token again and again


def test_who_comes_and_goes_in_the_middle_changes_no_answer(opened: Any) -> None:
    """Answers of 2, 5, 7 and 12 tokens; the first to end is not the last row, so that another takes its place."""
    requests = prompts(*TEXTS)
    whole = answers(opened(engine="transformers-static"), requests, together=False)
    engine = opened()
    lengths = {0: 2, 1: 12, 2: 5, 3: 7}
    prepared = [opened(output_length=OutputLength(kind="fixed", tokens=n)).prepare(requests) for n in lengths.values()]
    own = [made[number] for number, made in enumerate(prepared)]
    for number in (0, 1, 2):
        engine.submit(number, own[number])
    made = [engine.step(), engine.step()]
    engine.submit(3, own[3])
    made += steps(engine, 3)
    found = {number: list(tokens) for step in made for number, tokens in step.answers.items()}
    assert found == {number: whole[number][:length] for number, length in lengths.items()}
    assert [step.running for step in made] == [3, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1]
    assert [step.output_tokens for step in made] == [step.running for step in made]
    assert [step.first_tokens for step in made] == [3, 0, 1] + [0] * 9
    assert [step.admitted for step in made] == [step.first_output for step in made] == [[0, 1, 2], [], [3]] + [[]] * 9
    told = [one.prompt_tokens or 0 for one in own]
    assert [step.prompt_tokens for step in made] == [sum(told[:3]), 0, told[3]] + [0] * 9
    assert [step.finished for step in made if step.finished] == [{0: 2}, {2: 5}, {3: 7}, {1: 12}]


def test_no_more_run_than_the_sweep_s_largest_batch(opened: Any) -> None:
    engine = opened()  # of the tiny config: 1 and 4
    (one,) = engine.prepare(prompts("one"))
    for number in range(6):
        engine.submit(number, one)
    made = steps(engine, 6)
    assert [(step.running, step.waiting) for step in made] == [(4, 2)] * 12 + [(2, 0)] * 12
    # Behind 12 steps each of four rows holds the prompt and 11 tokens of its answer: of 4 rows of 2,048.
    assert made[11].kv_cache_usage == pytest.approx(4 * ((one.prompt_tokens or 0) + 11) / (4 * 2048))


def test_begun_in_the_middle_it_goes_on_as_it_would_have(opened: Any) -> None:
    engine = opened()
    requests = prompts("def area(side):")
    (one,) = engine.prepare(requests)
    whole = answers(engine, requests)[0]
    aged = engine.with_prompt(one, [*one.ids, *whole[:5]])
    assert aged.prompt_tokens == len(one.ids) + 5
    engine.submit(0, aged)
    assert list(steps(engine, 1)[-1].answers[0])[:7] == whole[5:]


def test_an_end_token_ends_an_answer_unless_its_length_is_given(opened: Any) -> None:
    natural = opened(output_length=OutputLength(kind="natural", tokens=12))
    given = opened()
    natural._ends = frozenset()
    requests = prompts("one")
    free = answers(natural, requests)[0]
    end = free[5]
    natural._ends = given._ends = frozenset([end])
    assert answers(natural, requests)[0] == free[: free.index(end) + 1]
    assert answers(given, requests)[0] == free


def test_a_stop_string_ends_an_answer(opened: Any) -> None:
    natural = {"output_length": OutputLength(kind="natural", tokens=40), "prompt_form": "completion"}
    free = opened(**natural)
    said = answers(free, prompts("x = [1, 2"))[0]
    stop = free.text(said[10:12])
    ends = min(count for count in range(1, len(said) + 1) if stop in free.text(said[:count]))
    assert answers(opened(**natural, stop=(stop,)), prompts("x = [1, 2"))[0] == said[:ends]
    assert ends < len(said)


def test_abort_in_the_middle_and_go_on(opened: Any) -> None:
    engine = opened()
    requests = prompts(*TEXTS)
    before = answers(engine, requests)
    for number, one in enumerate(engine.prepare(requests)):
        engine.submit(number, one)
    engine.step()
    engine.submit(9, engine.prepare(requests)[0])
    assert engine.abort() == {}
    assert answers(engine, requests) == before
    engine.abort()
    engine.close()
    engine.close()


def test_a_request_longer_than_the_cache_holds(opened: Any) -> None:
    engine = opened(engine_settings={"max_model_len": 64}, output_length=OutputLength(kind="fixed", tokens=62))
    with pytest.raises(UserError, match=r"\d+ \+ 62 tokens is longer than 64; raise max_model_len") as error:
        engine.prepare(prompts("one"))
    assert "\n" not in str(error.value)
    fits = opened(engine_settings={"max_model_len": 4096})
    assert fits.longest == 2048  # the model's positions


def test_the_last_token_that_fits(opened: Any) -> None:
    """A prompt and its answer that fill a row of the cache to the end."""
    length = len(opened().prepare(prompts("one"))[0].ids) + 12
    engine = opened(engine_settings={"max_model_len": length})
    assert answers(engine, prompts("one"))[0] == answers(opened(), prompts("one"))[0]


def test_what_memory_cannot_hold_is_told_as_such(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from joulebench.engines import is_out_of_memory

    engine = opened()
    (one,) = engine.prepare(prompts("one"))

    class Full:
        def run_with_iobinding(self, binding: Any) -> None:
            raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 9")

        def io_binding(self) -> Any:
            return session.io_binding()

    session = engine._graph._session
    monkeypatch.setattr(engine._graph, "_session", Full())
    engine.submit(0, one)
    with pytest.raises(RuntimeError, match="Failed to allocate memory") as error:
        engine.step()
    assert is_out_of_memory(error.value)
    monkeypatch.undo()
    engine.abort()
    assert len(answers(engine, prompts("one"))[0]) == 12


def test_serving_says_nothing(opened: Any, capfd: pytest.CaptureFixture[str]) -> None:
    answers(opened(), prompts(*TEXTS))
    assert tuple(capfd.readouterr()) == ("", "")


def test_it_is_an_engine_that_serves_request_by_request(opened: Any) -> None:
    engine = opened()
    assert isinstance(engine, Engine)
    assert not engine.whole_batches
