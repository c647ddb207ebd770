"""The real shapes of the configs: what each would hold, against the count that its maker published."""

import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from building import PROJECT

from joulebench import config
from joulebench.config.models import Synthetic
from joulebench.config.spec import architecture
from joulebench.models import synthetic
from joulebench.models.language import VisionLanguage, network

TOLERANCE = 0.01
PROMPTS = [f"Tell me, in {number} words, how a bicycle stays upright." for number in range(40)]
SHAPES = {
    name: model
    for file in ("config.yaml", "config/many-gpus.yaml")
    for name, model in config.load(PROJECT / file).models.items()
    if isinstance(model, Synthetic) and not name.startswith("joulebench/")
}


def test_every_real_shape_says_its_published_count() -> None:
    assert len(SHAPES) >= 20
    assert [name for name, model in SHAPES.items() if model.parameters is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_shape_has_the_published_number_of_parameters(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its folder can be made, without its weights."""
    monkeypatch.chdir(PROJECT)
    model = SHAPES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "Qwen/Qwen3-VL-8B-Instruct" and not find_spec("torchvision"):  # its processor cannot be made here
            shape = VisionLanguage.model_validate(architecture(name, model))
            with torch.device("meta"):
                counted = sum(weight.numel() for weight in network(shape, {}, torch.bfloat16).parameters())
        else:
            counted = synthetic.build(name, architecture(name, model), model, PROMPTS, tmp_path)
    assert counted == pytest.approx(model.parameters, rel=TOLERANCE)
