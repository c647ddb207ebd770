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
from joulebench.engines.base import Prepared
from joulebench.engines.loading import pipeline
from joulebench.engines.pipeline_calls import given, in_parts, same_arguments
from joulebench.engines.prompts import picture
from joulebench.errors import UserError
from joulebench.names import VIDEO_TASKS

TASKS = ("text-to-image", "text-to-video", "image-to-video")
MOST_DEVICES = 1
QUANTIZATIONS: tuple[str, ...] = ()
ATTENTIONS: tuple[str, ...] = ()
PACKAGES = ("torch", "diffusers", "transformers", "accelerate")


class Settings(BaseModel):
    """torch's threads, and how the autoencoder saves memory; sizes and steps belong to the model.

    Slicing and tiling make a batch slower and smaller in memory; they are off unless they are asked for here.
    In how many chunks the frames of a video are decoded is an argument of the pipelines that can (`decode_chunk_size`).
    """

    model_config = ConfigDict(extra="forbid")
    threads: PositiveInt | None = None
    vae_slicing: bool = False
    vae_tiling: bool = False


class Engine:
    """A pipeline of any of the three tasks. See engines.base.DiffusionEngine.

    Raises UserError where the pipeline cannot serve the task, or not with the model's `generation`.
    """

    def __init__(self, spec: RunSpec, settings: Settings, folder: Path) -> None:
        import torch
        from diffusers.utils import logging
        from transformers.utils import logging as encoders

        for library in (logging, encoders):
            library.disable_progress_bar()
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._torch = torch
        self._spec = spec
        self._generation: Any = spec.generation
        self._pipeline = pipeline(spec, folder)
        self._kind = type(self._pipeline).__name__
        takes = _takes(self._pipeline)
        self._same = same_arguments(spec, self._kind, takes)
        self._own = [name for name in ("prompt", "image") if name in takes and given(spec.task, name)]
        self._seeded = "generator" in takes
        _save_memory(self._pipeline, settings, self._kind)
        self._pipeline.to(spec.torch_device)
        self._pipeline.set_progress_bar_config(disable=True)
        for library in (logging, encoders):
            library.set_verbosity_error()  # from here on a warning would come again with every batch

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Images are decoded, cropped and resized here, once.

        Raises UserError for a request without the image that the pipeline takes.
        """
        columns: dict[str, list[Any]] = {}
        if "prompt" in self._own:
            columns["prompt"] = table["prompt"].to_list()
        if "image" in self._own:
            wanted = self._generation
            rows = table.select("request", "image").iter_rows()
            columns["image"] = [fitted(picture(*row), wanted.width, wanted.height) for row in rows]
        return [Prepared(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]

    def generate(self, batch: Sequence[Prepared]) -> int:
        """The steps are the timesteps that the denoising loop went over: one model call each (two with guidance, where
        the pipeline does not batch them). A scheduler of second order goes over more timesteps than it was asked
        for steps.

        Raises UserError where the outputs are not of the size or length asked for. What torch raises is let through.
        """
        self._made(batch)
        steps = getattr(self._pipeline, "num_timesteps", None)  # TextToVideoSD and I2VGenXL have none
        return int(len(self._pipeline.scheduler.timesteps) if steps is None else steps)

    def images(self, batch: Sequence[Prepared]) -> list[Any]:
        """See engines.base.DiffusionEngine. Raises as `generate`."""
        from diffusers.image_processor import VaeImageProcessor
        from PIL import Image

        found = self._made(batch).images
        if isinstance(found[0], Image.Image):
            return list(found)
        if isinstance(found, self._torch.Tensor):
            found = VaeImageProcessor.pt_to_numpy(found)
        return list(VaeImageProcessor.numpy_to_pil(found))

    def _made(self, batch: Sequence[Prepared]) -> Any:
        """What the pipeline's call returns for a batch, of the size and length asked for, once the device is done."""
        inputs: dict[str, Any] = {name: [one.prompt[name] for one in batch] for name in self._own}  # type: ignore[index]
        if len(batch) == 1 and "image" in inputs:
            (inputs["image"],) = inputs["image"]  # every pipeline takes a bare image, and ONE_IMAGE no list
        if self._seeded:
            inputs["generator"] = self._torch.Generator(self._spec.torch_device).manual_seed(self._spec.sample.seed)
        with in_parts():
            made = self._pipeline(**inputs, **self._same)
        if self._spec.on_gpu:
            self._torch.cuda.synchronize()
        self._check(made, len(batch))
        return made

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self._same)

    def close(self) -> None:
        self._pipeline = None
        if self._spec.on_gpu:
            self._torch.cuda.empty_cache()

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


def fitted(image: Any, width: int, height: int) -> Any:
    """`image` resized to cover `width` x `height` pixels, its overhang cut evenly."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def _takes(pipeline: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(pipeline.__call__).parameters
    return {name: one for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}


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
