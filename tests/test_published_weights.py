"""`published_weights: true`: the same models with their own weights of the hub, in folders of their own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from building import PROJECT, RESULTS, synthetic, tiny, tiny_spec
from fake_hub import Hub, serving
from safetensors.numpy import save_file

from joulebench import config, models
from joulebench.config.models import Checkpoint, Published
from joulebench.config.spec import RunSpec, run_folder
from joulebench.downloads import revisions
from joulebench.errors import UserError
from joulebench.models.counting import parameters
from joulebench.plan import Plan, plan
from joulebench.records.files import read_model
from joulebench.records.made import model_as

LLAMA, GEMMA = "meta-llama/Llama-3.1-8B-Instruct", "google/gemma-3-12b-it"
DRAWN = "stabilityai/stable-diffusion-2-1"
FIRST, SECOND = "1" * 40, "2" * 40


def on_h100(made: Plan) -> dict[str, RunSpec]:
    return {str(cell.folder): made.spec(cell) for cell in made.cells("h100")}


def test_the_switch_serves_the_same_models_in_folders_of_their_own(raw: dict[str, Any]) -> None:
    drawn, own = on_h100(plan(raw)), on_h100(plan(raw | {"published_weights": True}))
    weights = {
        "checkpoint": {folder: spec for folder, spec in own.items() if spec.weights == "checkpoint"},
        "synthetic": {folder: spec for folder, spec in own.items() if spec.weights == "synthetic"},
    }
    assert {spec.model for spec in weights["synthetic"].values()} == {DRAWN, GEMMA}  # not on the hub so
    kept = {folder for folder in own if folder in drawn}
    assert {drawn[folder].model for folder in kept} == {DRAWN, GEMMA, "HuggingFaceTB/SmolLM2-135M-Instruct"}
    assert all(own[folder].hash == drawn[folder].hash for folder in kept)
    assert len(own) == len(drawn)
    spec = own["results/h100/runs/llm-chat/meta-llama--Llama-3.1-8B-Instruct--hub"]
    assert (spec.model, spec.weights, spec.revision, spec.replaces_drawn) == (LLAMA, "checkpoint", "main", True)
    assert (spec.architecture, spec.tokenizer, spec.weights_seed) == (None, None, None)
    assert spec.run == "meta-llama--Llama-3.1-8B-Instruct--hub"
    same = ("dtype", "dataset", "sample", "sweep", "output_length", "engine", "engine_settings", "generation")
    before = drawn["results/h100/runs/llm-chat/meta-llama--Llama-3.1-8B-Instruct"]
    assert [getattr(spec, name) for name in same] == [getattr(before, name) for name in same]
    assert spec.hash != before.hash


def test_published_runs_are_as_they_were(raw: dict[str, Any]) -> None:
    """What is committed was measured under the config's hashes, whatever an original or `published` says."""
    known = {folder: spec for place in ("h100", "h200") for folder, spec in specs(plan(raw), place).items()}
    found = {folder: json.loads((PROJECT / folder / "run.json").read_text())["spec_hash"] for folder in known}
    assert found == {folder: spec.hash for folder, spec in known.items()}
    assert len(found) >= 15
    raw["originals"] = {}
    for model in raw["models"].values():
        model.pop("published", None)
    assert {folder: spec.hash for folder, spec in specs(plan(raw), "h100").items()} == {
        folder: digest for folder, digest in found.items() if folder.startswith("results/h100/")
    }


def specs(made: Plan, hardware: str) -> dict[str, RunSpec]:
    return {str(cell.folder): made.spec(cell) for cell in made.cells(hardware)}


def test_its_files_lie_apart_and_nothing_is_trained_for_them(raw: dict[str, Any]) -> None:
    own = plan(raw | {"published_weights": True})
    cell = own.cell("h100", "llm-chat", "meta-llama--Llama-3.1-8B-Instruct--hub")
    assert cell.model_folder == Path("results/models/meta-llama--Llama-3.1-8B-Instruct--hub")
    assert own.model("meta-llama--Llama-3.1-8B-Instruct--hub") == LLAMA
    assert own.trains_on("meta-llama--Llama-3.1-8B-Instruct--hub") is None
    assert plan(raw).trains_on("meta-llama--Llama-3.1-8B-Instruct") == "llm-chat"
    assert own.asks(cell.model_folder.name) == {"llm-chat": "chat"}


@pytest.mark.parametrize(
    ("run", "repeat", "folder"),
    [("a/b", 1, "a--b--hub"), ("a/b+tp4", 1, "a--b--hub+tp4"), ("a/b+tp4", 3, "a--b--hub+tp4@3")],
)
def test_the_folder_of_a_run(run: str, repeat: int, folder: str) -> None:
    assert run_folder(run, repeat, replaces_drawn=True) == folder
    assert run_folder(run, repeat) == folder.replace("--hub", "")


def test_what_stays_drawn_is_said(raw: dict[str, Any]) -> None:
    raw["measure_on"] = ["h100"]
    assert plan(raw).stays_drawn() == []
    (said,) = plan(raw | {"published_weights": True}).stays_drawn()
    assert said.endswith(f"names no others: {GEMMA}, {DRAWN}")


def test_another_repository_than_the_model_s_name(raw: dict[str, Any]) -> None:
    made = config.parse(raw | {"published_weights": True}).model("meta-llama/Llama-2-7b")
    assert isinstance(made, Checkpoint)
    assert (made.repo, made.revision, made.parameters) == ("meta-llama/Llama-2-7b-hf", "main", 6738415616)
    assert made.dtype == "float16"


# Against a hub of this machine.


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    own = tmp_path / "hub" / "lab" / "tiny"
    own.mkdir(parents=True)
    save_file({"w": np.arange(15, dtype=np.float32)}, own / "model.safetensors")
    (own / "config.json").write_text("{}")
    with serving(tmp_path / "hub", monkeypatch) as made:
        made.commits = {"main": FIRST}
        yield made


def served() -> Checkpoint:
    raw = tiny()
    raw["models"]["me/tiny"] = synthetic("llama-1m").model_dump() | {"published": {"repo": "lab/tiny"}}
    found = config.parse(raw | {"published_weights": True}).model("me/tiny")
    assert isinstance(found, Checkpoint)
    return found


def test_its_weights_are_those_of_a_commit_that_is_recorded(hub: Hub, tmp_path: Path) -> None:
    made = models.prepare("me/tiny", served(), [], tmp_path / "m")
    assert (made.parameters, made.commit) == (15, FIRST)
    assert (made.made_from["weights"], made.made_from["revision"], made.made_from["repo"]) == (
        "checkpoint",
        "main",
        "lab/tiny",
    )
    assert hub.fetched == {"config.json", "model.safetensors"}
    assert read_model(tmp_path / "m") == made
    assert models.replaced(made) is None


@pytest.mark.slow
def test_a_branch_that_moved_is_said_before_a_run(hub: Hub, tmp_path: Path) -> None:
    made = models.prepare("me/tiny", served(), [], tmp_path / "m")
    hub.commits["main"] = SECOND
    assert models.prepare("me/tiny", served(), [], tmp_path / "m").commit == FIRST
    revisions.place("lab/tiny", "main", "model").unlink()
    assert models.prepare("me/tiny", served(), [], tmp_path / "n").commit == SECOND
    said = models.replaced(made)
    assert said is not None
    assert said.startswith("main of lab/tiny was the commit 111111111111 then, and is 222222222222 now")


def test_a_folder_of_another_repository_is_not_served(hub: Hub, tmp_path: Path) -> None:
    models.prepare("me/tiny", served(), [], tmp_path / "m")
    wanted = tiny_spec(model="me/tiny", weights="checkpoint", revision="main", repo="lab/tiny").model_dump(mode="json")
    wanted |= {"architecture": None, "tokenizer": None, "weights_seed": None}
    assert model_as(tmp_path / "m", "me/tiny", wanted).commit == FIRST
    for other in ({"repo": None}, {"repo": "lab/other"}):
        with pytest.raises(UserError, match=r"made under another repo than the config's for models\.me/tiny"):
            model_as(tmp_path / "m", "me/tiny", wanted | other)


@pytest.mark.parametrize(("status", "has_token"), [(401, False), (403, True)])
def test_a_gated_model_names_its_page(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, has_token: bool
) -> None:
    hub.refuses["lab/tiny"] = (status, "GatedRepo")
    if has_token:
        monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    with pytest.raises(UserError) as error:
        models.prepare("me/tiny", served(), [], tmp_path / "m")
    said = str(error.value)
    found = "the account of HF_TOKEN was refused" if has_token else "HF_TOKEN is not set"
    assert f"gated, and {found}; accept its terms at http://127.0.0.1:" in said
    assert "/lab/tiny and set HF_TOKEN to that account's" in said
    assert "\n" not in said
    assert "hf_of_mine" not in said
    assert hub.tokens == {"Bearer hf_of_mine" if has_token else None}
    assert not (tmp_path / "m" / "model.json").exists()


def test_masks_are_no_parameters() -> None:
    """Pythia-70M: the paper's table 1, and 6 masks of 2,048 x 2,048 that its file holds beside."""
    layers = {f"gpt_neox.layers.{n}.attention.bias": ("U8", 2048 * 2048) for n in range(6)}
    assert parameters({"weights": ("F16", 70_426_624), **layers}, 4) == 70_426_624
    assert parameters({"layers.0.attention.bias": ("F16", 7)}, 4) == 7


def test_every_counterpart_is_named_or_said_to_be_none(raw: dict[str, Any]) -> None:
    own = config.parse(raw)
    left = {name for name, one in own.models.items() if one.weights == "synthetic" and one.published is None}
    assert {name for name in left if not name.startswith("joulebench/")} == {
        "Lightricks/LTX-Video-i2v",
        "databricks/dolly-v2-3b",
        "google/gemma-3-12b-it",
        "guoyww/animatediff-motion-adapter-v1-5-3",
        "stabilityai/stable-diffusion-2-1",
        "togethercomputer/RedPajama-INCITE-Base-3B-v1",
    }
    assert Published() == Published(revision="main", repo=None)
    assert (RESULTS / "h100" / "runs").is_dir()
