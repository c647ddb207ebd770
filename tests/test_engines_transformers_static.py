"""The static-batch engine on tiny networks: a language model, and one that sees."""

import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
import torch
import transformers
from building import asked, painted, synthetic, tiny_spec
from PIL import Image

from joulebench import models
from joulebench.config import sweeps
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.base import Step
from joulebench.engines.loading import language_model
from joulebench.engines.transformers_static import Engine
from joulebench.errors import UserError
from joulebench.loads.closed_loop import overloaded
from joulebench.loads.setting import Setting
from joulebench.measure.serving import Load, Serving
from joulebench.measure.text import serve
from joulebench.records.schemas import ITERATIONS

TEXTS = ["def area(side):", "def volume(side, height):", "What is in this picture?", "x = [1, 2, 3]"] * 10
PICTURE = painted((200, 30, 30), size=(90, 60))
IMAGE_TOKENS = 64  # 112 / 14 patches a side


def build(name: str, folder: Path) -> Path:
    """A checkpoint of the config's network, its layers heavier than its embedding: else an answer repeats one token."""
    models.prepare("a/b", synthetic(name), TEXTS, folder)
    kind = transformers.AutoModelForImageTextToText if "llava" in name else transformers.AutoModelForCausalLM
    made = language_model(kind, spec().model_copy(update={"weights": "synthetic"}), folder)
    with torch.no_grad():
        for key, weight in made.named_parameters():
            if weight.ndim == 2 and "embed" not in key:
                weight.mul_(10)
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llama-1m", tmp_path_factory.mktemp("language"))


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llava-5m", tmp_path_factory.mktemp("seeing"))


def spec(**changes: Any) -> RunSpec:
    engine = {"weights": "checkpoint", "engine": "transformers-static", "engine_settings": {}}
    return tiny_spec(**engine | {"output_length": OutputLength(kind="reference", tokens=40)} | changes)


def opened(folder: Path, **changes: Any) -> Engine:
    engine = open_engine(spec(**changes), folder)
    assert isinstance(engine, Engine)
    return engine


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert {one for one in threading.enumerate() if one.name.startswith("generate")} <= before


def prompts(*rows: tuple[str, str], image: bytes | None = None) -> pl.DataFrame:
    return asked(*((text, answer, image) for text, answer in rows))


def batch(engine: Engine) -> list[Step]:
    """Every step of one batch."""
    steps = [engine.step()]
    while not steps[-1].finished:
        steps.append(engine.step())
    return steps


def answers(engine: Engine, requests: pl.DataFrame, together: bool) -> dict[int, list[int]]:
    """The tokens of each answer, served in one batch or one by one."""
    said: dict[int, list[int]] = {}
    prepared = engine.prepare(requests)
    groups = [range(len(prepared))] if together else [[number] for number in range(len(prepared))]
    for group in groups:
        for number in group:
            engine.submit(number, prepared[number])
        engine.step()
        current = engine._batch
        assert current is not None
        while not engine.step().finished:
            pass
        said |= dict(zip(current.requests, current._answers, strict=True))
    return said


def test_prefill_and_decode_are_iterations_of_their_own(language: Path) -> None:
    engine = opened(language)
    requests = prompts(("one", "a b c"), ("two and many more words", "a b c d e f"), ("three", "a"))
    prepared = engine.prepare(requests)
    lengths = [one.max_output_tokens for one in prepared]
    assert lengths[2] < lengths[0] < lengths[1]
    for number, one in enumerate(prepared):
        engine.submit(number + 5, one)
    steps = batch(engine)
    engine.close()
    assert len(steps) == lengths[1]
    prefill, *decode = steps
    assert prefill.prompt_tokens == sum(one.prompt_tokens or 0 for one in prepared)
    assert prefill.admitted == prefill.first_output == [5, 6, 7]
    assert prefill.output_tokens == 3
    assert all((step.prompt_tokens, step.admitted, step.first_output) == (0, [], []) for step in decode)
    growing = [sum(length > place for length in lengths) for place in range(lengths[1])]
    assert [step.output_tokens for step in steps] == growing
    assert {step.running for step in steps} == {3}
    assert steps[-1].finished == {5: lengths[0], 6: lengths[1], 7: lengths[2]}
    assert all(not step.finished for step in steps[:-1])


@pytest.mark.slow
def test_padding_changes_no_answer(language: Path) -> None:
    engine = opened(language, output_length=OutputLength(kind="fixed", tokens=12))
    requests = prompts(("one", ""), ("def volume(side, height): and many more words", ""), ("x = [1, 2, 3]", ""))
    assert answers(engine, requests, together=True) == answers(engine, requests, together=False)
    engine.close()


@pytest.mark.slow
def test_an_image_is_tokens_of_the_prompt(seeing: Path) -> None:
    plain, grey = PICTURE, painted(99, "L", (333, 31))
    engine = opened(seeing, task="vlm-chat")
    text = "What is in this picture?"
    (with_image,) = engine.prepare(prompts((text, "a b"), image=plain))
    words = len(engine._tokenizer(text).input_ids)
    assert with_image.prompt_tokens == IMAGE_TOKENS + words + 3  # user, end and assistant
    requests = pl.concat([prompts((text, "a b c d"), image=plain), prompts(("x = [1", "a b c d e"), image=grey)])
    together, alone = answers(engine, requests, together=True), answers(engine, requests, together=False)
    engine.close()
    assert together == alone


@pytest.mark.slow
def test_what_is_shown_changes_the_answer(seeing: Path) -> None:
    engine = opened(seeing, task="vlm-chat", output_length=OutputLength(kind="fixed", tokens=1))
    noise = Image.effect_noise((112, 112), 90).convert("RGB")
    file = io.BytesIO()
    noise.save(file, format="PNG")
    logits = []
    for image in (PICTURE, file.getvalue()):
        (one,) = engine.prepare(prompts(("x = [1", ""), image=image))
        logits.append(engine._model(**engine._collated([one.prompt])).logits[0, -1])
    engine.close()
    assert not logits[0].equal(logits[1])


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (None, r"request 0 has no image, its task needs one; set dataset\.media"),
        (b"GIF89a", "request 0: its image is no JPEG, PNG or WebP file that can be read"),
        (PICTURE[:60], "request 0: its image is no JPEG, PNG or WebP file that can be read"),
    ],
)
def test_a_request_without_an_image_that_can_be_read(seeing: Path, image: bytes | None, complaint: str) -> None:
    engine = opened(seeing, task="vlm-chat")
    with pytest.raises(UserError, match=complaint) as error:
        engine.prepare(prompts(("What?", "a"), image=image))
    assert "\n" not in str(error.value)
    engine.close()


def test_an_answer_ends_by_itself_at_an_end_token(language: Path) -> None:
    natural = OutputLength(kind="natural", tokens=12)
    engine = opened(language, output_length=natural)
    requests = prompts(("one", ""), ("def volume(side):", ""))
    engine._ends = frozenset()
    free = answers(engine, requests, together=True)
    end = free[0][5]  # from here on this token is the end
    engine._ends = frozenset([end])
    held = answers(engine, requests, together=True)
    engine.close()
    for number, tokens in free.items():
        assert held[number] == (tokens[: tokens.index(end) + 1] if end in tokens else tokens)
    assert len(held[0]) <= 6


def test_the_checkpoint_s_sampling_and_penalties_do_not_count(language: Path, tmp_path: Path) -> None:
    shutil.copytree(language, tmp_path / "m")
    file = tmp_path / "m" / "generation_config.json"
    wilful = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 50.0, "max_length": 3}
    file.write_text(json.dumps(json.loads(file.read_text()) | wilful))
    length = OutputLength(kind="fixed", tokens=12)
    plain, other = opened(language, output_length=length), opened(tmp_path / "m", output_length=length)
    requests = prompts(("one", ""), ("def volume(side):", ""))
    assert answers(plain, requests, together=True) == answers(other, requests, together=True)
    plain.close()
    other.close()


def test_serving_says_nothing(seeing: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = opened(seeing, task="vlm-chat", output_length=OutputLength(kind="fixed", tokens=3))
    answers(engine, prompts(("one", ""), ("two words", ""), image=PICTURE), together=True)
    engine.close()
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_request_longer_than_the_model(language: Path) -> None:
    engine = opened(language, output_length=OutputLength(kind="fixed", tokens=2048))
    with pytest.raises(UserError, match=r"\d+ \+ 2048 tokens is longer than the model's 2048; lower"):
        engine.prepare(prompts(("one", "")))
    engine.close()


@pytest.mark.slow
def test_an_answer_ends_by_itself_at_a_stop_string(language: Path) -> None:
    free = opened(language, output_length=OutputLength(kind="natural", tokens=40), prompt_form="completion")
    requests = prompts(("x = [1, 2", ""), ("def area(", ""))
    said = answers(free, requests, together=True)
    free.close()
    stop = free._tokenizer.decode(said[0][10:12])
    ends = {
        number: next(
            (count for count in range(1, len(tokens) + 1) if stop in free._tokenizer.decode(tokens[:count])),
            len(tokens),
        )
        for number, tokens in said.items()
    }
    assert ends[0] <= 12
    held = opened(
        language, output_length=OutputLength(kind="natural", tokens=40), prompt_form="completion", stop=(stop,)
    )
    for number, one in enumerate(held.prepare(requests)):
        held.submit(number, one)
    steps = batch(held)
    held.close()
    assert steps[-1].finished == ends
    assert len(steps) == max(ends.values())


def test_abort_in_the_middle_and_go_on(language: Path) -> None:
    engine = opened(language, output_length=OutputLength(kind="fixed", tokens=9))
    (one,) = engine.prepare(prompts(("one", "")))
    engine.submit(0, one)
    engine.step()
    engine.submit(1, one)
    assert engine.step().waiting == 1
    engine.abort()
    engine.submit(2, one)
    assert [step.finished for step in batch(engine)] == [{}] * 8 + [{2: 9}]
    engine.abort()
    engine.close()
    engine.close()


def test_what_breaks_a_batch_is_raised_as_it_is_and_the_next_is_served(
    language: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(language, output_length=OutputLength(kind="fixed", tokens=4))
    (one,) = engine.prepare(prompts(("one", "")))
    calls = []
    forward = engine._model.forward

    def full(*words: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("no room")
        return forward(*words, **named)

    monkeypatch.setattr(engine._model, "forward", full)
    engine.submit(0, one)
    engine.step()
    engine.step()
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        engine.step()
    engine.abort()
    engine.submit(1, one)
    assert batch(engine)[-1].finished == {1: 4}
    engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("count", [24, 21])
def test_a_point_of_whole_batches(language: Path, count: int) -> None:
    """Four in flight, five tokens each: six batches of five iterations, the last smaller where the count wants it."""
    engine = opened(language, output_length=OutputLength(kind="fixed", tokens=5))
    prepared = engine.prepare(prompts(("one", ""), ("two words", ""), ("three", "")))
    load = Load(0, ITERATIONS)
    serve(
        engine,
        Serving(prepared, Setting(max_batch_size=4), sweeps.Fixed(kind="fixed", requests=count)),
        load,
        lambda _: None,
    )
    engine.close()
    iterations = load.tables()[1]
    assert iterations.height == 30
    assert iterations["first_tokens"].to_list() == ([4, 0, 0, 0, 0] * 5) + [count - 20, 0, 0, 0, 0]
    assert [tokens > 0 for tokens in iterations["prompt_tokens"]] == [True, False, False, False, False] * 6
    assert overloaded(iterations, 4) == (False, 4.0)


@pytest.mark.slow
def test_a_timed_point_ends_between_batches(language: Path) -> None:
    engine = opened(language, output_length=OutputLength(kind="fixed", tokens=6))
    prepared = engine.prepare(prompts(("one", ""), ("two words", "")))
    load = Load(0, ITERATIONS)
    serve(
        engine,
        Serving(prepared, Setting(max_batch_size=2), sweeps.Timed(kind="timed", seconds=0.05)),
        load,
        lambda _: None,
    )
    engine.close()
    requests, iterations = load.tables()
    assert iterations.height % 6 == 0
    assert requests["status"].to_list() == ["finished"] * (iterations.height // 6 * 2)
    assert iterations["end_s"][-1] - iterations["end_s"][5] >= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_is_as_asked_and_changes_no_answer(language: Path, attention: Literal["eager", "sdpa"]) -> None:
    requests = prompts(("one", "a b c"), ("two and many more words", "a b c d e f"))
    plain, asked_for = opened(language), opened(language, attention=attention)
    assert asked_for._model.config._attn_implementation == attention
    assert answers(asked_for, requests, True) == answers(plain, requests, True)
    plain.close()
    asked_for.close()
