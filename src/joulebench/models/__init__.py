"""A model's folder under results/models/: a published checkpoint, or a shape whose weights the engine draws."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from joulebench.config import models as config
from joulebench.config.spec import architecture, model_spec
from joulebench.config.tasks import PromptForm
from joulebench.downloads import revisions
from joulebench.models import checkpoint, counting, damage, files, synthetic
from joulebench.names import TaskName
from joulebench.records.files import write_json
from joulebench.records.made import check_parameters
from joulebench.records.models import Model

__all__ = ["prepare", "replaced"]

log = logging.getLogger(__name__)


def prepare(
    name: str,
    model: config.Model,
    prompts: Sequence[str],
    folder: Path,
    asked: Mapping[TaskName, PromptForm] | None = None,
) -> Model:
    """Fill `folder` with configuration and tokenizer, and a checkpoint's safetensors; write model.json last.

    Synthetic weights are the engine's to draw, on its own device. `prompts` are the texts that a trained tokenizer is
    trained on, `asked` the text tasks that the model serves, and in which form. Raises UserError where the weights
    cannot be had, hold no safetensors, or are not as many as the config says, or where a published model's tokenizer
    or chat template cannot serve what is asked.
    """
    origin = commit = None
    if isinstance(model, config.Synthetic):
        files.clear(folder)
        parameters = synthetic.build(name, architecture(name, model), model, prompts, folder)
    else:
        origin, commit = checkpoint.fetch(name, model, folder)
        damage.check(name, folder)
        parameters = counting.count_parameters(name, folder)
        checkpoint.check_prompts(name, model, folder, asked or {})
    check_parameters(name, parameters, model.parameters)
    if origin is not None and origin.weights is not None and (held := sum(origin.weights.values())) != parameters:
        log.warning(
            "%s: %s weights in %s, of which transformers made %s", name, f"{held:,}", origin.file, f"{parameters:,}"
        )
    record = Model(
        model=name,
        made_from=model_spec(name, model),
        parameters=parameters,
        licence=model.licence,
        origin=origin,
        commit=commit,
        files_sha256=files.digests(folder),
    )
    write_json(record, folder / "model.json")
    return record


def replaced(made: Model) -> str | None:
    """A line for people where the tag or branch that a model was fetched by has another commit here now."""
    if made.commit is None:
        return None
    source = made.made_from.get("source") or {}
    repo = source.get("repo") or made.made_from.get("repo") or made.model
    return revisions.moved(repo, source.get("revision") or made.made_from["revision"], "model", made.commit)
