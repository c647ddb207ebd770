"""Weights in fewer bits than the run's dtype, on transformers: the formats of bitsandbytes and of torchao.

The layers that are turned are those that transformers turns of a checkpoint: every nn.Linear but the output's. The
embeddings, the norms and the experts of a mixture that are no nn.Linear stay in the run's dtype.
"""

import logging
from importlib.util import find_spec
from typing import Any, NamedTuple

from joulebench.config.spec import RunSpec
from joulebench.errors import UserError


class Format(NamedTuple):
    """A format's package, and on which devices and in which dtypes there are kernels for it; empty: all."""

    package: str
    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    compute_capability: tuple[int, int] = (0, 0)


FORMATS = {
    "bitsandbytes-int8": Format("bitsandbytes"),
    "bitsandbytes-int4": Format("bitsandbytes"),
    "torchao-int8": Format("torchao"),
    "torchao-int4": Format("torchao", ("cuda",), ("bfloat16",), (8, 0)),
    "torchao-fp8": Format("torchao", ("cuda",), ("bfloat16",), (8, 9)),
}
"""By the config's word. Compute capability: of NVIDIA's tensor cores for bfloat16 (Ampere) and for fp8 (Ada)."""

QUANTIZATIONS = tuple(FORMATS)
PACKAGES = ("bitsandbytes", "torchao")
REMEDY = "make env-quantization, or pip install -r envs/quantization.txt -c envs/constraints.txt"


def refused(spec: RunSpec) -> str | None:
    """Why a run's format cannot be served on its device in its dtype, and what can; None where it can."""
    if spec.quantization is None or _fits(spec.quantization, spec):
        return None
    asked = FORMATS[spec.quantization]
    return (
        f"serves {spec.quantization} on {', '.join(asked.devices)} in {', '.join(asked.dtypes)}, found {spec.dtype} on "
        f"{spec.device} for {spec.model}; there it serves {', '.join(one for one in FORMATS if _fits(one, spec))}"
    )


def _fits(word: str, spec: RunSpec) -> bool:
    asked = FORMATS[word]
    return spec.device in (asked.devices or (spec.device,)) and spec.dtype in (asked.dtypes or (spec.dtype,))


def configuration(spec: RunSpec) -> Any:
    """Transformers' own settings of a run's format. Raises UserError where a package or the GPU's kernels are missing.

    What is not set is the library's default: bitsandbytes' int8 keeps outliers above 6 in half precision (LLM.int8(),
    arXiv:2208.07339), torchao's int4 has groups of 128 weights.
    """
    assert spec.quantization is not None
    asked = FORMATS[spec.quantization]
    if find_spec(asked.package) is None:
        raise UserError(f"engine {spec.engine}: {spec.quantization} needs the package {asked.package}; {REMEDY}")
    import torch
    from transformers import BitsAndBytesConfig, TorchAoConfig

    if spec.on_gpu and torch.cuda.get_device_capability() < asked.compute_capability:
        found, expected = (
            ".".join(map(str, one)) for one in (torch.cuda.get_device_capability(), asked.compute_capability)
        )
        raise UserError(
            f"engine {spec.engine}: found a GPU of compute capability {found}, {spec.quantization} needs {expected} or "
            "more; take another quantization"
        )
    if spec.quantization == "bitsandbytes-int8":
        # It says of every product that its inputs are cast to float16, where the dtype is another.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)
    if spec.quantization == "bitsandbytes-int4":
        dtype = getattr(torch, spec.dtype)
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    from torchao.quantization import (
        Float8DynamicActivationFloat8WeightConfig,
        Int4WeightOnlyConfig,
        Int8WeightOnlyConfig,
        PerRow,
    )

    if spec.quantization == "torchao-int8":
        return TorchAoConfig(Int8WeightOnlyConfig(set_inductor_config=False))
    if spec.quantization == "torchao-int4":  # of its packings, the one whose kernel is torch's own
        return TorchAoConfig(Int4WeightOnlyConfig(int4_packing_format="tile_packed_to_4d", set_inductor_config=False))
    return TorchAoConfig(Float8DynamicActivationFloat8WeightConfig(granularity=PerRow(), set_inductor_config=False))


def convert(model: Any, spec: RunSpec) -> Any:
    """Turn the linear layers of a model that is on its device into the run's format, one after the other.

    It takes the steps of transformers' `from_pretrained`, which has them for the weights of files alone.
    """
    import torch
    from torch import nn
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers import AutoHfQuantizer

    quantizer = AutoHfQuantizer.from_config(configuration(spec), pre_quantized=False)
    plain = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)}
    quantizer.validate_environment(device_map=None)
    quantizer.preprocess_model(model, device_map=None)
    turn = quantizer.get_quantize_ops().convert
    for name in list(plain):
        old, new, weight = plain.pop(name), model.get_submodule(name), f"{name}.weight"
        if quantizer.param_needs_quantization(model, weight):
            made = turn({weight: old.weight.data}, full_layer_name=weight, model=model, missing_keys=set())
            new.weight, new.bias = made.get(weight, new.weight), old.bias
    model.hf_quantizer = quantizer
    quantizer.postprocess_model(model)
    if spec.on_gpu:
        torch.cuda.empty_cache()  # what held the wider weights is no memory of this format
    return model


def check(model: Any, spec: RunSpec) -> None:
    """Raises UserError where layers stayed as they were: torchao leaves out sizes that its kernels do not take."""
    needs, names = model.hf_quantizer.param_needs_quantization, [name for name, _ in model.named_parameters()]
    asked = [name for name in names if needs(model, name)]
    if left := [name for name in asked if not _is_packed(model.get_parameter(name))]:
        size = " x ".join(map(str, model.get_parameter(left[0]).shape))
        raise UserError(
            f"models.{spec.model}: {spec.quantization} leaves {len(left)} of {len(asked)} linear layers as they are "
            f"({left[0]}, {size}), since its kernels take no such size; take another quantization"
        )
    if not asked:
        raise UserError(
            f"models.{spec.model}: {spec.quantization} turns linear layers, found none but the output's; "
            "leave the quantization out"
        )


def _is_packed(weight: Any) -> bool:
    """Whether a weight is stored otherwise than as plain numbers in floating point."""
    import torch

    return type(weight.data) is not torch.Tensor or not weight.is_floating_point()
