"""CLIP score of an image: 100 times the cosine between its prompt and itself in CLIP's space; 0 where that is negative.

Hessel et al. 2021 (CLIPScore, arXiv 2104.08718, section 3) define w max(cos, 0) with w = 2.5. What is reported of
text-to-image models has w = 100: torchmetrics' CLIPScore, and MLPerf Inference's accuracy of Stable Diffusion XL
(text_to_image/tools/accuracy_coco.py), which is not cut off at 0; cosines of trained models are hardly ever negative.
Scores of different CLIP models cannot be compared. A prompt of more tokens than the model reads (77) is cut, as there.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.checkpoints.weights import read_json
from joulebench.config.quality import ClipScore
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import Dataset
from joulebench.errors import UserError, in_one_line

WEIGHT = 100.0
"""What the cosine is multiplied with."""


def asking(spec: RunSpec, prompts: pl.DataFrame, asked: ClipScore) -> tuple[RunSpec, pl.DataFrame]:
    """See joulebench.quality: the first of the sample, which is in a random order."""
    return spec, prompts if asked.images is None else prompts.head(asked.images)


def check(prompts: pl.DataFrame, dataset: Dataset, asked: ClipScore) -> None:
    """See joulebench.quality. Raises UserError where there are fewer prompts than images are asked for."""
    if asked.images is not None and asked.images > prompts.height:
        raise UserError(
            f"quality.images: {asked.images} asked for, {prompts.height} prompts of {dataset.name} in the sample; "
            "ask for no more, or leave it out"
        )


def check_judge(name: str, folder: Path) -> None:
    """See joulebench.quality. Raises UserError where the folder's model is no CLIP, or not whole."""
    _loaded(name, folder)


def scores(
    images: Sequence[bytes], prompts: pl.DataFrame, folder: Path, device: str, asked: ClipScore
) -> tuple[list[float], int]:
    """See joulebench.quality. `images`: whole files of images; `device`: torch's name of it."""
    import torch
    from PIL import Image

    model, processor = _loaded(asked.clip, folder)
    model.to(device)
    longest = model.config.text_config.max_position_embeddings
    texts = prompts["prompt"].to_list()
    lengths = [len(ids) for ids in processor.tokenizer(texts, verbose=False)["input_ids"]]
    found: list[float] = []
    for first in range(0, len(images), asked.in_flight):
        part = slice(first, first + asked.in_flight)
        inputs = processor(
            text=texts[part],
            images=[Image.open(io.BytesIO(image)).convert("RGB") for image in images[part]],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=longest,
        )
        with torch.inference_mode():
            seen = model(**inputs.to(device))
        found += torch.nn.functional.cosine_similarity(seen.image_embeds, seen.text_embeds).tolist()
    return [WEIGHT * max(cosine, 0.0) for cosine in found], sum(length > longest for length in lengths)


def _loaded(name: str, folder: Path) -> tuple[Any, Any]:
    """The CLIP model in `folder`, in float32 on the CPU, and its processor of words and images."""
    import torch
    from transformers import CLIPModel, CLIPProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()
    kind = read_json(name, folder / "config.json").get("model_type") if (folder / "config.json").exists() else None
    if kind != "clip":
        found = "no model of transformers" if kind is None else f"of the type {kind!r:.40}"
        raise UserError(
            f"models.{name}: {folder} is {found}, and clip-score needs a CLIP, such as openai/clip-vit-large-patch14; "
            "name one as quality.clip"
        )
    files = {"local_files_only": True}
    try:
        processor = CLIPProcessor.from_pretrained(folder, **files)
        model, told = CLIPModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **files
        )
    except (OSError, ValueError, ImportError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"models.{name}: {folder} cannot be loaded as CLIP ({in_one_line(error, 300)}); take another checkpoint"
        ) from error
    if told["missing_keys"]:
        raise UserError(
            f"models.{name}: {folder} lacks {min(told['missing_keys'])} of CLIP's weights; take a whole checkpoint"
        )
    return model.eval(), processor
