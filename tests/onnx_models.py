"""Small models for the tests of the engine onnxruntime."""

from pathlib import Path
from typing import Any

from building import TEXTS, synthetic, tiny_spec

from joulebench import engines, models
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import OutputLength
from joulebench.engines.loading import language_model

MISSING = "onnxruntime-genai is not installed: make env-onnx"


def spec(**changes: Any) -> RunSpec:
    engine = {"weights": "checkpoint", "engine": "onnxruntime", "engine_settings": {}}
    return tiny_spec(**engine | {"output_length": OutputLength(kind="fixed", tokens=12)} | changes)


def build(name: str, folder: Path) -> Path:
    """A checkpoint of the config's network, its layers heavier than its embedding: else an answer repeats one token."""
    import torch
    from transformers import AutoModelForCausalLM

    models.prepare("a/b", synthetic(name), TEXTS, folder)
    made = language_model(AutoModelForCausalLM, spec(weights="synthetic"), folder)
    with torch.no_grad():
        for key, weight in made.named_parameters():
            if weight.ndim == 2 and "embed" not in key:
                weight.mul_(10)
    made.save_pretrained(folder)
    engines.export(spec(), folder)
    return folder
