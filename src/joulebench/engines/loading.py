"""Networks as a run loads them: a checkpoint's, or drawn from the model's seed on the run's own device.

Drawn weights are on no disk: drawing eight billion of them on a GPU takes less than reading them would.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joulebench.checkpoints import chat
from joulebench.checkpoints.weights import variant
from joulebench.config.spec import RunSpec
from joulebench.engines import weight_formats
from joulebench.errors import UserError, in_one_line


def language_model(kind: Any, spec: RunSpec, folder: Path) -> Any:
    """A model of transformers' auto class `kind`, in the run's precision and format, on its device, for inference."""
    import torch
    from transformers import AutoConfig

    files: dict[str, Any] = {"local_files_only": True, "trust_remote_code": spec.trust_remote_code}
    how = {"dtype": getattr(torch, spec.dtype), "attn_implementation": spec.attention or "sdpa"}
    if spec.weights == "checkpoint":
        files |= {"use_safetensors": True, "variant": variant(folder)}
        if spec.quantization is not None:
            _check_plain(spec, AutoConfig.from_pretrained(folder, **files), folder)
            how |= {"quantization_config": weight_formats.configuration(spec), "device_map": spec.torch_device}
        with explained(spec, folder):
            made, told = kind.from_pretrained(folder, **how, **files, output_loading_info=True)
        if missing := sorted(told["missing_keys"]):
            raise UserError(
                f"models.{spec.model}: {folder} lacks {len(missing)} of the weights that its config.json asks for, "
                f"{missing[0]} among them, which would be drawn at random; take a whole checkpoint"
            )
        if spec.quantization is None:
            return made.to(spec.torch_device)
        weight_formats.check(made, spec)
        return made
    settings = AutoConfig.from_pretrained(folder, **files)
    with _drawing(spec):
        made = kind.from_config(settings, **how)
    if spec.quantization is not None:
        weight_formats.convert(made, spec)
        weight_formats.check(made, spec)
    return made.eval()


def _check_plain(spec: RunSpec, settings: Any, folder: Path) -> None:
    """Raises UserError where the checkpoint is in fewer bits already, which transformers would keep."""
    if (own := getattr(settings, "quantization_config", None)) is not None:
        method = own.get("quant_method") if isinstance(own, dict) else own
        raise UserError(
            f"models.{spec.model}: {folder} is quantised already ({method}) and cannot be turned into "
            f"{spec.quantization}; take a checkpoint in floating point, or serve it without quantization"
        )


@contextmanager
def explained(spec: RunSpec, folder: Path) -> Iterator[None]:
    """Turn what a library says of a checkpoint's files into one line. Memory that is not enough is let through."""
    try:
        yield
    except (OSError, ValueError, ImportError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"models.{spec.model}: {folder} cannot be loaded ({in_one_line(error, 300)}); "
            "take another checkpoint or engine"
        ) from error


def processor(spec: RunSpec, folder: Path) -> Any:
    """What turns pictures and words into a model's inputs; its chat template is the tokenizer's where it has none."""
    from transformers import AutoProcessor

    with explained(spec, folder):
        made = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=spec.trust_remote_code)
    if not hasattr(made, "image_processor"):
        raise UserError(f"models.{spec.model}: {folder} has no processor of images, which {spec.task} needs")
    if made.chat_template is None:
        made.chat_template = made.tokenizer.chat_template
    chat.check_image(made)
    return made


def pipeline(spec: RunSpec, folder: Path) -> Any:
    """The pipeline that the folder's model_index.json names, in the run's precision; drawn, its networks are on the
    run's device already.
    """
    import diffusers
    import torch

    index = diffusers.DiffusionPipeline.load_config(folder, local_files_only=True)
    left_out = {name: None for name, part in index.items() if part == [None, None]}  # as SD3's T5 may be
    if spec.weights == "checkpoint":
        with explained(spec, folder):
            return diffusers.DiffusionPipeline.from_pretrained(
                folder,
                **left_out,
                dtype=getattr(torch, spec.dtype),
                use_safetensors=True,
                variant=variant(folder),
                local_files_only=True,
                trust_remote_code=spec.trust_remote_code,
            )
    parts: dict[str, Any] = dict(left_out)
    for name, part in sorted(index.items()):
        if name not in left_out and not name.startswith("_"):
            parts[name] = _component(part, spec, folder / name) if isinstance(part, list | tuple) else part
    return getattr(diffusers, index["_class_name"])(**parts)


def _component(part: Sequence[str], spec: RunSpec, folder: Path) -> Any:
    """A pipeline's part by its library and class: drawn where it is a network, read from its folder where not."""
    import torch

    library, name = part
    if library not in ("diffusers", "transformers"):
        raise UserError(f"{folder}: a part of {library}, expected one of diffusers or transformers")
    kind = getattr(importlib.import_module(library), name)
    if not issubclass(kind, torch.nn.Module):
        return kind.from_pretrained(folder, local_files_only=True)
    with _drawing(spec):
        return _network(kind, folder, getattr(torch, spec.dtype)).eval()


def _network(kind: Any, folder: Path, dtype: Any) -> Any:
    """One component, as its library would load it: what it keeps in float32 stays so."""
    import torch

    if hasattr(kind, "load_config"):
        made = kind.from_config(kind.load_config(folder))
        kept = set(kind._keep_in_fp32_modules or ())
    else:
        made = kind(kind.config_class.from_pretrained(folder))
        kept = set(made._keep_in_fp32_modules_strict or ())
        kept |= set(made._keep_in_fp32_modules or ()) if dtype == torch.float16 else set()
    for name, weight in made.named_parameters():
        if kept.isdisjoint(name.split(".")):
            weight.data = weight.data.to(dtype)
    for name, buffer in made.named_buffers():
        if buffer.is_floating_point() and kept.isdisjoint(name.split(".")):
            buffer.data = buffer.data.to(dtype)
    return made


@contextmanager
def _drawing(spec: RunSpec) -> Iterator[None]:
    """What is made here is made on the run's device, its numbers drawn from the model's seed and nothing else."""
    import torch

    devices = [torch.cuda.current_device()] if spec.on_gpu else []
    with torch.random.fork_rng(devices=devices), torch.device(spec.torch_device):
        torch.manual_seed(spec.weights_seed or 0)
        yield
