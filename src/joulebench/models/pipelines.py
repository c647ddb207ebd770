"""Shapes of diffusion pipelines: components of diffusers and transformers, at any size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from joulebench.config.models import Synthetic
from joulebench.models import tokenizer

TOKENIZERS = {"CLIPTokenizer": tokenizer.clip, "T5Tokenizer": tokenizer.t5, "T5TokenizerFast": tokenizer.t5}


class Part(BaseModel):
    """One component of a diffusion pipeline: a class of diffusers or transformers, and its configuration."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    cls: str = Field(alias="class")
    config: dict[str, Any] = {}


class Pipeline(BaseModel):
    """A diffusion pipeline: its class, its components by name (null: left out), and switches of its constructor."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["pipeline"]
    pipeline: str
    components: dict[str, Part | None]
    options: dict[str, bool | float] = {}


def save(shape: Pipeline, model: Synthetic, prompts: Sequence[str], folder: Path) -> int:
    """Write every component's configuration to its subfolder, and model_index.json; how many weights they ask for."""
    import diffusers
    import torch

    parts: dict[str, Any] = dict.fromkeys(shape.components)
    for part, what in sorted(shape.components.items()):
        if what is not None and what.cls in TOKENIZERS:
            parts[part] = TOKENIZERS[what.cls](model.tokenizer, prompts)
    for part, what in sorted(shape.components.items()):
        if what is not None and what.cls not in TOKENIZERS:
            words = parts.get(_tokenizer_of(part))
            vocabulary = tokenizer.vocabulary(model.tokenizer, words) if words is not None else {}
            is_network = issubclass(_kind(what.cls), torch.nn.Module)
            with torch.device("meta" if is_network else "cpu"):
                parts[part] = component(what, vocabulary)
    _named(shape.pipeline, diffusers)(**parts, **shape.options).save_config(folder)
    networks: dict[str, Any] = {part: made for part, made in parts.items() if isinstance(made, torch.nn.Module)}
    for part, made in parts.items():
        if part not in networks and made is not None:
            made.save_pretrained(folder / part)
    for part, made in networks.items():
        write = made.save_config if hasattr(made, "save_config") else made.config.save_pretrained
        write(folder / part)
    return sum(weight.numel() for made in networks.values() for weight in made.parameters())


def component(what: Part, vocabulary: Mapping[str, int | None]) -> Any:
    """One component on torch's current device; `vocabulary` gives what a text encoder's configuration leaves out.

    Raises ValueError where there is no such class, or it is a tokenizer of no known kind.
    """
    from transformers import PreTrainedTokenizerBase

    kind = _kind(what.cls)
    if hasattr(kind, "from_config"):
        return kind.from_config(what.config)
    if issubclass(kind, PreTrainedTokenizerBase):
        raise ValueError(f"{what.cls} cannot be trained here; the tokenizers that can are {', '.join(TOKENIZERS)}")
    if not hasattr(kind, "config_class"):  # an image processor is its own configuration
        return kind(**what.config)
    return kind(kind.config_class(**{**vocabulary, **what.config}))


def _kind(name: str) -> Any:
    import diffusers
    import transformers

    return _named(name, diffusers if hasattr(diffusers, name) else transformers)


def _tokenizer_of(part: str) -> str:
    """text_encoder_2 -> tokenizer_2; empty for what encodes no text."""
    return part.replace("text_encoder", "tokenizer") if part.startswith("text_encoder") else ""


def _named(name: str, library: Any) -> Any:
    found = getattr(library, name, None)
    if not (isinstance(found, type) and hasattr(found, "save_pretrained")):
        raise ValueError(f"{library.__name__} {library.__version__} has no class {name} that can be built and saved")
    return found
