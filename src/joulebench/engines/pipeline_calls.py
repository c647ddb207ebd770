"""The calls of a Diffusers pipeline: what they are given, whether a task can be done with them, batches of any size."""

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joulebench.config.models import Generation
from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS, VIDEO_TASKS

NEEDS = {
    "text-to-image": ("prompt", "num_inference_steps"),
    "text-to-video": ("prompt", "num_frames", "num_inference_steps"),
    "image-to-video": ("image", "num_frames", "num_inference_steps"),
}
"""What a task cannot do without, by the names of a pipeline's call."""

ONE_IMAGE = (
    "ChronoEditPipeline",
    "SkyReelsV2DiffusionForcingImageToVideoPipeline",
    "SkyReelsV2ImageToVideoPipeline",
    "WanImageToVideoPipeline",
)
"""Pipelines whose call takes one image and no list (diffusers 0.42, their `check_inputs`)."""

SET_HERE = frozenset(
    {"prompt", "image", "height", "width", "num_frames", "num_inference_steps", "guidance_scale", "generator"}
    | {"num_images_per_prompt", "num_videos_per_prompt", "return_dict"}
)
"""Arguments of a call that generation.arguments cannot set: they follow from the rest of the config."""

MOST_SEQUENCES = 65_535


def same_arguments(spec: RunSpec, kind: str, takes: dict[str, inspect.Parameter]) -> dict[str, Any]:
    """Arguments that every call of pipeline `kind` gets, out of the model's `generation`.

    `takes` are the parameters of its call, by name. Raises UserError where they do not fit what is asked of them.
    """
    wanted = spec.generation
    assert wanted is not None
    cell = f"matrix.{spec.hardware}.{spec.task}"
    elsewhere = f"take {spec.model} out of {cell}.models"
    for said in _of_task(spec, kind, takes):
        raise UserError(f"{cell}{said}{elsewhere}")
    for said in _of_model(wanted, kind, takes):
        raise UserError(f"models.{spec.model}.generation.{said}")
    asked = {
        "height": wanted.height,
        "width": wanted.width,
        "num_frames": wanted.frames,
        "num_inference_steps": wanted.denoising_steps,
        "guidance_scale": wanted.guidance_scale,
    }
    same = {name: value for name, value in asked.items() if name in takes} | wanted.arguments
    if wanted.guidance_scale is None and "guidance_scale" in takes:
        same["guidance_scale"] = takes["guidance_scale"].default
    for name, parameter in takes.items():
        if same.get(name, parameter.default) is parameter.empty and not given(spec.task, name):
            raise UserError(f"{cell}: {kind} needs {name}, which {spec.task} does not give; {elsewhere}")
    return same


def _of_task(spec: RunSpec, kind: str, takes: dict[str, inspect.Parameter]) -> Iterator[str]:
    """Why the task cannot be done with it."""
    for need in NEEDS[spec.task]:
        if need not in takes:
            yield f": {kind} takes no {need}, which {spec.task} needs; "
    if spec.task not in VIDEO_TASKS and "num_frames" in takes:
        yield f": {kind} makes videos; "
    if kind in ONE_IMAGE and spec.task in IMAGE_TASKS and spec.sweep.largest_batch > 1:
        found = list(spec.sweep.batch_sizes)
        yield f".sweep.batch_sizes: {kind} takes one image at a time, found {found}; set [1], or "


def _of_model(wanted: Generation, kind: str, takes: dict[str, inspect.Parameter]) -> Iterator[str]:
    """What of `generation` it cannot be given."""
    own = sorted(set(takes) - SET_HERE)
    for name in wanted.arguments:
        if name not in own:
            yield f"arguments.{name}: {kind} has no such argument of its own; it has {', '.join(own)}"
    if wanted.arguments.get("output_type") == "latent":
        yield "arguments.output_type: latents are no response; expected pil, np or pt"
    if wanted.guidance_scale and "guidance_scale" not in takes:  # 0 says of any pipeline that it has none
        others = ", ".join(name for name in own if "guidance" in name) or "nothing"
        yield f"guidance_scale: {kind} takes none; leave it out (of its own it has {others})"


def given(task: str, name: str) -> bool:
    """Whether requests of the task hold what a pipeline's call names so."""
    return name == "prompt" or (name == "image" and task in IMAGE_TASKS)


@contextmanager
def in_parts(most: int = MOST_SEQUENCES) -> Iterator[None]:
    """Within it, torch's scaled_dot_product_attention takes batches of any size: `most` sequences at a time.

    A video pipeline attends over the frames of each pixel, so that its batch is the pixels of all its videos. Torch's
    fused CUDA kernels put that batch on a grid axis of MOST_SEQUENCES blocks at most (pytorch issue 142228).
    """
    from torch.nn import functional

    whole = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = functools.partial(_attended, whole, most)
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = whole


def _attended(
    whole: Any, most: int, query: Any, key: Any, value: Any, attn_mask: Any = None, *args: Any, **kw: Any
) -> Any:
    import torch

    batch = query.shape[0]
    if query.ndim < 3 or batch <= most:
        return whole(query, key, value, attn_mask, *args, **kw)
    masked = attn_mask is not None and attn_mask.ndim == query.ndim and attn_mask.shape[0] == batch
    parts = []
    for first in range(0, batch, most):
        part = slice(first, first + most)
        mask = attn_mask[part] if masked else attn_mask
        parts.append(whole(query[part], key[part], value[part], mask, *args, **kw))
    return torch.cat(parts)
