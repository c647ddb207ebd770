"""Language models with drawn weights: transformers' own classes, at any size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from joulebench import config
from joulebench.models import tokenizer


class CausalLM(BaseModel):
    """A language model: transformers' `model_type` and the sizes of its configuration class."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["causal-lm"]
    model_type: str
    config: dict[str, Any]


def network(shape: CausalLM, vocabulary: Mapping[str, int | None], dtype: Any) -> Any:
    """The model with random weights, on torch's current device; `vocabulary` gives what the shape leaves out."""
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = AutoConfig.for_model(shape.model_type, **{**vocabulary, **shape.config})
    return AutoModelForCausalLM.from_config(settings, dtype=dtype)


def save(shape: CausalLM, model: config.Synthetic, prompts: Sequence[str], folder: Path) -> None:
    """Write configuration, weights and tokenizer to `folder`."""
    import torch

    words = tokenizer.chat(model.tokenizer, prompts)
    words.save_pretrained(folder)
    made = network(shape, tokenizer.vocabulary(model.tokenizer, words), getattr(torch, model.dtype))
    if made.config.vocab_size < len(words):
        raise ValueError(f"vocab_size {made.config.vocab_size} is under the tokenizer's {len(words)}")
    made.save_pretrained(folder)
