"""Weights as repositories keep them: what is fetched of them, and how many parameters are counted."""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from building import REVISION
from fake_hub import Hub, serving
from safetensors.torch import load_file, save_file
from tiny_checkpoints import answered, asked, edited, llama, odd, spec, weights

from joulebench import models
from joulebench.config.models import Checkpoint
from joulebench.engines import open_engine
from joulebench.errors import UserError
from joulebench.models import counting
from joulebench.models.counting import parameters
from joulebench.records.models import Model

NAME = "lab/tiny"
ENGINES = ("transformers", "transformers-static")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    (tmp_path / "hub" / NAME).mkdir(parents=True)
    with serving(tmp_path / "hub", monkeypatch) as served:
        yield served


@pytest.fixture
def repository(hub: Hub) -> Path:
    return hub.root / NAME


def prepared(folder: Path, **facts: Any) -> Model:
    """The repository's checkpoint, fetched into `folder`."""
    asked_for = {"weights": "checkpoint", "revision": REVISION, "dtype": "float32"} | facts
    return models.prepare(NAME, Checkpoint.model_validate(asked_for), [], folder)


def fetched(hub: Hub) -> set[str]:
    return {file for file in hub.fetched if file.endswith(".safetensors")}


def sharded(folder: Path) -> set[str]:
    made = llama(folder)
    whole = folder / "model.safetensors"
    whole.unlink()
    made.save_pretrained(folder, max_shard_size="60KB")
    return {path.name for path in folder.glob("model-*.safetensors")}


def consolidated(folder: Path) -> None:
    """As Mistral keeps them: all in one file, under names of its own."""
    parts = [load_file(path) for path in folder.glob("model*.safetensors")]
    own = {f"layers.{name}": weight for part in parts for name, weight in part.items()}
    save_file(own, folder / "consolidated.safetensors")
    (folder / "params.json").write_text("{}")


def beside_shards(folder: Path) -> set[str]:
    shards = sharded(folder)
    assert len(shards) > 1
    consolidated(folder)
    return shards


def beside_one(folder: Path) -> set[str]:
    llama(folder)
    consolidated(folder)
    return {"model.safetensors"}


def whole_beside_shards(folder: Path) -> set[str]:
    shards = sharded(folder)
    save_file({"model.norm.weight": torch.zeros(32)}, folder / "model.safetensors")
    return shards


def both_precisions(folder: Path) -> set[str]:
    llama(folder)
    shutil.copy(folder / "model.safetensors", folder / "model.fp16.safetensors")
    return {"model.safetensors"}


def fp16_alone(folder: Path) -> set[str]:
    llama(folder)
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    return {"model.fp16.safetensors"}


def fp16_shards(folder: Path) -> set[str]:
    llama(folder).save_pretrained(folder, variant="fp16", max_shard_size="60KB")
    (folder / "model.safetensors").unlink()
    return {path.name for path in folder.glob("*.safetensors")}


def pickled_too(folder: Path) -> set[str]:
    llama(folder)
    torch.save({}, folder / "pytorch_model.bin")
    return {"model.safetensors"}


LOADED = "what is loaded is fetched and counted once"


@pytest.mark.slow
@pytest.mark.parametrize("make", [
    odd("consolidated beside shards", "Mistral's consolidated.safetensors beside the shards", LOADED, beside_shards),
    odd("consolidated beside one", "consolidated.safetensors beside model.safetensors", LOADED, beside_one),
    odd("whole beside shards", "model.safetensors beside an index of shards", LOADED, whole_beside_shards),
    odd("both precisions", "model.fp16.safetensors beside model.safetensors", LOADED, both_precisions),
    odd("fp16 alone", "only weights of the fp16 variant", LOADED, fp16_alone),
    odd("fp16 shards", "only shards of the fp16 variant", LOADED, fp16_shards),
    odd("pickled too", "pickled weights beside safetensors", LOADED, pickled_too),
])  # fmt: skip
def test_weights_are_fetched_and_counted_once(
    make: Callable[[Path], set[str]], hub: Hub, repository: Path, tmp_path: Path
) -> None:
    expected = make(repository)
    made = prepared(tmp_path / "m")
    assert made.parameters == weights()
    assert fetched(hub) == expected
    assert {file for file in made.files_sha256 if not file.endswith((".json", ".jinja"))} == expected
    for engine in ENGINES:
        assert set(answered(tmp_path / "m", asked("one", "two"), engine=engine)) == {0, 1}


def linears(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The projections of a checkpoint's layers, and its other tensors."""
    all_ = load_file(folder / "model.safetensors")
    return {name: one for name, one in all_.items() if "proj" in name}, {
        name: one for name, one in all_.items() if "proj" not in name
    }


def gptq(weight: torch.Tensor, bits: int = 4) -> dict[str, torch.Tensor]:
    """Packed along the inputs: 32 / bits of them in each integer."""
    out, into = weight.shape
    return {
        "qweight": torch.zeros(into * bits // 32, out, dtype=torch.int32),
        "qzeros": torch.zeros(1, out * bits // 32, dtype=torch.int32),
        "scales": torch.ones(1, out, dtype=torch.float16),
        "g_idx": torch.zeros(into, dtype=torch.int32),
    }


def awq(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """Packed along the outputs, eight of them in each integer."""
    out, into = weight.shape
    return {
        "qweight": torch.zeros(into, out // 8, dtype=torch.int32),
        "qzeros": torch.zeros(into // 16, out // 8, dtype=torch.int32),
        "scales": torch.ones(into // 16, out, dtype=torch.float16),
    }


def bitsandbytes(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two weights a byte, and the blocks' scales."""
    count = weight.numel()
    return {
        "weight": torch.zeros(count // 2, 1, dtype=torch.uint8),
        "weight.absmax": torch.zeros(count // 64, dtype=torch.uint8),
        "weight.quant_map": torch.zeros(16),
        "weight.nested_absmax": torch.zeros(1),
        "weight.nested_quant_map": torch.zeros(256),
        "weight.quant_state.bitsandbytes__nf4": torch.zeros(90, dtype=torch.uint8),
    }


def compressed(weight: torch.Tensor) -> dict[str, torch.Tensor]:
    out, into = weight.shape
    return {
        "weight_packed": torch.zeros(out, into // 8, dtype=torch.int32),
        "weight_scale": torch.ones(out, into // 16, dtype=torch.float16),
        "weight_shape": torch.tensor([out, into]),
    }


GROUPS = {"group_0": {"input_activations": {"num_bits": 8}, "weights": {"num_bits": 4}}}


@pytest.mark.slow
@pytest.mark.parametrize(("pack", "settings"), [
    odd(id_, f"weights packed by {id_}", "counted as the parameters that they stand for", pack, settings)
    for id_, pack, settings in (
        ("AWQ", awq, {"quant_method": "awq", "bits": 4}),
        ("GPTQ in 4 bits", gptq, {"quant_method": "gptq", "bits": 4}),
        ("GPTQ in 8 bits", lambda one: gptq(one, 8), {"quant_method": "gptq", "bits": 8}),
        ("bitsandbytes", bitsandbytes, {"quant_method": "bitsandbytes"}),
        ("compressed-tensors", compressed, {"quant_method": "compressed-tensors", "config_groups": GROUPS}),
        ("AWQ, without a word of its bits", awq, {}),
    )
])  # fmt: skip
def test_packed_weights_count_as_what_they_stand_for(
    pack: Callable[[torch.Tensor], dict[str, torch.Tensor]],
    settings: dict[str, Any],
    hub: Hub,
    repository: Path,
    tmp_path: Path,
) -> None:
    llama(repository)
    projections, others = linears(repository)
    packed = {
        name.removesuffix("weight") + key: one
        for name, weight in projections.items()
        for key, one in pack(weight).items()
    }
    save_file(others | packed, repository / "model.safetensors")
    edited(repository / "config.json", quantization_config=settings or None)
    assert prepared(tmp_path / "m", parameters=weights()).parameters == weights()


def test_expert_weights_in_mxfp4_count_two_a_byte() -> None:
    # 4 experts of 64 x 96, in blocks of 32: 16 bytes and one scale each
    tensors = {
        "gate_up_proj_blocks": ("U8", 4 * 64 * 3 * 16),
        "gate_up_proj_scales": ("U8", 4 * 64 * 3),
        "scales": ("F32", 5),
    }
    assert parameters(tensors, 4) == 4 * 64 * 96 + 5


def refused(folder: Path, **facts: Any) -> str:
    with pytest.raises(UserError) as error:
        prepared(folder, **facts)
    assert "\n" not in str(error.value)
    assert not (folder / "model.json").exists()
    return str(error.value)


def safetensors(header: bytes | dict[str, Any], data: bytes = b"\0" * 16, length: int | None = None) -> bytes:
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(told) if length is None else length) + told + data


ONE = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


@pytest.mark.slow
@pytest.mark.parametrize("content", [
    odd(what, f"a safetensors file that {what}", "refused in one line", content)
    for what, content in (
        ("ends in its header", safetensors({"w": ONE})[:-20]),
        ("ends in its data", safetensors({"w": ONE}, b"\0" * 8)),
        ("tells of a header of exabytes", safetensors({"w": ONE}, length=2**62)),
        ("tells of a shape beyond its data", safetensors({"w": ONE | {"shape": [2**40, 2**40]}})),
        ("is empty", b""),
        ("has no tensors", safetensors({}, b"")),
        ("is a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ("is a web page", b"<html>not found</html>"),
    )
])  # fmt: skip
def test_a_damaged_file_of_weights(content: bytes, hub: Hub, repository: Path, tmp_path: Path) -> None:
    llama(repository)
    (repository / "model.safetensors").write_bytes(content)
    assert "safetensors" in refused(tmp_path / "m")


INDEX = "model.safetensors.index.json"


@pytest.mark.slow
@pytest.mark.parametrize(("content", "complaint"), [
    odd(what, f"a safetensors index that {what}", "refused in one line", content, complaint)
    for what, content, complaint in (
        ("is no JSON", "{", "is not readable JSON"),
        ("is a list", "[]", "holds list, expected keys and values"),
        ("has no weight_map", "{}", "has no weight_map"),
        ("names numbers", '{"weight_map": {"w": 1}}', "has no weight_map"),
        ("names a file that is not there", '{"weight_map": {"w": "2.safetensors"}}', "names 2.safetensors, which"),
        ("leads out of the folder", '{"weight_map": {"w": "../m.safetensors"}}', "names ../m.safetensors, which"),
        ("is nested without end", '{"weight_map": ' + "[" * 100_000, "is not readable JSON"),
        ("is of 65 MiB", " " * (65 * 2**20) + "{}", "over 64 MiB (65 MiB), more than is expected"),
    )
])  # fmt: skip
def test_a_damaged_index(content: str, complaint: str, hub: Hub, repository: Path, tmp_path: Path) -> None:
    llama(repository)
    (repository / INDEX).write_text(content)
    assert complaint in refused(tmp_path / "m")
    assert not fetched(hub)


@pytest.mark.parametrize("name", [
    odd(name, what, "refused in one line, and nothing is fetched", name)
    for name, what in (
        ("../../evil.json", "a hub that lists a file above the folder"),
        ("/tmp/evil.json", "a hub that lists a file by an absolute path"),
    )
])  # fmt: skip
def test_a_listing_that_leads_out_of_the_folder(name: str, hub: Hub, repository: Path, tmp_path: Path) -> None:
    llama(repository)
    hub.also = [name]
    assert "which leads out of its folder" in refused(tmp_path / "m")
    assert not hub.fetched


@pytest.mark.slow
@pytest.mark.fault("input", "a checkpoint of pickled weights alone", "refused in one line; only safetensors are loaded")
def test_pickled_weights_alone(hub: Hub, repository: Path, tmp_path: Path) -> None:
    llama(repository)
    torch.save({}, repository / "pytorch_model.bin")
    (repository / "model.safetensors").unlink()
    assert "only safetensors are loaded" in refused(tmp_path / "m")
    assert "pytorch_model.bin" not in hub.fetched


@pytest.mark.fault(
    "input",
    "a checkpoint with Python code of its own, not trusted",
    "its code is not fetched; refused in one line where it is needed",
)
def test_code_is_not_fetched(hub: Hub, repository: Path, tmp_path: Path) -> None:
    llama(repository)
    (repository / "evil.py").write_text("raise SystemExit('ran')")
    edited(
        repository / "config.json",
        model_type="evil",
        auto_map={"AutoConfig": "evil.E", "AutoModelForCausalLM": "evil.M"},
    )
    prepared(tmp_path / "m")
    assert "evil.py" not in hub.fetched
    for engine in ENGINES:
        with pytest.raises(UserError, match="cannot be loaded") as error:
            open_engine(spec(engine=engine), tmp_path / "m")
        assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.fault("input", "a tokenizer in *.tiktoken", "fetched with the rest")
def test_a_tokenizer_in_tiktoken_is_fetched(hub: Hub, repository: Path, tmp_path: Path) -> None:
    llama(repository)
    (repository / "qwen.tiktoken").write_text("IQ== 0\n")
    assert "qwen.tiktoken" in prepared(tmp_path / "m").files_sha256


@pytest.mark.slow
@pytest.mark.parametrize(("asked_for", "refuses"), [
    ({"llm-chat": "chat"}, True), ({"llm-chat": "completion"}, False), ({"llm-code": "chat"}, True), ({}, False)
])  # fmt: skip
def test_a_template_is_tried_for_what_the_model_is_asked(
    asked_for: dict[Any, Any], refuses: bool, hub: Hub, repository: Path, tmp_path: Path
) -> None:
    llama(repository)
    (repository / "chat_template.jinja").write_text("{{ raise_exception('never') }}")
    checkpoint = Checkpoint(weights="checkpoint", revision=REVISION)
    if refuses:
        said = r"the tokenizer or its chat template: the chat template takes no lone user turn \(never\)"
        with pytest.raises(UserError, match=rf"^models\.lab/tiny: {said}"):
            models.prepare(NAME, checkpoint, [], tmp_path / "m", asked_for)
    else:
        models.prepare(NAME, checkpoint, [], tmp_path / "m", asked_for)
    assert (tmp_path / "m" / "model.json").exists() != refuses


@pytest.mark.parametrize(
    "quantization",
    [
        pytest.param(
            value, id=name, marks=pytest.mark.fault("input", f"quantisation settings with {what}", "4 bits are taken")
        )
        for name, what, value in (
            ("group-null", "a group that is null", {"config_groups": {"g": None}}),
            ("group-text", "a group that is a text", {"config_groups": {"g": "x"}}),
            ("weights-list", "weights that are a list", {"config_groups": {"g": {"weights": ["bits"]}}}),
            ("weights-text", "weights that are a text", {"config_groups": {"g": {"weights": "bits"}}}),
            ("bits-true", "true for a number of bits", {"bits": True}),
        )
    ],
)
def test_odd_quantisation_settings(quantization: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": quantization}))
    assert counting._bits("a model", tmp_path) == 4
