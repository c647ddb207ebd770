"""Checkpoints of diffusion pipelines in the layouts that real repositories have, and what their calls are given."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_checkpoints import PROJECT, TEXTS, TRAINED, asked, spec

from joulebench import config, models
from joulebench.engines import open_engine
from joulebench.engines.loading import pipeline
from joulebench.measure.run import measure
from joulebench.records import Requests, read_point, read_run, write_json, write_parquet
from joulebench.spec import RunSpec

TASK = "text-to-image"
TWO = asked("a red bicycle", "a boat")


def drawn(folder: Path) -> Any:
    """The project's tiny Stable Diffusion, its weights drawn."""
    architecture = yaml.safe_load((PROJECT / "config" / "models" / "sd-5m.yaml").read_text())
    facts = {"weights": "synthetic", "architecture": architecture, "tokenizer": TRAINED, "dtype": "float32"}
    models.prepare("a/b", config.Synthetic.model_validate(facts), TEXTS, folder)
    return pipeline(spec(TASK, weights="synthetic", weights_seed=1), folder)


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as diffusers saves it."""
    folder = tmp_path_factory.mktemp("sd")
    drawn(tmp_path_factory.mktemp("drawn")).save_pretrained(folder)
    return folder


def generation(**changes: Any) -> config.Generation:
    return config.Generation(height=32, width=32, denoising_steps=2, **changes)


@pytest.mark.parametrize(
    ("asked_for", "given", "at_once"),
    [
        pytest.param({}, 7.5, 4, id="left out", marks=pytest.mark.fault(
            "input", "a pipeline whose guidance_scale the config leaves out", "the pipeline's own default, recorded")),
        pytest.param({"guidance_scale": 0.0}, 0.0, 2, id="none"),
        pytest.param({"guidance_scale": 3.0}, 3.0, 4, id="given"),
    ],
)  # fmt: skip
def test_a_guidance_scale_left_out_is_the_pipelines_own(
    asked_for: dict[str, float], given: float, at_once: int, stable_diffusion: Path
) -> None:
    engine: Any = open_engine(spec(TASK, generation=generation(**asked_for)), stable_diffusion)
    batches = []
    unet = engine._pipeline.unet
    unet.register_forward_pre_hook(lambda _, inputs: batches.append(len(inputs[0])))
    assert engine.generate(engine.prepare(TWO)) == 2
    assert batches == [at_once, at_once]  # with guidance each image is denoised with its prompt and without
    assert engine.arguments["guidance_scale"] == given
    engine.close()


def test_the_guidance_that_was_taken_is_in_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEBENCH_METERS", "none")
    architecture = yaml.safe_load((PROJECT / "config" / "models" / "sd-5m.yaml").read_text())
    own = {"weights": "synthetic", "weights_seed": 0, "architecture": architecture, "tokenizer": TRAINED}
    run = spec(TASK, generation=generation(), **own)
    sampled = Requests(
        dataset=run.dataset.model_dump(mode="json"),
        sample=run.sample.model_dump(mode="json"),
        origin={},
        rows=2,
        unusable={},
    )
    write_parquet(TWO, tmp_path / "requests.parquet")
    write_json(sampled, tmp_path / "requests.json")
    facts = {"weights": "synthetic", "architecture": architecture, "tokenizer": TRAINED, "dtype": "float32"}
    models.prepare(run.model, config.Synthetic.model_validate(facts), TEXTS, tmp_path / "model")
    measure(run, tmp_path / "requests.parquet", tmp_path / "model", tmp_path / "run")
    assert read_run(tmp_path / "run").spec["generation"]["guidance_scale"] is None
    point = read_point(tmp_path / "run" / "points" / "00-b1")
    assert point.generation is not None
    assert {name: point.generation[name] for name in ("guidance_scale", "height", "num_inference_steps")} == {
        "guidance_scale": 7.5,
        "height": 32,
        "num_inference_steps": 2,
    }


def test_a_guidance_scale_left_out_is_another_run_than_none() -> None:
    left_out, none, given = (
        spec(TASK, generation=generation(**asked_for))
        for asked_for in ({}, {"guidance_scale": 0.0}, {"guidance_scale": 7.5})
    )
    assert len({left_out.hash, none.hash, given.hash}) == 3
    for one in (left_out, none, given):
        assert RunSpec.model_validate(one.model_dump(mode="json")).hash == one.hash
