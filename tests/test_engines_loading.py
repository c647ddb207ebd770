"""Weights as the engines load them: drawn from a seed, or a checkpoint's; on tiny shapes of the project."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from building import TINY_MODELS, tiny_config, tiny_spec

from joulebench import models
from joulebench.config.spec import RunSpec
from joulebench.engines import loading
from joulebench.errors import UserError
from joulebench.records.models import Model

TEXTS = [f"a red bicycle number {number} rolls down the street" for number in range(40)]
CELLS = {"llama-1m": "llm-chat", "sd-5m": "text-to-image"}
Drawn = tuple[RunSpec, Path, Model]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Drawn]:
    """The spec of a run in float32, the model's folder without weights, and its record."""
    made = {}
    for name, task in CELLS.items():
        model, folder = TINY_MODELS[task], tmp_path_factory.mktemp(name)
        record = models.prepare(model, tiny_config().models[model], TEXTS, folder)
        made[name] = tiny_spec(task), folder, record
    return made


def networks(name: str, spec: RunSpec, folder: Path) -> dict[str, Any]:
    """Every network of a shape, loaded anew, by its part's name."""
    import torch
    from transformers import AutoModelForCausalLM

    if CELLS[name] == "llm-chat":
        return {"model": loading.language_model(AutoModelForCausalLM, spec, folder)}
    parts = loading.pipeline(spec, folder).components
    return {part: network for part, network in parts.items() if isinstance(network, torch.nn.Module)}


def same(first: dict[str, Any], second: dict[str, Any]) -> dict[str, bool]:
    """Of each weight of two loadings: is it the same, bit by bit?"""
    import torch

    assert first.keys() == second.keys()
    compared: dict[str, bool] = {}
    for part in first:
        ours, theirs = (dict(one[part].named_parameters()) for one in (first, second))
        assert ours.keys() == theirs.keys()
        compared |= {f"{part}.{name}": torch.equal(ours[name], theirs[name]) for name in ours}
    return compared


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_seed_draws_its_own_weights_whatever_was_drawn_before(name: str, shapes: dict[str, Drawn]) -> None:
    import torch

    spec, folder, _ = shapes[name]
    torch.manual_seed(1)
    first = networks(name, spec, folder)
    torch.manual_seed(2)
    again = same(first, networks(name, spec, folder))
    assert again
    assert all(again.values())
    other = networks(name, spec.model_copy(update={"weights_seed": 7}), folder)
    drawn = [weight for network in first.values() for weight in network.parameters() if weight.std() > 0]
    changed = [key for key, equal in same(first, other).items() if not equal]
    assert len(changed) == len(drawn) > 0  # norms and biases start at ones and zeros; nothing else stays


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_networks_are_in_the_runs_precision_and_for_inference(name: str, shapes: dict[str, Drawn]) -> None:
    import torch

    spec, folder, _ = shapes[name]
    for dtype in ("float32", "bfloat16"):
        made = networks(name, spec.model_copy(update={"dtype": dtype}), folder)
        assert len(made) == {"llama-1m": 1, "sd-5m": 3}[name]  # Stable Diffusion's: UNet, autoencoder, text encoder
        for network in made.values():
            assert {weight.dtype for weight in network.parameters()} == {getattr(torch, dtype)}
            assert {weight.device.type for weight in network.parameters()} == {"cpu"}
            assert not any(part.training for part in network.modules())


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_drawing_leaves_the_random_numbers_of_others_alone(name: str, shapes: dict[str, Drawn]) -> None:
    import torch

    spec, folder, _ = shapes[name]
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    networks(name, spec, folder)
    assert torch.equal(torch.rand(4), expected)
    assert torch.empty(1).device.type == "cpu"
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_as_many_weights_are_drawn_as_the_models_record_says(name: str, shapes: dict[str, Drawn]) -> None:
    spec, folder, record = shapes[name]
    made = networks(name, spec, folder)
    assert sum(weight.numel() for network in made.values() for weight in network.parameters()) == record.parameters
    assert json.loads((folder / "model.json").read_text())["parameters"] == record.parameters


def test_a_part_of_an_unknown_library_is_refused_and_not_imported(
    shapes: dict[str, Drawn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder, _ = shapes["sd-5m"]
    index = json.loads((folder / "model_index.json").read_text())
    index["aaa"] = ["antigravity", "Flight"]  # the first in the alphabet: nothing was drawn before it
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    importing = importlib.import_module
    asked: list[str] = []

    def noted(name: str, package: str | None = None) -> Any:
        asked.append(name)
        return importing(name, package)

    monkeypatch.setattr(importlib, "import_module", noted)
    with pytest.raises(UserError) as refused:
        loading.pipeline(spec, tmp_path)
    assert str(refused.value) == f"{tmp_path / 'aaa'}: a part of antigravity, expected one of diffusers or transformers"
    assert "antigravity" not in asked


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_checkpoint_keeps_its_weights(name: str, shapes: dict[str, Drawn], tmp_path: Path) -> None:
    import torch

    spec, folder, _ = shapes[name]
    if CELLS[name] == "llm-chat":
        drawn = networks(name, spec, folder)
        drawn["model"].save_pretrained(tmp_path)
    else:
        pipeline = loading.pipeline(spec, folder)
        pipeline.save_pretrained(tmp_path)
        drawn = {key: one for key, one in pipeline.components.items() if isinstance(one, torch.nn.Module)}
    stored = spec.model_copy(update={"weights": "checkpoint", "weights_seed": None})
    loaded = networks(name, stored, tmp_path)
    assert all(same(drawn, loaded).values())
    assert not any(network.training for network in loaded.values())
