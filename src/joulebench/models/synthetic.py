"""An architecture of any size without anybody's weights: the engine draws them, and its work is the real one's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from joulebench.config.models import Synthetic
from joulebench.errors import UserError
from joulebench.models import language, pipelines

Shape = language.CausalLM | language.VisionLanguage | pipelines.Pipeline

_ARCHITECTURE: TypeAdapter[Shape] = TypeAdapter(Annotated[Shape, Field(discriminator="kind")])


def build(name: str, architecture: Mapping[str, Any], model: Synthetic, prompts: Sequence[str], folder: Path) -> int:
    """Write configurations and tokenizers of `architecture` to `folder`, as the libraries save them; how many weights
    it asks for, counted without memory for them (torch's meta device). Weights that two layers share count once.

    Raises UserError where the architecture is not one that transformers or diffusers can build.
    """
    where = f"models.{name}.architecture"
    try:
        shape = _ARCHITECTURE.validate_python(architecture)
    except ValidationError as error:
        lines = [f"{where}: {'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()]
        raise UserError("\n".join(lines)) from None
    try:
        if isinstance(shape, pipelines.Pipeline):
            return pipelines.save(shape, model, prompts, folder)
        return language.save(shape, model, prompts, folder)
    except (TypeError, ValueError, AttributeError, KeyError, ImportError) as error:
        raise UserError(f"{where}: cannot be built: {' '.join(str(error).split())[:200]}") from error
