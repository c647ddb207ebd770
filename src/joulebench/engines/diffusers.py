"""Images and videos on Diffusers pipelines, a batch of requests at a time.

The three tasks differ in what goes into the pipeline's call and what comes out of it, and in nothing else.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, PositiveInt

from joulebench.config.spec import RunSpec
from joulebench.engines.attention import in_parts
from joulebench.engines.base import Prepared
from joulebench.engines.loading import pipeline
from joulebench.engines.out_of_memory import is_out_of_memory as is_out_of_memory
from joulebench.engines.pictures import picture
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS, VIDEO_TASKS

TASKS = ("text-to-image", "text-to-video", "image-to-video")
MOST_DEVICES = 1
QUANTIZATIONS: tuple[str, ...] = ()
PACKAGES = ("torch", "diffusers", "transformers", "accelerate")

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


class Settings(BaseModel):
    """torch's threads, and how the autoencoder saves memory; sizes and steps belong to the model.

    Slicing and tiling make a batch slower and smaller in memory; they are off unless they are asked for here.
    In how many chunks the frames of a video are decoded is an argument of the pipelines that can (`decode_chunk_size`).
    """

    model_config = ConfigDict(extra="forbid")
    threads: PositiveInt | None = None
    vae_slicing: bool = False
    vae_tiling: bool = False


class DiffusersEngine:
    """A pipeline of any of the three tasks. See engines.base.DiffusionEngine.

    Raises UserError where the pipeline cannot serve the task, or not with the model's `generation`.
    """

    def __init__(self, spec: RunSpec, folder: Path) -> None:
        import torch
        from diffusers.utils import logging
        from transformers.utils import logging as encoders

        for library in (logging, encoders):
            library.disable_progress_bar()
        settings = Settings.model_validate(spec.engine_settings)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._torch = torch
        self._spec = spec
        self._pipeline = pipeline(spec, folder)
        self._kind = type(self._pipeline).__name__
        takes = _takes(self._pipeline)
        self._same = same_arguments(spec, self._kind, takes)
        self._own = [name for name in ("prompt", "image") if name in takes and _given(spec.task, name)]
        self._seeded = "generator" in takes
        _save_memory(self._pipeline, settings, self._kind)
        self._pipeline.to(spec.device)
        self._pipeline.set_progress_bar_config(disable=True)
        for library in (logging, encoders):
            library.set_verbosity_error()  # from here on a warning would come again with every batch

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        """See engines.base.DiffusionEngine. Images are decoded, cropped and resized here, once.

        Raises UserError for a request without the image that the pipeline takes.
        """
        columns: dict[str, list[Any]] = {}
        if "prompt" in self._own:
            columns["prompt"] = requests["prompt"].to_list()
        if "image" in self._own:
            wanted = self._generation
            rows = requests.select("request", "image").iter_rows()
            columns["image"] = [fitted(picture(*row), wanted.width, wanted.height) for row in rows]
        return [Prepared(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]

    def generate(self, batch: Sequence[Prepared]) -> int:
        """See engines.base.DiffusionEngine.

        The steps are the timesteps that the denoising loop went over: one model call each (two with guidance, where
        the pipeline does not batch them). A scheduler of second order goes over more timesteps than it was asked
        for steps.

        Raises UserError where the outputs are not of the size or length asked for. What torch raises is let through.
        """
        inputs: dict[str, Any] = {name: [one.prompt[name] for one in batch] for name in self._own}  # type: ignore[index]
        if len(batch) == 1 and "image" in inputs:
            (inputs["image"],) = inputs["image"]  # every pipeline takes a bare image, and ONE_IMAGE no list
        if self._seeded:
            inputs["generator"] = self._torch.Generator(self._spec.device).manual_seed(self._spec.sample.seed)
        with in_parts():
            made = self._pipeline(**inputs, **self._same)
        if self._spec.device == "cuda":
            self._torch.cuda.synchronize()
        self._check(made, len(batch))
        steps = getattr(self._pipeline, "num_timesteps", None)  # TextToVideoSD and I2VGenXL have none
        return int(len(self._pipeline.scheduler.timesteps) if steps is None else steps)

    @property
    def arguments(self) -> dict[str, Any]:
        """See engines.base.DiffusionEngine."""
        return dict(self._same)

    def close(self) -> None:
        """See engines.base.DiffusionEngine."""
        self._pipeline = None
        if self._spec.device == "cuda":
            self._torch.cuda.empty_cache()

    @property
    def _generation(self) -> Any:
        return self._spec.generation

    def _check(self, made: Any, requests: int) -> None:
        wanted, video = self._generation, self._spec.task in VIDEO_TASKS
        outputs = made.frames if video else made.images
        if len(outputs) != requests:
            raise RuntimeError(f"{self._kind} made {len(outputs)} outputs of {requests} requests")
        where = f"models.{self._spec.model}.generation"
        if video and (found := {len(frames) for frames in outputs}) != {wanted.frames}:
            raise UserError(
                f"{where}.frames: {self._kind} made {', '.join(map(str, sorted(found)))} frames, "
                f"asked for {wanted.frames}; ask for a number that it can make"
            )
        if (size := _size(outputs[0][0] if video else outputs[0])) != (wanted.width, wanted.height):
            raise UserError(
                f"{where}: {self._kind} made {size[0]} x {size[1]} pixels, asked for {wanted.width} x {wanted.height}; "
                "ask for a size that it can make"
            )


def same_arguments(spec: RunSpec, kind: str, takes: dict[str, inspect.Parameter]) -> dict[str, Any]:
    """Arguments that every call of pipeline `kind` gets, out of the model's `generation`.

    `takes` are the parameters of its call, by name. Raises UserError where they do not fit what is asked of them.
    """
    wanted = spec.generation
    assert wanted is not None
    cell, where = f"matrix.{spec.hardware}.{spec.task}", f"models.{spec.model}.generation"
    elsewhere = f"take {spec.model} out of {cell}.models"
    for need in NEEDS[spec.task]:
        if need not in takes:
            raise UserError(f"{cell}: {kind} takes no {need}, which {spec.task} needs; {elsewhere}")
    if spec.task not in VIDEO_TASKS and "num_frames" in takes:
        raise UserError(f"{cell}: {kind} makes videos; {elsewhere}")
    if kind in ONE_IMAGE and spec.task in IMAGE_TASKS and spec.sweep.largest_batch > 1:
        raise UserError(
            f"{cell}.sweep.batch_sizes: {kind} takes one image at a time, found {list(spec.sweep.batch_sizes)}; "
            f"set [1], or {elsewhere}"
        )
    own = sorted(set(takes) - SET_HERE)
    for name in wanted.arguments:
        if name not in own:
            raise UserError(
                f"{where}.arguments.{name}: {kind} has no such argument of its own; it has {', '.join(own)}"
            )
    if wanted.arguments.get("output_type") == "latent":
        raise UserError(f"{where}.arguments.output_type: latents are no response; expected pil, np or pt")
    if wanted.guidance_scale and "guidance_scale" not in takes:  # 0 says of any pipeline that it has none
        others = ", ".join(name for name in own if "guidance" in name) or "nothing"
        raise UserError(f"{where}.guidance_scale: {kind} takes none; leave it out (of its own it has {others})")
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
        if same.get(name, parameter.default) is parameter.empty and not _given(spec.task, name):
            raise UserError(f"{cell}: {kind} needs {name}, which {spec.task} does not give; {elsewhere}")
    return same


def fitted(image: Any, width: int, height: int) -> Any:
    """`image` resized to cover `width` x `height` pixels, its overhang cut evenly."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def open_engine(spec: RunSpec, folder: Path) -> DiffusersEngine:
    """Load the pipeline in `folder` on the run's device."""
    return DiffusersEngine(spec, folder)


def _takes(pipeline: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(pipeline.__call__).parameters
    return {name: one for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}


def _given(task: str, name: str) -> bool:
    """Whether requests of the task hold what a pipeline's call names so."""
    return name == "prompt" or (name == "image" and task in IMAGE_TASKS)


def _save_memory(pipeline: Any, settings: Settings, kind: str) -> None:
    for wanted, how in ((settings.vae_slicing, "slicing"), (settings.vae_tiling, "tiling")):
        if not wanted:
            continue
        try:
            getattr(pipeline.vae, f"enable_{how}")()
        except (AttributeError, NotImplementedError):
            raise UserError(
                f"engines.diffusers.settings.vae_{how}: {kind}'s autoencoder knows no {how}; leave it out"
            ) from None


def _size(output: Any) -> tuple[int, int]:
    """Width and height of an image of PIL's, an array (height, width, 3) or a tensor (3, height, width)."""
    from PIL import Image

    if isinstance(output, Image.Image):
        return output.size
    height, width = output.shape[-2:] if len(output) == 3 else output.shape[:2]
    return int(width), int(height)
