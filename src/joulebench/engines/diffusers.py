"""Images on Diffusers pipelines, a batch of prompts at a time."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, PositiveInt

from joulebench.engines.base import Prepared
from joulebench.spec import RunSpec

TASKS = ("text-to-image",)
MOST_DEVICES = 1
PACKAGES = ("torch", "diffusers", "transformers", "accelerate")


class Settings(BaseModel):
    """Nothing but torch's threads; sizes and steps belong to the model."""

    model_config = ConfigDict(extra="forbid")
    threads: PositiveInt | None = None


class DiffusersEngine:
    """A text-to-image pipeline. See engines.base.DiffusionEngine."""

    def __init__(self, spec: RunSpec, folder: Path) -> None:
        import torch
        from diffusers import DiffusionPipeline
        from diffusers.utils import logging

        logging.disable_progress_bar()
        settings = Settings.model_validate(spec.engine_settings)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        assert spec.generation is not None
        self._torch = torch
        self._device = spec.device
        self._generation = spec.generation
        self._seed = spec.sample.seed
        self._pipeline = DiffusionPipeline.from_pretrained(
            folder,
            dtype=getattr(torch, spec.dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
        ).to(spec.device)
        self._pipeline.set_progress_bar_config(disable=True)

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        """See engines.base.DiffusionEngine."""
        return [Prepared(prompt) for prompt in requests["prompt"]]

    def generate(self, batch: Sequence[Prepared]) -> int:
        """See engines.base.DiffusionEngine."""
        wanted = self._generation
        images = self._pipeline(
            [one.prompt for one in batch],
            height=wanted.height,
            width=wanted.width,
            num_inference_steps=wanted.denoising_steps,
            guidance_scale=wanted.guidance_scale,
            generator=self._torch.Generator("cpu").manual_seed(self._seed),
        ).images
        if self._device == "cuda":
            self._torch.cuda.synchronize()
        if len(images) != len(batch):
            raise RuntimeError(f"the pipeline made {len(images)} images of {len(batch)} prompts")
        return int(self._pipeline.num_timesteps)

    def close(self) -> None:
        """See engines.base.DiffusionEngine."""
        self._pipeline = None
        if self._device == "cuda":
            self._torch.cuda.empty_cache()


def open_engine(spec: RunSpec, folder: Path) -> DiffusersEngine:
    """Load the pipeline in `folder` on the run's device."""
    return DiffusersEngine(spec, folder)
