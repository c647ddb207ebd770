"""A model's folder under results/models/: a snapshot of the hub, or weights drawn from a seed."""

from collections.abc import Sequence
from pathlib import Path

from joulebench import config
from joulebench.models import checkpoint, files, synthetic
from joulebench.records import Model, write_json
from joulebench.spec import architecture, model_spec


def prepare(name: str, model: config.Model, prompts: Sequence[str], folder: Path) -> Model:
    """Fill `folder` with the model's configuration, safetensors and tokenizer; write model.json last.

    `prompts` are the texts that a trained tokenizer is trained on. Raises UserError where the weights cannot be had,
    hold no safetensors, or do not have the parameters that the config says.
    """
    files.clear(folder)
    if isinstance(model, config.Synthetic):
        synthetic.build(name, architecture(name, model), model, prompts, folder)
    else:
        checkpoint.download(name, model, folder)
    record = Model(
        model=name,
        made_from=model_spec(name, model),
        parameters=files.count_parameters(name, folder, model.parameters),
        licence=model.licence,
        files_sha256=files.digests(folder),
    )
    write_json(record, folder / "model.json")
    return record
