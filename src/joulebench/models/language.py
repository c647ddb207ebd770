"""Shapes of language models, with or without eyes: transformers' own classes, at any size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from joulebench.config.models import Synthetic
from joulebench.models import tokenizer


class CausalLM(BaseModel):
    """A language model: transformers' `model_type` and the sizes of its configuration class."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["causal-lm"]
    model_type: str
    config: dict[str, Any]


class Part(BaseModel):
    """A part of a processor: a class of transformers, and its settings."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    cls: str = Field(alias="class")
    config: dict[str, Any] = {}


class Processor(Part):
    """What turns images and text into a model's inputs, by the names of its constructor."""

    image_processor: Part
    video_processor: Part | None = None


class VisionLanguage(BaseModel):
    """A language model that sees: `config` holds a text_config and a vision_config.

    `token_ids` maps the configuration's names of special tokens to the tokens (image_token_id: <image>);
    `image_prompt` is what the chat template sets for an image, before the processor makes as many tokens of it as the
    vision tower gives.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["vision-language"]
    model_type: str
    config: dict[str, Any]
    processor: Processor
    token_ids: dict[str, str]
    image_prompt: str


def network(shape: CausalLM | VisionLanguage, vocabulary: Mapping[str, Any], dtype: Any) -> Any:
    """The model, on torch's current device; `vocabulary` gives what the shape leaves out."""
    import transformers

    if isinstance(shape, CausalLM):
        settings = transformers.AutoConfig.for_model(shape.model_type, **{**vocabulary, **shape.config})
        return transformers.AutoModelForCausalLM.from_config(settings, dtype=dtype)
    texts = {**vocabulary, **shape.config["text_config"]}
    settings = transformers.AutoConfig.for_model(shape.model_type, **{**shape.config, "text_config": texts})
    return transformers.AutoModelForImageTextToText.from_config(settings, dtype=dtype)


def save(shape: CausalLM | VisionLanguage, model: Synthetic, prompts: Sequence[str], folder: Path) -> int:
    """Write configuration, tokenizer and, where there is one, processor to `folder`; how many weights it asks for."""
    import torch

    if isinstance(shape, VisionLanguage):
        words = tokenizer.chat(model.tokenizer, prompts, list(shape.token_ids.values()), shape.image_prompt)
        ids = {name: words.convert_tokens_to_ids(token) for name, token in shape.token_ids.items()}
        shape = shape.model_copy(update={"config": {**shape.config, **ids}})
        _processor(shape.processor, words).save_pretrained(folder)
    else:
        words = tokenizer.chat(model.tokenizer, prompts)
        words.save_pretrained(folder)
    with torch.device("meta"):
        made = network(shape, tokenizer.vocabulary(model.tokenizer, words), getattr(torch, model.dtype))
    size = made.config.get_text_config().vocab_size
    if size < len(words):
        raise ValueError(f"vocab_size {size} is under the tokenizer's {len(words)}")
    made.config.architectures = [type(made).__name__]
    made.config.save_pretrained(folder)
    return sum(weight.numel() for weight in made.parameters())


def _processor(shape: Processor, words: Any) -> Any:
    parts = {"image_processor": shape.image_processor, "video_processor": shape.video_processor}
    made = {name: _class(part.cls)(**part.config) for name, part in parts.items() if part is not None}
    return _class(shape.cls)(**made, tokenizer=words, chat_template=words.chat_template, **shape.config)


def _class(name: str) -> Any:
    import transformers

    found = getattr(transformers, name, None)
    if not (isinstance(found, type) and hasattr(found, "save_pretrained")):
        raise ValueError(f"transformers {transformers.__version__} has no class {name} that can be built and saved")
    return found
