"""The diffusers engine on tiny pipelines of every kind: what goes in, what comes out, and what is refused."""

import copy
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from building import PROJECT, asked, painted, plain, tiny
from PIL import Image

from joulebench import config, models
from joulebench.config.spec import RunSpec, run_spec
from joulebench.config.whole import Config
from joulebench.engines import open_engine
from joulebench.engines.base import Prepared
from joulebench.engines.diffusers import Engine, fitted
from joulebench.engines.prompts import picture
from joulebench.errors import UserError
from joulebench.measure.run import measure
from joulebench.records.files import read_parquet, read_run, write_json, write_parquet
from joulebench.records.models import Prompts
from joulebench.records.schemas import BATCHES, REQUESTS

MODEL = "joulebench/tiny"
PROMPT_TEXTS = [f"a red bicycle number {number} rolls down the street" for number in range(40)]


def shipped(name: str, **components: Any) -> dict[str, Any]:
    """A tiny shape of the project, some of its components changed."""
    shape: dict[str, Any] = plain(PROJECT / "config" / "models" / f"{name}.yaml")
    for part, changes in components.items():
        shape["components"][part]["config"] |= changes
    return shape


VAE = {
    "class": "AutoencoderKL",
    "config": {
        "block_out_channels": [16, 32],
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "latent_channels": 4,
        "norm_num_groups": 16,
        "shift_factor": 0.0,
    },
}
TRANSFORMER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = TRANSFORMER | {"image_size": 64, "patch_size": 32, "projection_dim": 32}
PROCESSOR = {"class": "CLIPImageProcessor", "config": {"size": 64, "crop_size": 64}}
UNET_3D = {
    "block_out_channels": [32, 64],
    "down_block_types": ["CrossAttnDownBlock3D", "DownBlock3D"],
    "up_block_types": ["UpBlock3D", "CrossAttnUpBlock3D"],
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
}
TEXT_TO_VIDEO_SD = {
    "kind": "pipeline",
    "pipeline": "TextToVideoSDPipeline",
    "components": {
        "unet": {"class": "UNet3DConditionModel", "config": UNET_3D},
        "vae": VAE,
        "text_encoder": {"class": "CLIPTextModel", "config": TRANSFORMER},
        "tokenizer": {"class": "CLIPTokenizer"},
        "scheduler": {"class": "DDIMScheduler", "config": {"clip_sample": False}},
    },
}
I2VGEN_XL = {
    "kind": "pipeline",
    "pipeline": "I2VGenXLPipeline",
    "components": TEXT_TO_VIDEO_SD["components"]  # type: ignore[operator]
    | {
        "unet": {"class": "I2VGenXLUNet", "config": UNET_3D},
        "image_encoder": {"class": "CLIPVisionModelWithProjection", "config": VISION},
        "feature_extractor": PROCESSOR,
    },
}
SD3: dict[str, Any] = {
    "kind": "pipeline",
    "pipeline": "StableDiffusion3Pipeline",
    "components": {
        "transformer": {
            "class": "SD3Transformer2DModel",
            "config": {
                "sample_size": 16,
                "in_channels": 4,
                "out_channels": 4,
                "num_layers": 2,
                "attention_head_dim": 16,
                "num_attention_heads": 2,
                "joint_attention_dim": 64,
                "caption_projection_dim": 32,
                "pooled_projection_dim": 64,
                "pos_embed_max_size": 16,
            },
        },
        "vae": VAE,
        "text_encoder": {"class": "CLIPTextModelWithProjection", "config": TRANSFORMER | {"projection_dim": 32}},
        "text_encoder_2": {"class": "CLIPTextModelWithProjection", "config": TRANSFORMER | {"projection_dim": 32}},
        "text_encoder_3": {
            "class": "T5EncoderModel",
            "config": {"d_model": 64, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2},
        },
        "tokenizer": {"class": "CLIPTokenizer"},
        "tokenizer_2": {"class": "CLIPTokenizer"},
        "tokenizer_3": {"class": "T5Tokenizer"},
        "scheduler": {"class": "FlowMatchEulerDiscreteScheduler", "config": {"shift": 3.0}},
    },
}


def without_t5() -> dict[str, Any]:
    shape = copy.deepcopy(SD3)
    shape["components"] |= {"text_encoder_3": None, "tokenizer_3": None}
    return shape


def wan_image_to_video() -> dict[str, Any]:
    """Wan 2.1's: 16 channels of noise, 16 of the image, 4 of the mask; the image's embedding in the attention."""
    shape = shipped("wan-6m", transformer={"in_channels": 36, "image_dim": 32, "added_kv_proj_dim": 192})
    shape["pipeline"] = "WanImageToVideoPipeline"
    vision = {name: value for name, value in VISION.items() if name != "projection_dim"}
    shape["components"] |= {
        "image_encoder": {"class": "CLIPVisionModel", "config": vision},
        "image_processor": PROCESSOR,
    }
    return shape


def with_scheduler(shape: dict[str, Any], name: str, **settings: Any) -> dict[str, Any]:
    return shape | {"components": shape["components"] | {"scheduler": {"class": name, "config": settings}}}


SMALL = {"height": 32, "width": 48, "denoising_steps": 3, "guidance_scale": 4.0}
SHAPES: dict[str, tuple[str, Callable[[], dict[str, Any]], dict[str, Any]]] = {
    "sd": ("text-to-image", lambda: shipped("sd-5m"), SMALL),
    "sd-heun": (
        "text-to-image",
        lambda: with_scheduler(shipped("sd-5m"), "HeunDiscreteScheduler", steps_offset=1),
        SMALL,
    ),
    "sdxl": ("text-to-image", lambda: shipped("sdxl-13m"), SMALL),
    "sd3": ("text-to-image", lambda: SD3, SMALL),
    "sd3-without-t5": ("text-to-image", without_t5, SMALL),
    "text-to-video-sd": ("text-to-video", lambda: TEXT_TO_VIDEO_SD, SMALL | {"frames": 4}),
    "text-to-video-sd-pndm": (
        "text-to-video",
        lambda: with_scheduler(TEXT_TO_VIDEO_SD, "PNDMScheduler", skip_prk_steps=True, steps_offset=1),
        SMALL | {"frames": 4},
    ),
    "animatediff": ("text-to-video", lambda: shipped("animatediff-6m"), SMALL | {"frames": 4}),
    "ltx": (
        "text-to-video",
        lambda: shipped("ltx-i2v-7m") | {"pipeline": "LTXPipeline"},
        SMALL | {"width": 64, "frames": 9},
    ),
    "wan": ("text-to-video", lambda: shipped("wan-6m"), SMALL | {"frames": 5}),
    "wan-coarse": (
        "text-to-video",
        lambda: shipped("wan-6m", transformer={"patch_size": [1, 4, 4]}),
        SMALL | {"frames": 5},
    ),
    "svd": ("image-to-video", lambda: shipped("svd-7m"), SMALL | {"frames": 3, "guidance_scale": 0.0}),
    "i2vgen-xl": (
        "image-to-video",
        lambda: I2VGEN_XL,
        # Its own default of 1 asks for a part of CLIP's model that transformers 5 has moved.
        SMALL | {"frames": 4, "arguments": {"clip_skip": None}},
    ),
    "ltx-i2v": ("image-to-video", lambda: shipped("ltx-i2v-7m"), SMALL | {"width": 64, "frames": 9}),
    "wan-i2v": ("image-to-video", wan_image_to_video, SMALL | {"frames": 5}),
}
ONE_AT_A_TIME = {"wan-i2v"}
NEEDS_FTFY = {"wan-i2v"}


def config_of(task: str, shape: dict[str, Any], generation: dict[str, Any], batch_sizes: list[int]) -> Config:
    """The tiny config with one model of `shape` for `task` alone."""
    raw = tiny()
    dataset = {"name": "sharegpt4video", "source": {"kind": "packaged"}}
    if task == "image-to-video":
        dataset["media"] = {"kind": "packaged"}
    sweep = {"batch_sizes": batch_sizes, "protocol": {"kind": "fixed", "requests": 4}}
    raw["tasks"][task] = {"dataset": dataset, "sample": {"requests": 4, "seed": 0}, "sweep": sweep}
    raw["models"][MODEL] = {
        "weights": "synthetic",
        "architecture": shape,
        "tokenizer": {"kind": "trained", "train_on": task, "vocabulary": 512},
        "dtype": "float32",
        "generation": generation,
    }
    raw["matrix"]["cpu"][task] = {"engine": "diffusers", "models": [MODEL]}
    return config.parse(raw)


Made = tuple[RunSpec, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """What a kind of SHAPES was built as: the spec of its run, and its folder. Each is built once."""
    done: dict[str, Made] = {}

    def build(name: str) -> Made:
        if name not in done:
            task, shape, generation = SHAPES[name]
            chosen = config_of(task, shape(), generation, [1] if name in ONE_AT_A_TIME else [1, 2])
            folder = tmp_path_factory.mktemp(name)
            models.prepare(MODEL, chosen.models[MODEL], PROMPT_TEXTS, folder)
            done[name] = run_spec(chosen, "cpu", task, MODEL), folder  # type: ignore[arg-type]
        return done[name]

    return build


def changed(spec: RunSpec, **changes: Any) -> RunSpec:
    """A spec whose `generation` has other values, or which has others itself."""
    assert spec.generation is not None
    own = {name: changes.pop(name) for name in tuple(changes) if name in RunSpec.model_fields}
    return spec.model_copy(update=own | {"generation": spec.generation.model_copy(update=changes)})


def requests(*rows: tuple[str, bytes | None]) -> pl.DataFrame:
    return asked(*((prompt, None, image) for prompt, image in rows))


FOUR = requests(
    ("a red bicycle", painted((250, 10, 10))),
    ("a grey street", painted(90, "L", (33, 17), "JPEG")),
    ("a street in the rain " * 40, painted(3, "P", (200, 31))),
    ("nothing", painted((1, 2, 3, 40), "RGBA", (1, 1), "WEBP")),
)


class Watched:
    """An engine whose pipeline's outputs are kept."""

    def __init__(self, spec: RunSpec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = open_engine(spec, folder)
        assert isinstance(opened, Engine)
        self.engine = opened
        self.outputs: list[Any] = []
        kind = type(opened._pipeline)
        call = kind.__call__

        def kept(pipeline: Any, **arguments: Any) -> Any:
            found = call(pipeline, **arguments)
            self.outputs.append(found.images if hasattr(found, "images") else found.frames)
            return found

        monkeypatch.setattr(kind, "__call__", kept)

    def videos(self, batch: list[Prepared]) -> list[np.ndarray[Any, Any]]:
        self.engine.generate(batch)
        return [np.array([np.asarray(frame, dtype=float) for frame in video]) for video in self.outputs[-1]]


def pixels(output: Any) -> tuple[int, int]:
    return output.size if isinstance(output, Image.Image) else (output.shape[1], output.shape[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHAPES if name != "wan-coarse"])
def test_a_batch_makes_one_output_a_request(
    name: str, made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if name in NEEDS_FTFY and importlib.util.find_spec("ftfy") is None:
        pytest.skip("this pipeline cleans its prompts with ftfy, which is not installed")
    spec, folder = made(name)
    asked = SHAPES[name][2]
    watched = Watched(spec, folder, monkeypatch)
    prepared = watched.engine.prepare(FOUR)
    capfd.readouterr()
    # Three steps; Heun's scheduler calls the model twice for all but the last, PNDM's once more for its start.
    timesteps = {"sd-heun": 2 * 3 - 1, "text-to-video-sd-pndm": 3 + 1}.get(name, 3)
    for batch in (prepared[2:3], prepared[:2]):
        if len(batch) == 1 or name not in ONE_AT_A_TIME:
            assert watched.engine.generate(batch) == timesteps
            outputs = watched.outputs[-1]
            assert len(outputs) == len(batch)
            if "frames" in asked:
                assert [len(video) for video in outputs] == [asked["frames"]] * len(batch)
            first = outputs[0][0] if "frames" in asked else outputs[0]
            assert pixels(first) == (asked["width"], asked["height"])
    assert capfd.readouterr() == ("", "")  # a warning here would come with every batch
    watched.engine.close()
    watched.engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svd", "i2vgen-xl", "ltx-i2v"])
def test_each_video_of_a_batch_is_of_its_own_image(
    name: str, made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    spec, folder = made(name)
    watched = Watched(spec, folder, monkeypatch)
    rows = [("a boat", painted((250, 10, 10))), ("a boat", painted((10, 10, 250)))]
    red, blue = watched.engine.prepare(requests(*rows))
    torch.manual_seed(0)  # I2VGenXL encodes the image with torch's own random numbers
    first, second = watched.videos([red, blue])
    torch.manual_seed(0)
    same, other = watched.videos([red, red])
    assert np.array_equal(first, same)
    assert not np.array_equal(second, other)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("text-to-video-sd", {"task": "image-to-video"}, "matrix.cpu.image-to-video: TextToVideoSDPipeline takes no image"),
    ("svd", {"task": "text-to-video"}, "StableVideoDiffusionPipeline takes no prompt, which text-to-video needs"),
    ("sd", {"task": "text-to-video", "frames": 4}, "StableDiffusionPipeline takes no num_frames"),
    ("ltx", {"task": "text-to-image"}, "matrix.cpu.text-to-image: LTXPipeline makes videos"),
    ("wan-i2v", {"task": "text-to-video"}, "needs image, which text-to-video does not give"),
    (
        "svd",
        {"guidance_scale": 3.0},
        "models.joulebench/tiny.generation.guidance_scale: StableVideoDiffusionPipeline takes none; leave it out "
        "(of its own it has max_guidance_scale, min_guidance_scale)",
    ),
    (
        "svd",
        {"arguments": {"decode_chunks": 2}},
        "models.joulebench/tiny.generation.arguments.decode_chunks: StableVideoDiffusionPipeline has no such "
        "argument of its own; it has callback_on_step_end, callback_on_step_end_tensor_inputs, decode_chunk_size, ",
    ),
    (
        "svd",
        {"arguments": {"height": 64}},
        "arguments.height: StableVideoDiffusionPipeline has no such argument of its own",
    ),
    (
        "sd",
        {"arguments": {"num_images_per_prompt": 2}},
        "arguments.num_images_per_prompt: StableDiffusionPipeline has no",
    ),
    (
        "animatediff",
        {"arguments": {"speed": 2}},
        "arguments.speed: AnimateDiffPipeline has no such",
    ),  # its call ends in **kwargs
    ("sd", {"arguments": {"output_type": "latent"}}, "output_type: latents are no response; expected pil, np or pt"),
    ("svd", {"engine_settings": {"vae_slicing": True}}, "engines.diffusers.settings.vae_slicing: StableVideoDiffusion"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes", "complaint"), REFUSED)
def test_what_a_pipeline_cannot_do_is_one_line_at_opening(
    name: str, changes: dict[str, Any], complaint: str, made: Callable[[str], Made]
) -> None:
    spec, folder = made(name)
    with pytest.raises(UserError) as refused:
        open_engine(changed(spec, **changes), folder)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_pipeline_of_one_image_at_a_time_says_so(made: Callable[[str], Made]) -> None:
    spec, folder = made("wan-i2v")
    sweep = spec.sweep.model_copy(update={"batch_sizes": (1, 2)})
    with pytest.raises(
        UserError, match=r"WanImageToVideoPipeline takes one image at a time, found \[1, 2\]; set \[1\]"
    ):
        open_engine(changed(spec, sweep=sweep), folder)
    open_engine(spec, folder).close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        # LTX makes 8 k + 1 frames, Wan 4 k + 1; both round down.
        ("ltx", {"frames": 16}, "generation.frames: LTXPipeline made 9 frames, asked for 16"),
        ("wan", {"frames": 6}, "generation.frames: WanPipeline made 5 frames, asked for 6"),
        # Patches of 4 latents, each 8 pixels wide: multiples of 32.
        ("wan-coarse", {}, "generation: WanPipeline made 32 x 32 pixels, asked for 48 x 32"),
    ],
)
def test_another_length_or_size_than_was_asked_for(
    name: str, changes: dict[str, Any], complaint: str, made: Callable[[str], Made]
) -> None:
    spec, folder = made(name)
    engine = open_engine(changed(spec, **changes), folder)
    with pytest.raises(UserError) as refused:
        engine.generate(engine.prepare(FOUR)[:1])  # type: ignore[union-attr]
    assert complaint in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["pil", "np", "pt"])
def test_arguments_of_the_pipelines_own_reach_it(
    output: str, made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder = made("svd")
    asked = {"output_type": output, "decode_chunk_size": 1}
    watched = Watched(changed(spec, arguments=asked), folder, monkeypatch)
    decoded: list[int] = []
    vae = watched.engine._pipeline.vae
    decode = vae.decode

    def counted(latents: Any, **how: Any) -> Any:
        decoded.append(len(latents))
        return decode(latents, **how)

    monkeypatch.setattr(vae, "decode", counted)
    assert watched.engine.generate(watched.engine.prepare(FOUR)[:2]) == 3
    assert decoded == [1] * 2 * 3  # frame by frame: two videos of three
    assert type(watched.outputs[0][0]).__name__ == {"pil": "list", "np": "ndarray", "pt": "Tensor"}[output]


@pytest.mark.slow
def test_the_autoencoder_saves_memory_only_where_it_is_asked_to(made: Callable[[str], Made]) -> None:
    spec, folder = made("sd")
    for settings, expected in (({}, (False, False)), ({"vae_slicing": True, "vae_tiling": True}, (True, True))):
        engine = open_engine(changed(spec, engine_settings=settings), folder)
        vae = engine._pipeline.vae  # type: ignore[union-attr]
        assert (vae.use_slicing, vae.use_tiling) == expected
        engine.close()


@pytest.mark.slow
def test_a_request_without_an_image_is_refused(made: Callable[[str], Made]) -> None:
    engine = open_engine(*made("svd"))
    with pytest.raises(UserError, match="request 1 has no image, its task needs one"):
        engine.prepare(requests(("a", painted(1)), ("b", None)))


def test_a_picture_covers_its_frame_and_is_cut_in_the_middle() -> None:
    flag = Image.new("RGB", (60, 20))
    for number, colour in enumerate([(200, 0, 0), (0, 200, 0), (0, 0, 200)]):
        flag.paste(colour, (20 * number, 0, 20 * number + 20, 20))
    file = io.BytesIO()
    flag.save(file, "PNG")
    middle = fitted(picture(0, file.getvalue()), 10, 10)  # a square of a strip three squares wide: its middle third
    assert (middle.size, middle.mode) == ((10, 10), "RGB")
    assert middle.getpixel((5, 5)) == (0, 200, 0)
    whole = fitted(picture(0, file.getvalue()), 120, 40)
    assert [whole.getpixel((20 + 40 * number, 20)) for number in range(3)] == [(200, 0, 0), (0, 200, 0), (0, 0, 200)]


def test_pictures_of_every_form_become_upright_rgb() -> None:
    for content in (
        painted(90, "L"),
        painted(1, "1", (7, 3)),
        painted(90, "L", kind="JPEG"),
        painted((5,) * 4, "CMYK", kind="JPEG"),
    ):
        made_of = fitted(picture(0, content), 16, 8)
        assert (made_of.size, made_of.mode) == ((16, 8), "RGB")
    assert fitted(picture(0, painted(90, "L")), 4, 4).getpixel((1, 1)) == (90, 90, 90)
    sideways = Image.new("RGB", (20, 40), (0, 0, 200))
    sideways.paste((200, 0, 0), (0, 0, 20, 20))
    turned = Image.Exif()
    turned[0x0112] = 6  # shown turned by a quarter clockwise: what is on top goes to the right
    file = io.BytesIO()
    sideways.save(file, "PNG", exif=turned)
    upright = fitted(picture(0, file.getvalue()), 40, 20)
    assert [upright.getpixel((x, 10)) for x in (5, 35)] == [(0, 0, 200), (200, 0, 0)]


@pytest.mark.slow
def test_an_image_to_video_run_is_measured_and_recorded(
    tmp_path: Path, made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOULEBENCH_METERS", "none")
    spec, folder = made("svd")
    sampled = Prompts(
        dataset=spec.dataset.model_dump(mode="json"),
        sample=spec.sample.model_dump(mode="json"),
        origin={},
        rows=4,
        unusable={},
    )
    write_parquet(FOUR, tmp_path / "requests.parquet")
    write_json(sampled, tmp_path / "requests.json")
    measure(spec, tmp_path / "requests.parquet", folder, tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.spec["task"] == "image-to-video"
    assert run.spec["generation"]["frames"] == 3
    assert [(point.max_batch_size, point.status) for point in run.points] == [(1, "measured"), (2, "measured")]
    for place, batch, batches in (
        ("00-b1", 1, 4),
        ("01-b2", 2, 3),
    ):  # four requests, three batches at least; one before them
        point = tmp_path / "run" / "points" / place
        rows = read_parquet(point / "iterations.parquet", BATCHES)
        assert (
            rows.select("outputs", "denoising_steps", "warmup").rows()
            == [(batch, 3, True)] + [(batch, 3, False)] * batches
        )
        assert (rows["end_s"] > rows["start_s"]).all()
        served = read_parquet(point / "requests.parquet", REQUESTS)
        assert served["status"].to_list() == ["finished"] * (batch * (batches + 1))
