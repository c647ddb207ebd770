"""Weights drawn from a seed, for an architecture of any size: the real engine's work without anybody's weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from joulebench import config
from joulebench.errors import UserError
from joulebench.models import tokenizer


class Part(BaseModel):
    """One component of a diffusion pipeline: a class of diffusers or transformers, and its configuration."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    cls: str = Field(alias="class")
    config: dict[str, Any] = {}


class CausalLM(BaseModel):
    """A language model: transformers' `model_type` and the sizes of its configuration class."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["causal-lm"]
    model_type: str
    config: dict[str, Any]


class Pipeline(BaseModel):
    """A diffusion pipeline: its class, its components by name (null: left out), and switches of its constructor."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["pipeline"]
    pipeline: str
    components: dict[str, Part | None]
    options: dict[str, bool] = {}


_ARCHITECTURE: TypeAdapter[CausalLM | Pipeline] = TypeAdapter(
    Annotated[CausalLM | Pipeline, Field(discriminator="kind")]
)


def build(
    name: str, architecture: Mapping[str, Any], model: config.Synthetic, prompts: Sequence[str], folder: Path
) -> None:
    """Write configuration, weights and tokenizer of `architecture` to `folder`, as the libraries save them.

    Raises UserError where the architecture is not one that transformers or diffusers can build.
    """
    import torch

    where = f"models.{name}.architecture"
    try:
        shape = _ARCHITECTURE.validate_python(architecture)
    except ValidationError as error:
        lines = [f"{where}: {'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()]
        raise UserError("\n".join(lines)) from None
    with torch.random.fork_rng():
        torch.manual_seed(model.seed)
        try:
            if isinstance(shape, CausalLM):
                _causal_lm(shape, model, prompts, folder)
            else:
                _pipeline(shape, model, prompts, folder)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise UserError(f"{where}: cannot be built: {' '.join(str(error).split())[:200]}") from error


def _causal_lm(shape: CausalLM, model: config.Synthetic, prompts: Sequence[str], folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    words = tokenizer.chat(model.tokenizer, prompts)
    words.save_pretrained(folder)
    settings = AutoConfig.for_model(shape.model_type, **{**_vocabulary(words, model), **shape.config})
    if settings.vocab_size < len(words):
        raise ValueError(f"vocab_size {settings.vocab_size} is under the tokenizer's {len(words)}")
    network = AutoModelForCausalLM.from_config(settings, dtype=getattr(torch, model.dtype))
    network.save_pretrained(folder)


def _vocabulary(words: Any, model: config.Synthetic) -> dict[str, int | None]:
    """A model's sizes do not depend on the prompts: a trained tokenizer may stay under its vocabulary."""
    wanted = model.tokenizer
    return {
        "vocab_size": wanted.vocabulary if isinstance(wanted, config.TrainedTokenizer) else len(words),
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }


def _pipeline(shape: Pipeline, model: config.Synthetic, prompts: Sequence[str], folder: Path) -> None:
    import diffusers
    import torch

    words = tokenizer.clip(model.tokenizer, prompts)
    parts: dict[str, Any] = {}
    for part, what in sorted(shape.components.items()):
        if what is None:
            parts[part] = None
        elif what.cls == "CLIPTokenizer":
            parts[part] = words
        else:
            parts[part] = _component(what, _vocabulary(words, model))
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.to(getattr(torch, model.dtype))
    pipeline = _named(shape.pipeline, diffusers)(**parts, **shape.options)
    pipeline.save_pretrained(folder, safe_serialization=True)


def _component(what: Part, vocabulary: dict[str, int | None]) -> Any:
    import diffusers
    import transformers

    if hasattr(diffusers, what.cls):
        return _named(what.cls, diffusers).from_config(what.config)
    kind = _named(what.cls, transformers)
    return kind(kind.config_class(**{**vocabulary, **what.config}))


def _named(name: str, library: Any) -> Any:
    found = getattr(library, name, None)
    if not (isinstance(found, type) and hasattr(found, "save_pretrained")):
        raise ValueError(f"{library.__name__} {library.__version__} has no class {name} that can be built and saved")
    return found
