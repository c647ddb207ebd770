"""Whether what was made of a config once, prompts and models, is what the config asks for now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joulebench.errors import UserError
from joulebench.records.files import read_model, read_prompts
from joulebench.records.models import Model

TOLERANCE = 0.01


def model_as(folder: Path, name: str, wanted: Mapping[str, Any]) -> Model:
    """model.json in the folder of the model `name`.

    Raises UserError where it was made from something else than `wanted`, what the config says of it now
    (config.spec.model_spec).
    """
    facts = read_model(folder)
    made_from = {"repo": None, **facts.made_from}  # which is only said where it is not the model's own name
    if changed := sorted(key for key, value in made_from.items() if wanted.get(key) != value):
        raise UserError(
            f"{folder}: made under another {', '.join(changed)} than the config's for models.{name}; "
            "delete it and give the same command again"
        )
    return facts


def check_parameters(name: str, found: int, expected: int | None) -> None:
    """Raises UserError where a model has over 1 % more or fewer weights than the config says."""
    if expected is not None and abs(found - expected) > TOLERANCE * expected:
        raise UserError(
            f"{name}: {found:,} parameters in its weights, the config says {expected:,}; "
            f"correct models.{name}.parameters"
        )


def require_prompts(prompts: Path, task: str, wanted: Mapping[str, Any]) -> None:
    """Raises UserError where the prompts were sampled under another `dataset` or `sample` than `wanted`'s."""
    sampled = read_prompts(prompts.with_suffix(".json"))
    if (sampled.dataset, sampled.sample) != (wanted["dataset"], wanted["sample"]):
        raise UserError(
            f"{prompts}: sampled under other settings of tasks.{task}.dataset or sample than the config's; "
            "delete it and give the same command again"
        )
