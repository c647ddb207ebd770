"""What a run is made of: its spec, the sampled prompts and the model, each held against the others."""

import hashlib
import logging
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from joulebench import datasets, engines
from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.records.files import read_model, read_parquet, read_prompts
from joulebench.records.models import Model
from joulebench.records.schemas import PROMPTS

log = logging.getLogger(__name__)


class Inputs(NamedTuple):
    """Of one run."""

    spec: RunSpec
    settings: BaseModel
    """The engine's own."""
    prompts: pl.DataFrame
    requests_sha256: str
    model: Model
    model_folder: Path


def checked(spec: RunSpec, prompts: Path, model: Path) -> Inputs:
    """Read `prompts`, the task's Parquet file, and model.json in the folder `model`.

    Raises UserError where one of them was made under other settings than the config's, and ConfigError for settings
    that the engine does not take.
    """
    settings = engines.check(spec)
    sampled = read_prompts(prompts.with_suffix(".json"))
    if (sampled.dataset, sampled.sample) != (spec.dataset.model_dump(mode="json"), spec.sample.model_dump(mode="json")):
        raise UserError(
            f"{prompts}: sampled under other settings of tasks.{spec.task}.dataset or sample than the config's; "
            "delete it and give the same command again"
        )
    if said := datasets.replaced(spec.dataset, prompts.with_suffix(".json")):
        log.warning("%s", said)
    table = read_parquet(prompts, PROMPTS)
    facts = read_model(model)
    wanted = spec.model_dump(mode="json", include=set(facts.made_from))
    if changed := sorted(name for name, value in facts.made_from.items() if wanted[name] != value):
        raise UserError(
            f"{model}: made under another {', '.join(changed)} than the config's for models.{spec.model}; "
            "delete it and give the same command again"
        )
    return Inputs(spec, settings, table, hashlib.sha256(prompts.read_bytes()).hexdigest(), facts, model)
