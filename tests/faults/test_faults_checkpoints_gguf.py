"""GGUF files that are damaged, hostile, or hold what cannot be served."""

import os
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ggufs
import numpy as np
import pytest
from tiny_checkpoints import odd

from joulebench import models
from joulebench.checkpoints import gguf
from joulebench.config.models import Checkpoint
from joulebench.errors import UserError

pytestmark = pytest.mark.skipif(find_spec("gguf") is None, reason="gguf is not installed: pip install -r envs/cpu.txt")

END = "; take another file, or the model's safetensors"
WRONG = " of its model's tensors are missing or of another shape ("
ONE_LINE = "refused in one line when the model is prepared"


def refused(file: Path, folder: Path) -> str:
    """The line, without what opens it."""
    source = {"kind": "local", "path": str(file)}
    asked = Checkpoint.model_validate({"weights": "checkpoint", "source": source, "dtype": "float32"})
    with pytest.raises(UserError) as error:
        models.prepare("lab/tiny", asked, [], folder, {"llm-chat": "chat"})
    said = str(error.value)
    assert "\n" not in said
    assert not (folder / "model.json").exists()
    opening = "models.lab/tiny"
    assert said.startswith(opening)
    return said.removeprefix(opening).removeprefix(f".source: {file}: ")


def header(tensors: int, keys: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + rest


@pytest.mark.parametrize("content", [
    odd(what, f"a GGUF file that {what}", ONE_LINE, content)
    for what, content in (
        ("is empty", b""),
        ("is a web page", b"<html>not found</html>"),
        ("is a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ("is of version 1", b"GGUF" + struct.pack("<IQQ", 1, 0, 0) + bytes(64)),
        ("ends in its header", header(1, 1)[:12]),
        ("tells of exabytes of tensors", header(2**62, 0, bytes(64))),
        ("tells of exabytes of keys", header(0, 2**62, bytes(64))),
        ("has a key of exabytes", header(0, 1, struct.pack("<Q", 2**62) + b"general")),
        ("has no keys and no tensors", header(0, 0, bytes(64))),
    )
])  # fmt: skip
def test_a_file_that_is_no_whole_gguf(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(content)
    said = refused(file, tmp_path / "m")
    assert said.startswith(("no GGUF file (", "no whole GGUF file (", "a GGUF file without weights"))
    assert said.endswith(END)


@pytest.mark.fault("input", "a GGUF file that ends in its tensors", ONE_LINE)
def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    file = ggufs.write(tmp_path / "tiny.gguf")
    file.write_bytes(file.read_bytes()[:-4000])
    assert refused(file, tmp_path / "m").startswith("no whole GGUF file (")


def another_architecture(file: Path) -> None:
    ggufs.write(file, architecture="clip")


def split(file: Path) -> None:
    ggufs.write(file, split__count=3)


def vocabulary_alone(file: Path) -> None:
    ggufs.write(file, {})


def without_a_tensor(file: Path) -> None:
    ggufs.write(file, {name: one for name, one in ggufs.drawn().items() if "1.mlp.up" not in name})


def of_other_shapes(file: Path) -> None:
    ggufs.write(file, llama__feed_forward_length=96)


def without_a_tokenizer(file: Path) -> None:
    ggufs.write(file, tokenizer__ggml__tokens=None, tokenizer__ggml__merges=None, tokenizer__ggml__token_type=None)


def with_an_end_beyond(file: Path) -> None:
    ggufs.write(file, tokenizer__ggml__eos_token_id=2**31)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "complaint"), [
    odd("architecture", "a GGUF file of an architecture that transformers does not read", ONE_LINE,
        another_architecture, "transformers cannot read it (GGUF model with architecture clip is not supported yet.)"),
    odd("split", "a GGUF file that is one of several", ONE_LINE,
        split, "one of 3 files of a model; join them first (llama-gguf-split --merge)"),
    odd("vocabulary", "a GGUF file of a vocabulary alone", ONE_LINE, vocabulary_alone, "a GGUF file without weights"),
    odd("a tensor", "a GGUF file that lacks a tensor", ONE_LINE,
        without_a_tensor, f"1{WRONG}model.layers.1.mlp.up_proj.weight)"),
    odd("shapes", "a GGUF file whose tensors are not of the sizes that it tells", ONE_LINE,
        of_other_shapes, f"6{WRONG}model.layers.0.mlp.down_proj.weight)"),
    odd("tokenizer", "a GGUF file without a tokenizer", ONE_LINE, without_a_tokenizer, "transformers cannot read it ("),
    odd("end", "a GGUF file whose end token is beyond its vocabulary", ONE_LINE,
        with_an_end_beyond, f"its eos token is {2**31}, of a vocabulary of {len(ggufs.words())}"),
])  # fmt: skip
def test_a_file_that_cannot_be_served(make: Callable[[Path], None], complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    make(file)
    said = refused(file, tmp_path / "m")
    assert said.startswith(complaint)
    assert said.endswith(END)


@pytest.mark.slow
@pytest.mark.fault("input", "a chat template in a GGUF file that refuses a lone user turn", ONE_LINE)
def test_the_chat_template_of_a_file_is_tried(tmp_path: Path) -> None:
    template = "{{ raise_exception('a system message is needed') }}"
    file = ggufs.write(tmp_path / "tiny.gguf", tokenizer__chat_template=template)
    assert refused(file, tmp_path / "m").startswith(
        ": the tokenizer or its chat template: the chat template takes no lone user turn (a system message is needed)"
    )


@pytest.mark.slow
@pytest.mark.fault("input", "files of another model beside a GGUF file", "the GGUF file alone is read")
def test_what_lies_beside_a_file_is_not_read(tmp_path: Path) -> None:
    file = ggufs.write(tmp_path / "tiny.gguf")
    for other in ("config.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        (tmp_path / other).write_text("no JSON, no template {% for %}")
    assert gguf.convert(file, tmp_path / "m").quantization == "F32"
    assert (tmp_path / "m" / "chat_template.jinja").read_text() == ggufs.TEMPLATE


@pytest.mark.fault("input", "a pipe in place of a GGUF file", ONE_LINE)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tiny.gguf")
    source = {"kind": "local", "path": str(tmp_path / "tiny.gguf")}
    with pytest.raises(UserError) as error:
        models.prepare(
            "lab/tiny", Checkpoint.model_validate({"weights": "checkpoint", "source": source}), [], tmp_path / "m"
        )
    assert str(error.value) == (
        f"{tmp_path / 'tiny.gguf'}: a pipe, expected a plain file; correct models.lab/tiny.source"
    )


@pytest.mark.fault("input", "a GGUF file that unpacks to more than 64 times its size and 8 GiB", ONE_LINE)
def test_memory_of_the_conversion_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "LEAST_MEMORY_BYTES", 64 * 2**20)  # not enough for the libraries
    file = ggufs.write(tmp_path / "tiny.gguf", {"model.norm.weight": np.ones(32, np.float32)})
    said = refused(file, tmp_path / "m")
    assert "of memory" in said
    assert said.endswith(END)


@pytest.mark.slow
@pytest.mark.fault("input", "a GGUF file whose conversion does not end", ONE_LINE)
def test_time_of_the_conversion_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "LEAST_S", 0.5)
    file = ggufs.write(tmp_path / "tiny.gguf")
    assert refused(file, tmp_path / "m").startswith("not done within 0.5")


@pytest.mark.parametrize("package", ["gguf", "transformers", "accelerate"])
@pytest.mark.fault("input", "a GGUF file where a package to read it is missing", "refused in one line that says so")
def test_a_package_that_is_missing(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, Any] = {"gguf": 1, "transformers": 1, "accelerate": 1} | {package: None}
    monkeypatch.setattr(gguf, "find_spec", there.get)
    file = ggufs.write(tmp_path / "tiny.gguf")
    assert refused(file, tmp_path / "m") == f"GGUF needs the package {package}; pip install -r envs/cpu.txt"
