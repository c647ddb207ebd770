"""The transformers engine, stepped by hand on a tiny network."""

from pathlib import Path

import polars as pl
import pytest
from building import TEXTS, asked, synthetic, tiny_spec

from joulebench import models
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.base import TextEngine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    models.prepare("a/b", synthetic("llama-1m"), TEXTS, made)
    return made


def prompts(*texts: str) -> pl.DataFrame:
    return asked(*((text, "one two three", None) for text in texts))


def serve(engine: TextEngine, count: int) -> tuple[dict[int, int], int]:
    """Output tokens of each request, and of all steps together."""
    finished: dict[int, int] = {}
    tokens = 0
    while len(finished) < count:
        step = engine.step()
        tokens += step.output_tokens
        finished |= step.finished
        assert not step.failed
    return finished, tokens


def test_answers_get_the_length_that_was_asked_for(folder: Path) -> None:
    length = OutputLength(kind="fixed", tokens=7)
    engine = open_engine(tiny_spec(output_length=length), folder)
    prepared = engine.prepare(prompts("one", "two and more words", "three"))
    for number, one in enumerate(prepared):
        engine.submit(number, one)  # type: ignore[union-attr]
    finished, tokens = serve(engine, 3)  # type: ignore[arg-type]
    engine.close()
    assert finished == {0: 7, 1: 7, 2: 7}
    assert tokens == 21


def test_a_completion_prompt_has_no_chat_template(folder: Path) -> None:
    chat = open_engine(tiny_spec(), folder)
    plain = open_engine(tiny_spec(prompt_form="completion"), folder)
    ((framed,), (bare,)) = (engine.prepare(prompts("def area(side):")) for engine in (chat, plain))
    assert framed.prompt_tokens == (bare.prompt_tokens or 0) + 3  # user, end and assistant
    assert isinstance(framed.prompt, list)
    assert framed.prompt[1:-2] == bare.prompt
    chat.close()
    plain.close()


def test_a_stop_string_ends_an_answer(folder: Path) -> None:
    from transformers import AutoTokenizer

    natural = OutputLength(kind="natural", tokens=40)
    free = open_engine(tiny_spec(output_length=natural, prompt_form="completion"), folder)
    said: list[int] = []
    free.submit(0, free.prepare(prompts("x = [1, 2"))[0])  # type: ignore[union-attr]
    while True:
        step = free.step()  # type: ignore[union-attr]
        if step.finished:
            break
        said = list(free._processor.scheduler.active_requests["0"].generated_tokens)  # type: ignore[union-attr]
    whole = step.finished[0]
    free.close()
    words = AutoTokenizer.from_pretrained(folder)
    stop = words.decode(said[10:12])
    ends = min(count for count in range(1, len(said) + 1) if stop in words.decode(said[:count]))
    assert ends < whole
    held = open_engine(tiny_spec(output_length=natural, prompt_form="completion", stop=(stop,)), folder)
    held.submit(0, held.prepare(prompts("x = [1, 2"))[0])  # type: ignore[union-attr]
    finished, tokens = serve(held, 1)  # type: ignore[arg-type]
    held.submit(1, held.prepare(prompts("x = [1, 2"))[0])  # type: ignore[union-attr]
    assert serve(held, 1)[0] == {1: ends}  # type: ignore[arg-type]
    held.close()
    assert (finished, tokens) == ({0: ends}, ends)


def test_every_attention_gives_the_same_answers(folder: Path) -> None:
    said: dict[str | None, list[list[int]]] = {}
    for attention in (None, "eager", "sdpa"):
        engine = open_engine(tiny_spec(attention=attention, output_length=OutputLength(kind="fixed", tokens=9)), folder)
        assert attention is None or attention in engine._model.config._attn_implementation  # type: ignore[union-attr]
        prepared = engine.prepare(prompts("one", "two and more words"))
        for number, one in enumerate(prepared):
            engine.submit(number, one)  # type: ignore[union-attr]
        answers: dict[int, list[int]] = {}
        while len(answers) < 2:
            answers |= {number: list(ids) for number, ids in engine.step().answers.items()}  # type: ignore[union-attr]
        engine.close()
        said[attention] = [answers[number] for number in range(2)]
    assert said["eager"] == said["sdpa"] == said[None]
