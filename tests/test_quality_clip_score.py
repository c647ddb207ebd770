"""CLIP score of images: against transformers' own, and from the config to the table, of small models."""

import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from building import BIN, asked, copy_project, painted, prepare_tiny, tiny, tiny_spec
from PIL import Image
from safetensors.torch import load_file, save_file
from warmed import search_path

from joulebench import config, datasets, models
from joulebench.analysis.quality import quality
from joulebench.config.quality import ClipScore
from joulebench.config.tasks import Dataset
from joulebench.engines import open_engine
from joulebench.engines.base import Prepared
from joulebench.engines.diffusers import Engine
from joulebench.errors import UserError
from joulebench.files import RecordError
from joulebench.plan import Plan
from joulebench.quality import clip_score, picturing, scoring
from joulebench.quality.mean import student
from joulebench.records.files import read_score
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import POINTS, QUALITY

JUDGE, MADE = "joulebench/clip", "joulebench/drawn-once"
ASKED = ClipScore(kind="clip-score", clip=JUDGE, in_flight=2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a small CLIP, as transformers saves it."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    letters = sorted(ByteLevel.alphabet())  # a token each: trained ones come out in another order each time
    known = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    words = CLIPTokenizer({one: place for place, one in enumerate(known)}, [], model_max_length=77)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {name: getattr(words, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    made = CLIPConfig(
        text_config=size | ends | {"vocab_size": len(known)},
        vision_config=size | {"image_size": 64, "patch_size": 32},
        projection_dim=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(28)
        CLIPModel(made).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(size=64, crop_size=64), words).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a small pipeline's checkpoint, as diffusers saves it."""
    place = tmp_path_factory.mktemp("pipeline")
    prepare_tiny("text-to-image", place / "prompts.parquet", place / "drawn")
    engine = open_engine(tiny_spec("text-to-image"), place / "drawn")
    assert isinstance(engine, Engine)
    engine._pipeline.save_pretrained(place / "saved")
    return place / "saved"


def changed(clip: Path, to: Path) -> dict[str, Any]:
    """Copies the folder; the weights that are in it."""
    shutil.copytree(clip, to, dirs_exist_ok=True)
    return load_file(clip / "model.safetensors")


def test_a_score_is_what_transformers_own_logits_say(clip: Path, tmp_path: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    texts = ["a red bicycle", "x = [1, 2, 3]"]
    images = [painted((250, 10, 10), size=(90, 64)), painted((20, 40, 200), size=(64, 64))]
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    opened = [Image.open(io.BytesIO(image)) for image in images]
    with torch.no_grad():
        logits = model(**processor(text=texts, images=opened, return_tensors="pt", padding=True)).logits_per_image
    cosines = (logits / model.logit_scale.exp()).diagonal().tolist()
    assert cosines == pytest.approx([0.41, 0.45], abs=0.01)
    table = asked(*((text, None, None) for text in texts))
    found, cut = clip_score.scores(images, table, clip, "cpu", ASKED)
    assert found == pytest.approx([100 * cosine for cosine in cosines], abs=1e-3)
    assert cut == 0
    one_by_one = ASKED.model_copy(update={"in_flight": 1})
    assert clip_score.scores(images, table, clip, "cpu", one_by_one)[0] == pytest.approx(found, abs=1e-3)
    weights = changed(clip, tmp_path)
    weights["visual_projection.weight"] *= -1  # the images as far from their prompts as they were near
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert clip_score.scores(images, table, tmp_path, "cpu", ASKED)[0] == [0.0, 0.0]


def test_long_prompts_are_cut_and_counted(clip: Path) -> None:
    long = "print area " * 60
    table = asked((long, None, None), (long + "and more", None, None), ("print", None, None))
    images = [painted((250, 10, 10))] * 3
    found, cut = clip_score.scores(images, table, clip, "cpu", ASKED)
    assert cut == 2
    assert found[0] == pytest.approx(found[1], abs=1e-3)  # what differs is behind the cut


def test_the_mean_and_its_interval() -> None:
    # Mean 20, variance (36 + 0 + 36) / 2 = 36; t(0.975, 2) = 4.302653 of any table; 4.302653 x 6 / sqrt(3) = 14.9048.
    mean, low, high = student([14.0, 20.0, 26.0])
    assert (mean, low, high) == (20.0, pytest.approx(20 - 14.9048, abs=1e-4), pytest.approx(20 + 14.9048, abs=1e-4))
    assert student([7.5]) == (7.5, None, None)
    with pytest.raises(ValueError, match="no values"):
        student([])


@pytest.mark.slow
def test_what_is_no_clip_is_one_line(clip: Path, pipeline: Path, tmp_path: Path) -> None:
    clip_score.check_judge(JUDGE, clip)
    with pytest.raises(
        UserError, match=r"^models.joulebench/clip: .* is no model of transformers, and clip-score needs"
    ):
        clip_score.check_judge(JUDGE, pipeline)
    with pytest.raises(UserError, match=r"is of the type 'clip_text_model', and clip-score needs a CLIP"):
        clip_score.check_judge(JUDGE, pipeline / "text_encoder")
    weights = changed(clip, tmp_path)
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks visual_projection.weight of CLIP's weights; take a whole checkpoint$"):
        clip_score.check_judge(JUDGE, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"^models.joulebench/clip: .* cannot be loaded as CLIP") as caught:
        clip_score.check_judge(JUDGE, tmp_path)
    assert "\n" not in str(caught.value)


def test_no_more_images_than_prompts() -> None:
    dataset = Dataset.model_validate({"name": "partiprompts", "source": {"kind": "packaged"}})
    prompts = asked(("one", None, None), ("two", None, None))
    three, two, one = (ASKED.model_copy(update={"images": count}) for count in (3, 2, 1))
    with pytest.raises(UserError, match=r"^quality.images: 3 asked for, 2 prompts of partiprompts in the sample"):
        clip_score.check(prompts, dataset, three)
    clip_score.check(prompts, dataset, two)
    spec = tiny_spec("text-to-image")
    assert clip_score.asking(spec, prompts, one)[1]["prompt"].to_list() == ["one"]
    assert clip_score.asking(spec, prompts, ASKED)[1].height == 2


@pytest.mark.slow
def test_images_of_every_form_are_the_same(pipeline: Path) -> None:
    engine = open_engine(tiny_spec("text-to-image", weights="checkpoint"), pipeline)
    assert isinstance(engine, Engine)
    prepared = engine.prepare(asked(("a red bicycle", None, None), ("a street", None, None), ("rain", None, None)))
    made = {}
    for kind in ("pil", "np", "pt"):
        engine._same["output_type"] = kind
        found = [Image.open(io.BytesIO(file)) for file in picturing.pictures(engine, prepared, 2)]
        assert [(one.format, one.size, one.mode) for one in found] == [("PNG", (32, 32), "RGB")] * 3
        made[kind] = [one.tobytes() for one in found]
    assert made["pil"] == made["np"] == made["pt"]
    assert len(set(made["pil"])) == 3


def test_too_many_images_at_once_are_one_line() -> None:
    pytest.importorskip("torch")

    class Full:
        def images(self, batch: Any) -> Any:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    full: Any = Full()
    with pytest.raises(
        UserError, match=r"^quality: out of memory with 2 images at once; set quality.in_flight to fewer$"
    ):
        picturing.pictures(full, [Prepared("a"), Prepared("b"), Prepared("c")], 2)


def plain_config(clip: Path, pipeline: Path, **judged: Any) -> dict[str, Any]:
    """The tiny config, in which one checkpoint makes images and another judges them."""
    raw = tiny()
    facts = {"weights": "checkpoint", "dtype": "float32"}
    images = raw["models"]["joulebench/sd-5m"]["generation"]
    raw["models"][MADE] = facts | {"source": {"kind": "local", "path": str(pipeline)}, "generation": images}
    raw["models"][JUDGE] = facts | {"source": {"kind": "local", "path": str(clip)}}
    raw["tasks"]["text-to-image"]["sweep"] = {"batch_sizes": [2], "protocol": {"kind": "fixed", "requests": 4}}
    raw["matrix"]["cpu"] = {"text-to-image": raw["matrix"]["cpu"]["text-to-image"] | {"models": [MADE]}}
    raw["matrix"]["cpu"]["text-to-image"]["quality"] = {"kind": "clip-score", "clip": JUDGE} | judged
    return raw


@pytest.mark.slow
def test_a_score_and_its_row(clip: Path, pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(config.parse(plain_config(clip, pipeline, images=5, in_flight=2, keep=True)))
    (cell,) = plan.scored("cpu")
    task, judge = plan.config.tasks["text-to-image"], plan.judge(cell)
    assert judge is not None
    datasets.write(task.dataset, task.sample, plan.prompts(cell))
    models.prepare(MADE, plan.config.models[MADE], [], cell.model_folder)
    whole = models.prepare(JUDGE, plan.config.models[JUDGE], [], judge.folder)
    words = plan.spec(cell), plan.quality(cell), plan.prompts(cell), cell.model_folder, cell.score
    found = scoring.score(*words, judge)
    assert found == read_score(cell.score)
    assert (found.metric, found.right, found.asked, found.mean_output_tokens) == ("clip-score", None, 5, None)
    assert found.judge == whole
    kept = pl.read_parquet(cell.score.with_suffix(".images.parquet"))
    assert kept.columns == ["request", "source_id", "image", "score"]
    sampled = pl.read_parquet(plan.prompts(cell)).head(5)
    assert kept["source_id"].to_list() == sampled["source_id"].to_list()
    again, cut = clip_score.scores(kept["image"].to_list(), sampled, clip, "cpu", ASKED)
    assert kept["score"].to_list() == pytest.approx(again, abs=1e-3)
    assert found.cut == cut
    assert found.quality == pytest.approx(sum(again) / 5, abs=1e-3)
    assert found.quality_low is not None
    assert found.quality_high is not None
    assert found.quality_low < found.quality < found.quality_high
    assert str(found) == (
        f"clip-score {found.quality:.2f} ({found.quality_low:.2f} to {found.quality_high:.2f}), the mean of 5"
    )
    (wanted,) = plan.scores("cpu")["wanted"]
    table, left_out = quality({str(cell.score): wanted}, pl.DataFrame(schema=POINTS))
    assert left_out == []
    row = table.select(QUALITY.names()).row(0, named=True)
    assert (row["metric"], row["judge"], row["asked"], row["right"]) == ("clip-score", JUDGE, 5, None)
    assert (row["quality"], row["quality_low"]) == (found.quality, found.quality_low)
    assert row["energy_per_right_answer_j"] is row["mean_output_tokens"] is row["ended"] is None
    other = wanted | {"judge": wanted["judge"] | {"revision": "0" * 40}}
    table, left_out = quality({str(cell.score): other}, pl.DataFrame(schema=POINTS))
    assert left_out == [f"{cell.score}: of another quality.clip's files than the config's; delete it to ask again"]
    with pytest.raises(UserError, match=r"made under another revision than the config's for models.joulebench/clip"):
        scoring.score(*words, judge._replace(made_from=other["judge"]))
    cell.score.write_text(json.dumps(json.loads(cell.score.read_text()) | {"right": 3}))
    with pytest.raises(RecordError, match=r"of 3 right, expected a share with its interval"):
        read_score(cell.score)


def test_drawn_pipelines_have_no_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has drawn weights, whose answers say nothing"):
        scoring.score(tiny_spec("text-to-image"), ASKED, tmp_path, tmp_path, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.slow
def test_the_whole_way(warm: None, clip: Path, pipeline: Path, tmp_path: Path) -> None:
    copy_project(tmp_path, without="results")
    (tmp_path / "images.yaml").write_text(yaml.safe_dump(plain_config(clip, pipeline)))
    out = "results/cpu/quality.csv"
    done = subprocess.run(
        [str(BIN / "snakemake"), "--cores", "2", out, "--configfile", "images.yaml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": search_path(tmp_path / "src"), "JOULEBENCH_PROC_STAT": "/no/such/file"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule score" in done.stdout + done.stderr
    row = read_csv(tmp_path / out, QUALITY).row(0, named=True)
    assert (row["task"], row["model"], row["metric"], row["judge"]) == ("text-to-image", MADE, "clip-score", JUDGE)
    assert (row["asked"], row["right"], row["energy_per_right_answer_j"]) == (8, None, None)
    assert 0 <= row["quality_low"] < row["quality"] < row["quality_high"] <= 100
