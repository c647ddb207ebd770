"""GGUF, the one-file form of llama.cpp: converted once to the safetensors and the tokenizer that engines load.

transformers' own reader unpacks its weights, all of them to float32, in which no form of GGUF loses anything.
"""

import json
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from joulebench.errors import UserError, in_one_line
from joulebench.inputs import apart
from joulebench.inputs.reading import GIB, shown

REMEDY = "take another file, or the model's safetensors"

LEAST_S, S_PER_GIB = 120.0, 900.0
LEAST_MEMORY_BYTES, MEMORY_PER_BYTE = 8 * GIB, 64
"""Of the process that converts: the libraries, and the weights of a file in 2 bits twice as float32."""

HEAD = struct.Struct("<4sIQQ")
"""How a file begins: its mark, its version, and how many tensors and keys it has."""
LEAST_ENTRY_BYTES = 12
"""Of a tensor's or a key's entry: the reader would look for each of 2^62 that are not there."""

SPECIAL = {"bos": "bos", "eos": "eos", "padding": "pad", "unknown": "unk"}
"""Tokens that a file gives by their ids, and what transformers calls them."""


class Packing(NamedTuple):
    """How a GGUF file holds its weights: its quantisation, and how many weights are of which type."""

    quantization: str
    weights: dict[str, int]


def convert(file: Path, folder: Path) -> Packing:
    """Write the model in `file` to `folder`: configuration, tokenizer with its chat template, safetensors in float32.

    Raises UserError where the file is damaged or one of several, where it holds an architecture that transformers does
    not read or lacks weights, or where a package to read it is missing. What it is, is found out in a process apart.
    """
    for package in ("gguf", "transformers", "accelerate"):
        if find_spec(package) is None:
            raise UserError(f"{shown(file)}: GGUF needs the package {package}; pip install -r envs/cpu.txt")
    size = file.stat().st_size
    try:
        told = apart.asked(
            __spec__.name,
            [str(file.absolute()), str(folder.absolute())],
            seconds=LEAST_S + S_PER_GIB * size / GIB,
            memory_bytes=LEAST_MEMORY_BYTES + MEMORY_PER_BYTE * size,
        )
    except apart.RefusedError as error:
        raise UserError(f"{shown(file)}: {error}; {REMEDY}") from None
    return Packing(**json.loads(told))


def _converted(words: list[str]) -> bytes:
    """The main of the process apart; the file is read under a name of its own, where no other file is beside it."""
    file, folder = words
    with _explained("the package gguf cannot be used"):
        _ask_once()
    with tempfile.TemporaryDirectory() as alone:
        link = Path(alone, "model.gguf")
        link.symlink_to(file)
        with _explained("no whole GGUF file"):
            packing, special = _described(link)
        with _explained("transformers cannot read it"):
            _written(link, Path(folder), special)
    return json.dumps(packing._asdict()).encode()


def _ask_once() -> None:
    """transformers 5.17 parses the file for each of its questions, and has a table of names made for each module."""
    import gguf

    read = cache(gguf.GGUFReader)
    gguf.GGUFReader = lambda path, *rest: read(os.fspath(path), *rest)
    gguf.get_tensor_name_map = cache(gguf.get_tensor_name_map)


@contextmanager
def _explained(problem: str) -> Iterator[None]:
    """What anybody's file may raise in a library, as one line. Memory that is not enough is let through."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise UserError(f"{problem} ({in_one_line(error)})") from error


def _described(file: Path) -> tuple[Packing, dict[str, int]]:
    """How the file holds its weights, and the ids of its special tokens by transformers' names."""
    from gguf import GGUFReader, LlamaFileType

    with file.open("rb") as opened:
        head = opened.read(HEAD.size)
    if head[:4] != b"GGUF" or len(head) < HEAD.size:
        raise UserError(f"no GGUF file (it begins with {head[:16]!r})")
    _, _, tensors, keys = HEAD.unpack(head)
    if LEAST_ENTRY_BYTES * (tensors + keys) > (size := file.stat().st_size):
        raise UserError(f"no whole GGUF file ({tensors:,} tensors and {keys:,} keys in {size:,} bytes)")
    reader = GGUFReader(file)
    parts = _number(reader, "split.count") or 1
    if parts > 1:
        raise UserError(f"one of {parts} files of a model; join them first (llama-gguf-split --merge)")
    weights: Counter[str] = Counter()
    for tensor in reader.tensors:
        weights[tensor.tensor_type.name] += int(tensor.n_elements)
    if not weights:
        raise UserError("a GGUF file without weights (a vocabulary alone?)")
    named = _number(reader, "general.file_type")
    known = named is not None and named in set(LlamaFileType)
    quantization = LlamaFileType(named).name.removeprefix("MOSTLY_").removeprefix("ALL_") if known else None
    special = {ours: _number(reader, f"tokenizer.ggml.{theirs}_token_id") for theirs, ours in SPECIAL.items()}
    return (
        Packing(quantization or weights.most_common(1)[0][0], dict(weights)),
        {name: number for name, number in special.items() if number is not None},
    )


def _number(reader: Any, key: str) -> int | None:
    field = reader.get_field(key)
    return None if field is None else int(field.contents())


def _written(file: Path, folder: Path, special: dict[str, int]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    how: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **how)
    for name, number in special.items():  # transformers 5.17 takes the first token for the end of a Llama's answer
        if not 0 <= number < len(tokenizer):
            raise UserError(f"its {name} token is {number}, of a vocabulary of {len(tokenizer)}")
        setattr(tokenizer, f"{name}_token", tokenizer.convert_ids_to_tokens(number))
    packed, said = AutoModelForCausalLM.from_pretrained(
        file.parent,
        **how,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        output_loading_info=True,
    )
    # The former are drawn at random with a warning alone, the latter taken as they are.
    with torch.device("meta"):
        meant = {key: one.shape for key, one in type(packed)(packed.config).state_dict().items()}
    wrong = said["missing_keys"] | {key for key, one in packed.state_dict().items() if one.shape != meant.get(key)}
    if wrong:
        raise UserError(f"{len(wrong)} of its model's tensors are missing or of another shape ({min(wrong)})")
    packed.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    apart.answer(_converted)
