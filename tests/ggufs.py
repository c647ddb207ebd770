"""Tiny Llamas in GGUF, as llama.cpp's converter lays them out, and Python packages that carry files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from building import TEXTS

from joulebench.config.models import TrainedTokenizer
from joulebench.models import tokenizer as tokenizers

HIDDEN, MIDDLE, LAYERS, HEADS, KV_HEADS, VOCABULARY = 32, 64, 2, 4, 2, 300
HEAD = HIDDEN // HEADS
TEMPLATE = tokenizers.CHAT_TEMPLATE.replace("<<image>>", "")

Weights = dict[str, npt.NDArray[np.float32]]


def words() -> Any:
    """A byte-level tokenizer of VOCABULARY tokens at most; ids 0 to 2 are <|end|>, <|user|> and <|assistant|>."""
    return tokenizers.chat(TrainedTokenizer(kind="trained", train_on="llm-chat", vocabulary=VOCABULARY), TEXTS)


def drawn() -> Weights:
    """Weights by transformers' names, of a Llama whose embedding is its head too."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (len(words()), HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        shapes |= {
            f"{at}self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"{at}self_attn.k_proj.weight": (KV_HEADS * HEAD, HIDDEN),
            f"{at}self_attn.v_proj.weight": (KV_HEADS * HEAD, HIDDEN),
            f"{at}self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{at}mlp.gate_proj.weight": (MIDDLE, HIDDEN),
            f"{at}mlp.up_proj.weight": (MIDDLE, HIDDEN),
            f"{at}mlp.down_proj.weight": (HIDDEN, MIDDLE),
            f"{at}input_layernorm.weight": (HIDDEN,),
            f"{at}post_attention_layernorm.weight": (HIDDEN,),
        }
    random = np.random.default_rng(0)
    return {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


PARTS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def named(name: str) -> str:
    """llama.cpp's name of a tensor of transformers'."""
    for theirs, own in PARTS.items():
        name = name.replace(theirs, own)
    return name.replace("model.layers", "blk")


def interleaved(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A query's or key's rows as llama.cpp keeps them: those that one rotation turns stand beside each other."""
    half = HEAD // 2
    heads = len(weight) // HEAD
    rows = [head * HEAD + side * half + n for head in range(heads) for n in range(half) for side in (0, 1)]
    return weight[rows]


def fields(**changes: Any) -> dict[str, Any]:
    """What a file says of its model; a change of None leaves a key out, and '__' stands for the '.' of a key."""
    import json

    tokenizer = words()
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = [tokenizer.convert_ids_to_tokens(number) for number in range(len(tokenizer))]
    said = {
        "llama.block_count": LAYERS,
        "llama.context_length": 512,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": MIDDLE,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.vocab_size": len(tokens),
        "general.file_type": 0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * 3 + [1] * (len(tokens) - 3),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in model["merges"]],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": TEMPLATE,
    }
    said |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in said.items() if value is not None}


def write(
    file: Path,
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
    packed: Mapping[str, tuple[npt.NDArray[np.uint8], str]] | None = None,
    architecture: str = "llama",
    **changes: Any,
) -> Path:
    """A GGUF file of `weights`, by transformers' names; those that `packed` has are its bytes, of the type it names."""
    from gguf import GGMLQuantizationType, GGUFWriter

    writer = GGUFWriter(file, architecture)
    for key, value in fields(**changes).items():
        match value:
            case str():
                writer.add_string(key, value)
            case float():
                writer.add_float32(key, value)
            case int():
                writer.add_uint32(key, value)
            case _:
                writer.add_array(key, value)
    for name, weight in (drawn() if weights is None else weights).items():
        if packed and name in packed:
            content, kind = packed[name]
            writer.add_tensor(named(name), content, raw_dtype=GGMLQuantizationType[kind])
        else:
            turned = "q_proj" in name or "k_proj" in name
            writer.add_tensor(named(name), interleaved(weight) if turned else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def package(place: Path, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """An installed package in `place`, with its list of files; to import it ends the process."""
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    whole = {f"{module}/__init__.py": b"raise SystemExit('ran')\n", f"{about}/METADATA": metadata, **files}
    for file, content in whole.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(content)
    (place / about / "RECORD").write_text("".join(f"{file},,\n" for file in [*whole, f"{about}/RECORD"]))
