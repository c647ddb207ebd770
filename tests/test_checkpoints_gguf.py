"""GGUF files, converted: every weight, the tokenizer and the chat template are what was written."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ggufs
import numpy as np
import numpy.typing as npt
import pytest
from building import TEXTS
from safetensors.numpy import load_file

from joulebench.checkpoints import gguf

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gguf") is None, reason="gguf is not installed: pip install -r envs/cpu.txt"),
]

TOKENS = len(ggufs.words())
LAYER_NORMS = 2 * 32  # before the attention, before the network
LAYER_MATRICES = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32  # q, o; k, v of two heads of four; gate, up, down
ALL = TOKENS * 32 + 2 * (LAYER_MATRICES + LAYER_NORMS) + 32


def test_weights_tokenizer_and_template_are_those_of_the_file(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    weights, folder = ggufs.drawn(), tmp_path / "made"
    packing = gguf.convert(ggufs.write(tmp_path / "tiny.gguf", weights), folder)
    assert packing == ("F32", {"F32": ALL})
    found = load_file(folder / "model.safetensors")
    assert found.keys() == weights.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(found[name], weight, err_msg=name)
    settings = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in settings
    assert (settings["architectures"], settings["hidden_size"]) == (["LlamaForCausalLM"], 32)
    made, own = AutoTokenizer.from_pretrained(folder), ggufs.words()
    for text in (*TEXTS[:4], "<|user|>é 3<|end|>"):
        assert made(text)["input_ids"] == own(text)["input_ids"]
    assert (folder / "chat_template.jinja").read_text() == ggufs.TEMPLATE
    assert (made.bos_token, made.eos_token) == ("<|user|>", "<|end|>")  # transformers alone takes the first for both


def q4_1(rows: int, columns: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Blocks of 32 weights in 4 bits: a step and a least value in float16, then 16 bytes; and what they stand for.

    Weight n of a block is in the low half of byte n, weight 16 + n in its high half.
    """
    random = np.random.default_rng(1)
    quanta = random.integers(0, 16, (rows, columns // 32, 32), np.uint8)
    step, least = np.float16(0.25), np.float16(-1.5)
    head = np.frombuffer(step.tobytes() + least.tobytes(), np.uint8)
    halves = quanta[..., :16] | quanta[..., 16:] << 4
    blocks = np.concatenate([np.broadcast_to(head, (*halves.shape[:2], 4)), halves], axis=2)
    return blocks.reshape(rows, -1), (quanta * 0.25 - 1.5).reshape(rows, columns).astype(np.float32)


DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("file_type", "told"),
    [
        pytest.param(3, "Q4_1", id="what the file says that it is"),
        pytest.param(None, "F32", id="the type of most weights, where it says nothing"),
        pytest.param(9999, "F32", id="the type of most weights, where nobody knows what it says"),
    ],
)
def test_weights_in_4_bits_are_unpacked_and_told(file_type: int | None, told: str, tmp_path: Path) -> None:
    content, expected = q4_1(32, 64)
    changes: dict[str, Any] = {"general__file_type": file_type}
    file = ggufs.write(tmp_path / "tiny.gguf", packed={DOWN: (content, "Q4_1")}, **changes)
    packing = gguf.convert(file, tmp_path / "made")
    assert packing == (told, {"F32": ALL - 32 * 64, "Q4_1": 32 * 64})
    found = load_file(tmp_path / "made" / "model.safetensors")
    np.testing.assert_array_equal(found[DOWN], expected)
    assert {weight.dtype for weight in found.values()} == {np.dtype(np.float32)}
