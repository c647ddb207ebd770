"""A model's folder under results/models/: a snapshot of the hub, or a shape whose weights the engine draws."""

from collections.abc import Sequence
from pathlib import Path

from joulebench import config
from joulebench.models import checkpoint, damage, files, synthetic
from joulebench.records import Model, write_json
from joulebench.spec import architecture, model_spec


def prepare(name: str, model: config.Model, prompts: Sequence[str], folder: Path) -> Model:
    """Fill `folder` with configuration and tokenizer, and a checkpoint's safetensors; write model.json last.

    Synthetic weights are the engine's to draw, on its own device. `prompts` are the texts that a trained tokenizer is
    trained on. Raises UserError where the weights cannot be had, hold no safetensors, or are not as many as the config
    says.
    """
    files.clear(folder)
    if isinstance(model, config.Synthetic):
        parameters = synthetic.build(name, architecture(name, model), model, prompts, folder)
    else:
        checkpoint.download(name, model, folder)
        damage.check(name, folder)
        parameters = files.count_parameters(name, folder)
    files.check_parameters(name, parameters, model.parameters)
    record = Model(
        model=name,
        made_from=model_spec(name, model),
        parameters=parameters,
        licence=model.licence,
        files_sha256=files.digests(folder),
    )
    write_json(record, folder / "model.json")
    return record
