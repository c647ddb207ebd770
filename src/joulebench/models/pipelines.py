"""Diffusion pipelines with drawn weights: components of diffusers and transformers, at any size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from joulebench import config
from joulebench.models import tokenizer

TOKENIZERS = ("CLIPTokenizer",)


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
    options: dict[str, bool] = {}


def networks(shape: Pipeline, vocabulary: Mapping[str, int | None], dtype: Any) -> dict[str, Any]:
    """The pipeline's models with random weights, by component, on torch's current device."""
    import torch

    made = {
        name: component(part, vocabulary)
        for name, part in sorted(shape.components.items())
        if part is not None and part.cls not in TOKENIZERS
    }
    return {name: one.to(dtype) for name, one in made.items() if isinstance(one, torch.nn.Module)}


def save(shape: Pipeline, model: config.Synthetic, prompts: Sequence[str], folder: Path) -> None:
    """Write every component to its subfolder, and model_index.json."""
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
            parts[part] = component(what, tokenizer.vocabulary(model.tokenizer, words))
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.to(getattr(torch, model.dtype))
    pipeline = _named(shape.pipeline, diffusers)(**parts, **shape.options)
    pipeline.save_pretrained(folder, safe_serialization=True)


def component(what: Part, vocabulary: Mapping[str, int | None]) -> Any:
    """One component, built from its configuration. Raises ValueError where there is no such class."""
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
