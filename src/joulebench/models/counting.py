"""How many parameters a checkpoint has: from the headers of the files that are loaded."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joulebench.checkpoints.weights import loaded, read_json
from joulebench.errors import UserError, in_one_line

Tensors = Mapping[str, tuple[str, int]]
"""Name -> dtype, by safetensors' names, and number of values."""

BITS = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16}
"""Of one value; 8 for every other dtype."""

BESIDE = {
    ".qweight": (".qzeros", ".scales", ".g_idx"),  # AWQ, GPTQ
    ".weight_packed": (".weight_scale", ".weight_zero_point", ".weight_g_idx", ".weight_shape"),  # compressed-tensors
    "_blocks": ("_scales",),  # MXFP4
}
"""Endings of tensors whose values hold several weights each, and of what stands beside them to unpack them."""

BITSANDBYTES = re.compile(r"(.+)\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\..+)")
"""What stands beside a tensor of 4-bit weights, named after it."""


MASK = re.compile(r".*\.(attention|attn)\.bias")
"""A causal mask, which older GPT-NeoX and GPT-2 repositories keep in bytes beside the weights: no parameter. Pythia-70M
has 25,165,824 of them beside its 70,426,624 weights."""


def count_parameters(name: str, folder: Path) -> int:
    """Weights in the files of the folder that are loaded; a tensor's name counts once a subfolder.

    Packed weights (of 4 bits, say) count as those that they stand for. Raises UserError where there are none, or a
    file is damaged.
    """
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tensors: dict[Path, dict[str, tuple[str, int]]] = {}
    for file in loaded(name, files, folder):
        tensors.setdefault((folder / file).parent, {}).update(_header(name, folder / file))
    found = sum(parameters(own, _bits(name, place)) for place, own in tensors.items())
    if not found:
        raise UserError(f"{name}: no safetensors weights in {folder}; only safetensors are loaded")
    return found


def parameters(tensors: Tensors, bits: int) -> int:
    """Parameters that a module's tensors stand for.

    A packed value holds as many weights as `bits` go into it (4 with bitsandbytes and MXFP4); what stands beside it to
    unpack it (scales, zeros) is no parameter of the model, and neither is a mask.
    """
    packed: dict[str, int] = {}
    beside: set[str] = set()
    for key in tensors:
        for ending, others in BESIDE.items():
            if key.endswith(ending) and (own := {key.removesuffix(ending) + one for one in others} & tensors.keys()):
                packed[key] = 4 if ending == "_blocks" else bits
                beside |= own
        if (of := BITSANDBYTES.fullmatch(key)) and of[1] in tensors:
            packed[of[1]] = 4
            beside.add(key)
    return sum(
        values * BITS.get(dtype, 8) // packed[key] if key in packed else values
        for key, (dtype, values) in tensors.items()
        if key not in beside and not (dtype in ("U8", "BOOL") and MASK.fullmatch(key))
    )


def _header(name: str, path: Path) -> dict[str, tuple[str, int]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
            return {key: (one.get_dtype(), math.prod(one.get_shape())) for key, one in slices.items()}
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise UserError(
            f"{name}: {path} is no whole safetensors file ({in_one_line(error, 150)}); "
            f"delete {path.parent} and fetch it again"
        ) from None


def _bits(name: str, folder: Path) -> int:
    """Of a packed weight, as the quantisation's settings say: config.json's, or the file of an older tool; else 4."""
    for file in ("config.json", "quantize_config.json", "quant_config.json"):
        if not (folder / file).exists():
            continue
        content = read_json(name, folder / file)
        settings = content.get("quantization_config") if file == "config.json" else content
        if isinstance(settings, dict):
            groups: Any = settings.get("config_groups")
            for group in groups.values() if isinstance(groups, dict) else ():
                weights = group.get("weights") if isinstance(group, dict) else None
                settings = weights if isinstance(weights, dict) else settings
            found = next((settings[key] for key in ("bits", "w_bit", "num_bits") if key in settings), None)
            if isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= 8:
                return found
    return 4
