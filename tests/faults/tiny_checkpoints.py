"""Tiny checkpoints in the layouts that real repositories have, and the specs and engines to serve them with."""

import json
from pathlib import Path
from typing import Any

import building
import polars as pl
import pytest
import torch
from building import TEXTS, TINY_MODELS, tiny
from transformers import LlamaConfig, LlamaForCausalLM

from joulebench import config
from joulebench.config.models import TrainedTokenizer
from joulebench.config.spec import RunSpec, run_spec
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.base import Prepared
from joulebench.models import tokenizer as tokenizers

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
VOCABULARY = 300
TRAINED = TrainedTokenizer(kind="trained", train_on="llm-chat", vocabulary=VOCABULARY)
LONGEST = 16


def odd(id_: str, what: str, outcome: str, *values: Any) -> Any:
    """One case of a parametrized test, and its row in the page of reliability."""
    return pytest.param(*values, id=id_, marks=pytest.mark.fault("input", what, outcome))


def words(image: str = "", *special: str) -> Any:
    """A byte-level tokenizer with a chat template; ids 0 to 2 are <|end|>, <|user|> and <|assistant|>.

    `image` is what stands for an image, `special` are further special tokens.
    """
    return tokenizers.chat(TRAINED, TEXTS, [*filter(None, [image]), *special], image)


def weights(**changes: Any) -> int:
    """Weights of `llama`, by its sizes: embedding and head, two layers, a norm."""
    attention = 32 * 32 + 2 * 32 * 16 + 32 * 32
    return 2 * VOCABULARY * 32 + 2 * (attention + 3 * 32 * 64 + 2 * 32) + 32


def llama(folder: Path, says: int | None = None, **settings: Any) -> Any:
    """A checkpoint in `folder` as transformers writes it; `says`: the one token that every answer repeats."""
    tokenizer = words()
    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    made = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, **SIZES, **ends | settings))
    if says is not None:
        with torch.no_grad():
            for name, weight in made.named_parameters():
                weight.fill_(1.0 if "norm" in name or "embed" in name else 0.0)
            made.lm_head.weight[says] = 1.0
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return made


def edited(file: Path, **values: Any) -> None:
    """Set keys of a JSON file; a value of None takes the key away."""
    content = json.loads(file.read_text()) | values
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def spec(task: str = "llm-chat", **changes: Any) -> RunSpec:
    """A run of the tiny config, of a checkpoint that ends its answers by itself."""
    raw = tiny()
    for facts in raw["models"].values():
        facts["architecture"] = {}  # a checkpoint's are its own files
    made = run_spec(config.parse(raw), "cpu", task, TINY_MODELS[task])  # type: ignore[arg-type]
    length = OutputLength(kind="natural", tokens=LONGEST) if made.output_length else None
    return made.model_copy(
        update={"weights": "checkpoint", "engine_settings": {"threads": 1}, "output_length": length, **changes}
    )


def asked(*texts: str, images: list[bytes] | None = None, answer: str | None = None) -> pl.DataFrame:
    """Requests as they are sampled."""
    return building.asked(*((text, answer, images[n] if images else None) for n, text in enumerate(texts)))


def prepared(folder: Path, requests: pl.DataFrame, **changes: Any) -> list[Prepared]:
    """What an engine makes of the requests."""
    engine = open_engine(spec(**changes), folder)
    try:
        return engine.prepare(requests)
    finally:
        engine.close()


def answered(folder: Path, requests: pl.DataFrame, **changes: Any) -> dict[int, int]:
    """Request -> the tokens of its answer, all served together."""
    engine: Any = open_engine(spec(**changes), folder)
    done: dict[int, int] = {}
    try:
        for number, one in enumerate(engine.prepare(requests)):
            engine.submit(number, one)
        while len(done) < requests.height:
            step = engine.step()
            assert not step.failed
            done |= step.finished
    finally:
        engine.close()
    return done
