"""Weights drawn from a seed, for an architecture of any size: the real engine's work without anybody's weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from joulebench import config
from joulebench.errors import UserError
from joulebench.models import language, pipelines, tokenizer

Shape = language.CausalLM | language.VisionLanguage | pipelines.Pipeline

_ARCHITECTURE: TypeAdapter[Shape] = TypeAdapter(Annotated[Shape, Field(discriminator="kind")])


def build(
    name: str, architecture: Mapping[str, Any], model: config.Synthetic, prompts: Sequence[str], folder: Path
) -> None:
    """Write configuration, weights and tokenizer of `architecture` to `folder`, as the libraries save them.

    Raises UserError where the architecture is not one that transformers or diffusers can build.
    """
    import torch

    shape = _checked(name, architecture)
    with torch.random.fork_rng():
        torch.manual_seed(model.seed)
        try:
            if isinstance(shape, pipelines.Pipeline):
                pipelines.save(shape, model, prompts, folder)
            else:
                language.save(shape, model, prompts, folder)
        except (TypeError, ValueError, AttributeError, KeyError, ImportError) as error:
            raise UserError(_cannot(name, error)) from error


def parameters(name: str, architecture: Mapping[str, Any], model: config.Synthetic) -> int:
    """How many weights `build` would draw, counted without memory for them (torch's meta device).

    Weights that two layers share count once. Raises UserError as `build` does.
    """
    import torch

    shape = _checked(name, architecture)
    sizes = tokenizer.vocabulary(model.tokenizer)
    try:
        with torch.device("meta"):
            if isinstance(shape, pipelines.Pipeline):
                made = list(pipelines.networks(shape, sizes, torch.bfloat16).values())
            else:
                made = [language.network(shape, sizes, torch.bfloat16)]
    except (TypeError, ValueError, AttributeError, KeyError, ImportError) as error:
        raise UserError(_cannot(name, error)) from error
    return sum(weight.numel() for network in made for weight in network.parameters())


def _checked(name: str, architecture: Mapping[str, Any]) -> Shape:
    try:
        return _ARCHITECTURE.validate_python(architecture)
    except ValidationError as error:
        where = f"models.{name}.architecture"
        lines = [f"{where}: {'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()]
        raise UserError("\n".join(lines)) from None


def _cannot(name: str, error: Exception) -> str:
    return f"models.{name}.architecture: cannot be built: {' '.join(str(error).split())[:200]}"
