"""Checkpoints of models that see: tiles that depend on the picture, and templates that only the processor has."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from building import TEXTS
from PIL import Image
from tiny_checkpoints import TRAINED, asked, edited, llama, odd, prepared, spec, words

from joulebench import models
from joulebench.checkpoints import chat
from joulebench.config.models import Checkpoint, Synthetic
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.engines.loading import language_model
from joulebench.engines.transformers_static import collated
from joulebench.errors import UserError
from joulebench.models.checkpoint import check_prompts

TILES = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LLAVA_NEXT = {
    "kind": "vision-language",
    "model_type": "llava_next",
    "config": {
        "vision_config": TEXT | {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14},
        "text_config": TEXT | {"model_type": "llama", "num_key_value_heads": 2, "max_position_embeddings": 512},
        "image_grid_pinpoints": TILES,
        "vision_feature_select_strategy": "default",
    },
    "processor": {
        "class": "LlavaNextProcessor",
        "config": {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
        "image_processor": {
            "class": "LlavaNextImageProcessorPil",
            "config": {
                "size": {"shortest_edge": 28},
                "crop_size": {"height": 28, "width": 28},
                "image_grid_pinpoints": TILES,
            },
        },
    },
    "token_ids": {"image_token_id": "<image>"},
    "image_prompt": "<image>",
}
CHECKPOINT = Checkpoint(weights="checkpoint", revision="0" * 40)
SIZES = [(40, 40), (120, 30), (30, 90)]
QUESTIONS = ["What is in this picture?", "def area(side):", "Why?"]


def picture(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


PICTURES = [picture(*size) for size in SIZES]


def checkpoint(folder: Path) -> Path:
    """LLaVA-NeXT's shape; layers heavier than the embedding, or an answer repeats one token."""
    facts = {"weights": "synthetic", "architecture": LLAVA_NEXT, "tokenizer": TRAINED, "dtype": "float32"}
    models.prepare("a/b", Synthetic.model_validate(facts), TEXTS, folder)
    (folder / "model.json").unlink()
    made = language_model(transformers.AutoModelForImageTextToText, spec().model_copy(update=DRAWN), folder)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                weight.mul_(10)
    made.save_pretrained(folder)
    return folder


DRAWN = {"weights": "synthetic", "weights_seed": 1}


@pytest.fixture(scope="module")
def llava_next(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("llava-next"))


@pytest.fixture(scope="module")
def engine(llava_next: Path) -> Any:
    length = OutputLength(kind="fixed", tokens=6)
    opened = open_engine(spec("vlm-chat", output_length=length), llava_next)
    yield opened
    opened.close()


def answers(engine: Any, group: list[Any]) -> list[list[int]]:
    for number, one in enumerate(group):
        engine.submit(number, one)
    engine.step()
    batch = engine._batch
    while not engine.step().finished:
        pass
    return list(batch._answers)


@pytest.mark.slow
@pytest.mark.fault("input", "LLaVA-NeXT, whose tiles depend on the picture, in one batch", "served, as one by one")
def test_pictures_of_unequal_tiles_are_one_batch(engine: Any) -> None:
    ready = engine.prepare(asked(*QUESTIONS, images=PICTURES))
    assert len({one.prompt["pixel_values"].shape for one in ready}) > 1
    together = answers(engine, ready)
    assert together == [answers(engine, [one])[0] for one in ready]
    assert len({tuple(answer) for answer in together}) == 3


def mllama() -> Any:
    tokenizer = words("<|image|>", "<|begin|>")
    tokenizer.bos_token = "<|begin|>"
    images = transformers.MllamaImageProcessorPil(size={"height": 56, "width": 56}, max_image_tiles=4)
    return transformers.MllamaProcessor(images, tokenizer, chat_template=tokenizer.chat_template)


@pytest.mark.parametrize("kind", ["llava_next", "mllama"])
def test_a_batch_is_what_the_processor_makes_of_it(kind: str, llava_next: Path) -> None:
    processor = mllama() if kind == "mllama" else transformers.AutoProcessor.from_pretrained(llava_next)
    processor.tokenizer.padding_side = "left"
    how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    turns = []
    for text, content in zip(QUESTIONS, PICTURES, strict=True):
        parts = [{"type": "image", "image": Image.open(io.BytesIO(content))}, {"type": "text", "text": text}]
        turns.append([{"role": "user", "content": parts}])
    one_by_one = [dict(processor.apply_chat_template(turn, **how)) for turn in turns]
    at_once = processor.apply_chat_template(turns, **how, processor_kwargs={"padding": True})
    ours = collated(one_by_one, processor.tokenizer.pad_token_id)
    assert set(ours) == set(at_once)
    for name, whole in at_once.items():
        assert torch.equal(ours[name], whole), name


WITH_IMAGE = "{% for part in messages[0].content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}"
WITH_IMAGE += "{% endif %}{% endfor %}<|assistant|>"
WITHOUT = "{% for part in messages[0].content if part.type == 'text' %}{{ part.text }}{% endfor %}"


def with_template(source: Path, folder: Path, tokenizers: str | None, processors: str | None) -> Path:
    shutil.copytree(source, folder)
    (folder / "chat_template.jinja").unlink()
    edited(folder / "tokenizer_config.json", chat_template=tokenizers)
    if processors is not None:
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": processors}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("tokenizers", "processors"), [
    odd("processor", "a vision model's chat template on the processor alone", "served", None, WITH_IMAGE),
    odd("tokenizer", "a vision model's chat template on the tokenizer alone", "served", WITH_IMAGE, None),
    odd("both", "a tokenizer's chat template without images beside the processor's", "the processor's is taken",
        WITHOUT, WITH_IMAGE),
])  # fmt: skip
def test_a_vision_models_template_is_found(
    tokenizers: str | None, processors: str | None, llava_next: Path, tmp_path: Path
) -> None:
    folder = with_template(llava_next, tmp_path / "m", tokenizers, processors)
    check_prompts("a/b", CHECKPOINT, folder, {"vlm-chat": "chat"})
    length = OutputLength(kind="fixed", tokens=1)
    (one,) = prepared(folder, asked("Why?", images=PICTURES[:1]), task="vlm-chat", output_length=length)
    prompt: Any = one.prompt
    ids = prompt["input_ids"][0].tolist()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    image = tokenizer.convert_tokens_to_ids("<image>")
    assert [id_ for id_ in ids if id_ != image] == tokenizer("Why?<|assistant|>").input_ids
    assert ids.count(image) > 4
    # vLLM makes as many image tokens of one itself; the text before that is the same.
    chat.take_template(tokenizer, folder, sees=True)
    assert chat.rendered(tokenizer, chat.with_image("Why?"), tokenize=False) == "<image>Why?<|assistant|>"


@pytest.mark.slow
@pytest.mark.parametrize(("tokenizers", "processors", "complaint"), [
    odd("none", "a vision model without any chat template", "refused in one line when the model is prepared",
        None, None, "no chat template"),
    odd("without", "a vision model whose chat template leaves out the image",
        "refused in one line when the model is prepared", WITHOUT, None, "leaves out the image"),
])  # fmt: skip
def test_a_vision_model_that_cannot_be_asked(
    tokenizers: str | None, processors: str | None, complaint: str, llava_next: Path, tmp_path: Path
) -> None:
    folder = with_template(llava_next, tmp_path / "m", tokenizers, processors)
    with pytest.raises(UserError, match=complaint) as error:
        check_prompts("a/b", CHECKPOINT, folder, {"vlm-chat": "chat"})
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=complaint):
        open_engine(spec("vlm-chat"), folder)


@pytest.mark.fault("input", "a model that sees nothing, asked about pictures", "refused in one line")
def test_a_model_without_eyes(tmp_path: Path) -> None:
    llama(tmp_path)
    with pytest.raises(UserError) as error:
        open_engine(spec("vlm-chat"), tmp_path)
    assert "has no processor of images, which vlm-chat needs" in str(error.value)
    assert "\n" not in str(error.value)
