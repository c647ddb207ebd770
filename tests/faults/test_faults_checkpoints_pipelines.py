"""Checkpoints of diffusion pipelines in the layouts that real repositories have, and what their calls are given."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from building import PROJECT, TEXTS, machine, plain
from fake_hub import serving
from safetensors.torch import load_file, save_file
from tiny_checkpoints import TRAINED, asked, odd, spec

from joulebench import models
from joulebench.config.models import Checkpoint, Generation, Synthetic
from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Fixed
from joulebench.config.sweeps import Sweep as Sweeps
from joulebench.engines import open_engine
from joulebench.engines.loading import pipeline
from joulebench.errors import UserError
from joulebench.measure.session import Session
from joulebench.measure.sweep import Sweep
from joulebench.meters.sampling import Sampling
from joulebench.records.files import read_point

TASK = "text-to-image"
NAME = "lab/sd"
CHECKPOINT = Checkpoint(weights="checkpoint", revision="0" * 40, dtype="float32")
TWO = asked("a red bicycle", "a boat")


def drawn(folder: Path) -> Any:
    """The project's tiny Stable Diffusion, its weights drawn."""
    architecture = plain(PROJECT / "config" / "models" / "sd-5m.yaml")
    facts = {"weights": "synthetic", "architecture": architecture, "tokenizer": TRAINED, "dtype": "float32"}
    models.prepare("a/b", Synthetic.model_validate(facts), TEXTS, folder)
    return pipeline(spec(TASK, weights="synthetic", weights_seed=1), folder)


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as diffusers saves it."""
    folder = tmp_path_factory.mktemp("sd")
    drawn(tmp_path_factory.mktemp("drawn")).save_pretrained(folder)
    return folder


def fp16(folder: Path, *parts: str) -> None:
    """Name the weights of these parts after their precision."""
    for part in parts:
        (found,) = (folder / part).glob("*.safetensors")
        found.rename(found.with_name(found.name.replace(".safetensors", ".fp16.safetensors")))


def single_file(folder: Path) -> set[str]:
    """As Stability keeps it: all in one file beside the folders."""
    every = {}
    for path in folder.glob("*/*.safetensors"):
        every |= {f"{path.parent.name}.{key}": one for key, one in load_file(path).items()}
    save_file(every, folder / "v2-1_768-ema-pruned.safetensors")
    return WHOLE


def another_autoencoder(folder: Path) -> set[str]:
    """As SDXL keeps it: a folder that model_index.json does not name."""
    shutil.copytree(folder / "vae", folder / "vae_1_0")
    return WHOLE


def both(folder: Path) -> set[str]:
    for path in folder.glob("*/*.safetensors"):
        shutil.copy(path, path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    return WHOLE


def fp16_alone(folder: Path) -> set[str]:
    fp16(folder, *PARTS)
    return {name.replace(".safetensors", ".fp16.safetensors") for name in WHOLE}


def fp16_in_part(folder: Path) -> set[str]:
    fp16(folder, "unet")
    return WHOLE - {UNET} | {UNET.replace(".safetensors", ".fp16.safetensors")}


def ema(folder: Path) -> set[str]:
    shutil.copy(folder / UNET, folder / UNET.replace(".safetensors", ".non_ema.safetensors"))
    return WHOLE


def shards(folder: Path) -> set[str]:
    """The UNet in several files, and its index."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    (folder / UNET).unlink()
    unet.save_pretrained(folder / "unet", max_shard_size="4MB")
    found = {f"unet/{path.name}" for path in (folder / "unet").glob("*.safetensors")}
    assert len(found) > 1
    return WHOLE - {UNET} | found


PARTS = ("text_encoder", "unet", "vae")
UNET = "unet/diffusion_pytorch_model.safetensors"
WHOLE = {"text_encoder/model.safetensors", UNET, "vae/diffusion_pytorch_model.safetensors"}
LOADED = "what is loaded is fetched and counted once"


@pytest.mark.slow
@pytest.mark.parametrize("change", [
    odd("single file", "a pipeline's single file beside its folders", LOADED, single_file),
    odd("another autoencoder", "a folder of weights that model_index.json does not name", LOADED, another_autoencoder),
    odd("both precisions", "a pipeline in both precisions", LOADED, both),
    odd("fp16 alone", "a pipeline in the fp16 variant alone", LOADED, fp16_alone),
    odd("fp16 in part", "a pipeline whose UNet is in the fp16 variant alone", LOADED, fp16_in_part),
    odd("ema", "training's weights beside their average", LOADED, ema),
    odd("shards", "a pipeline whose UNet is in several files", LOADED, shards),
])  # fmt: skip
def test_what_is_loaded_of_a_pipeline_is_fetched_and_counted_once(
    change: Callable[[Path], set[str]], stable_diffusion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(stable_diffusion, tmp_path / "hub" / NAME)
    expected = change(tmp_path / "hub" / NAME)
    with serving(tmp_path / "hub", monkeypatch) as hub:
        made = models.prepare(NAME, CHECKPOINT, [], tmp_path / "m")
    assert {file for file in hub.fetched if file.endswith(".safetensors")} == expected
    engine: Any = open_engine(spec(TASK, generation=generation()), tmp_path / "m")
    networks = [getattr(engine._pipeline, part) for part in PARTS]
    assert made.parameters == sum(weight.numel() for network in networks for weight in network.parameters())
    assert engine.generate(engine.prepare(TWO)) == 2
    engine.close()


def pickled(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.bin")


def not_json(folder: Path) -> None:
    (folder / "model_index.json").write_text("<html>")


@pytest.mark.slow
@pytest.mark.parametrize(("change", "complaint"), [
    odd("pickled part", "a pipeline with a part in pickled weights alone", "refused in one line",
        pickled, "lab/sd: unet has weights as diffusion_pytorch_model.bin, expected model.safetensors or"),
    odd("no JSON", "a model_index.json that is a web page", "refused in one line",
        not_json, "model_index.json is not readable JSON"),
])  # fmt: skip
def test_a_pipeline_that_cannot_be_loaded_is_refused_when_it_is_prepared(
    change: Callable[[Path], None],
    complaint: str,
    stable_diffusion: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(stable_diffusion, tmp_path / "hub" / NAME)
    change(tmp_path / "hub" / NAME)
    with serving(tmp_path / "hub", monkeypatch) as hub, pytest.raises(UserError) as error:
        models.prepare(NAME, CHECKPOINT, [], tmp_path / "m")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
    assert not [file for file in hub.fetched if file.endswith((".safetensors", ".bin"))]


def generation(**changes: Any) -> Generation:
    return Generation(height=32, width=32, denoising_steps=2, **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked_for", "given", "at_once"),
    [
        odd("left out", "a guidance_scale left out of the config", "the pipeline's own default, recorded", {}, 7.5, 4),
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


@pytest.mark.slow
def test_the_guidance_that_was_taken_is_in_the_records(tmp_path: Path, stable_diffusion: Path) -> None:
    one = Sweeps(batch_sizes=(2,), protocol=Fixed(kind="fixed", requests=2))
    run = spec(TASK, generation=generation(), sweep=one)
    engine: Any = open_engine(run, stable_diffusion)
    session = Session(tmp_path / "run", run, "digest", machine())
    with Sampling.start(("none",), tmp_path / "run") as sampling:
        Sweep(run, engine, engine.prepare(TWO), sampling).run(session)
    engine.close()
    told = read_point(session.place(0)).generation
    assert told == {"height": 32, "width": 32, "num_inference_steps": 2, "guidance_scale": 7.5}


def test_a_guidance_scale_left_out_is_another_run_than_none() -> None:
    left_out, none, given = (
        spec(TASK, generation=generation(**asked_for))
        for asked_for in ({}, {"guidance_scale": 0.0}, {"guidance_scale": 7.5})
    )
    assert len({left_out.hash, none.hash, given.hash}) == 3
    for one in (left_out, none, given):
        assert RunSpec.model_validate(one.model_dump(mode="json")).hash == one.hash
