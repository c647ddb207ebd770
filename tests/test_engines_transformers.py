"""The transformers engine, stepped by hand on a tiny network."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from joulebench import config, models
from joulebench.config.models import Synthetic
from joulebench.config.spec import RunSpec, run_spec
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.base import TextEngine
from joulebench.records.schemas import PROMPTS

PROJECT = Path(__file__).parents[1]
TEXTS = ["def area(side):", "def volume(side, height):", "print('three')", "x = [1, 2, 3]"] * 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    architecture = str(PROJECT / "config" / "models" / "llama-1m.yaml")
    tokenizer = {"kind": "trained", "train_on": "llm-chat", "vocabulary": 300}
    facts = {"weights": "synthetic", "architecture": architecture, "tokenizer": tokenizer, "dtype": "float32"}
    models.prepare("a/b", Synthetic.model_validate(facts), TEXTS, made)
    return made


def spec(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> RunSpec:
    monkeypatch.chdir(PROJECT)
    made = run_spec(config.load("config/tiny.yaml"), "cpu", "llm-chat", "joulebench/llama-1m")
    return made.model_copy(update=changes)


def prompts(*texts: str) -> pl.DataFrame:
    rows = [(number, str(number), text, "one two three", None) for number, text in enumerate(texts)]
    return pl.DataFrame(rows, schema=PROMPTS, orient="row")


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


def test_answers_get_the_length_that_was_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    length = OutputLength(kind="fixed", tokens=7)
    engine = open_engine(spec(monkeypatch, output_length=length), folder)
    prepared = engine.prepare(prompts("one", "two and more words", "three"))
    for number, one in enumerate(prepared):
        engine.submit(number, one)  # type: ignore[union-attr]
    finished, tokens = serve(engine, 3)  # type: ignore[arg-type]
    engine.close()
    assert finished == {0: 7, 1: 7, 2: 7}
    assert tokens == 21


def test_a_completion_prompt_has_no_chat_template(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = open_engine(spec(monkeypatch), folder)
    plain = open_engine(spec(monkeypatch, prompt_form="completion"), folder)
    ((framed,), (bare,)) = (engine.prepare(prompts("def area(side):")) for engine in (chat, plain))
    assert framed.prompt_tokens == (bare.prompt_tokens or 0) + 3  # user, end and assistant
    assert isinstance(framed.prompt, list)
    assert framed.prompt[1:-2] == bare.prompt
    chat.close()
    plain.close()


def test_a_stop_string_ends_an_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    natural = OutputLength(kind="natural", tokens=40)
    free = open_engine(spec(monkeypatch, output_length=natural, prompt_form="completion"), folder)
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
    held = open_engine(spec(monkeypatch, output_length=natural, prompt_form="completion", stop=(stop,)), folder)
    held.submit(0, held.prepare(prompts("x = [1, 2"))[0])  # type: ignore[union-attr]
    finished, tokens = serve(held, 1)  # type: ignore[arg-type]
    held.submit(1, held.prepare(prompts("x = [1, 2"))[0])  # type: ignore[union-attr]
    assert serve(held, 1)[0] == {1: ends}  # type: ignore[arg-type]
    held.close()
    assert (finished, tokens) == ({0: ends}, ends)
