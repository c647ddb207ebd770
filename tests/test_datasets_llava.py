"""LLaVA-Instruct: which conversations are usable, what becomes of the mark, and the images of the drawn rows."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets as hugging_face  # type: ignore[import-untyped]
import pytest
from building import SHARED
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from joulebench import datasets
from joulebench.config.tasks import Dataset, LocalFile, Packaged, Sample
from joulebench.datasets import llava
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.records.files import read_parquet, write_parquet
from joulebench.records.schemas import PROMPTS

ORIGINALS = SHARED / "datasets" / "llava-instruct"
REAL = ORIGINALS / "llava_instruct_150k.subset150_with_images.json"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}")
PACKAGED = Packaged(kind="packaged")


def turn(speaker: str, text: object) -> dict[str, object]:
    return {"from": speaker, "value": text}


def talk(prompt: object, answer: object = "A cat.", **fields: object) -> dict[str, Any]:
    return {"id": "t", "image": "1.jpg", "conversations": [turn("human", prompt), turn("gpt", answer)], **fields}


GOOD = talk("<image>\nWhat is it?")


def local(path: Path) -> LocalFile:
    return LocalFile(kind="local", path=str(path))


def dataset(path: Path, media: Path | None = None, **filters: Any) -> Dataset:
    images = None if media is None else local(media)
    return Dataset(name="llava", source=local(path), media=images, filters=filters)


def write(folder: Path, content: object) -> Path:
    path = folder / "llava_instruct_150k_test.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def sampled(folder: Path, rows: Sequence[object], requests: int, media: Path | None = None) -> datasets.Sampled:
    return datasets.sample(dataset(write(folder, rows), media), Sample(requests=requests))


def jpeg(shade: int) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (16, 12), (shade, 0, 0)).save(written, "JPEG")
    return written.getvalue()


@pytest.mark.parametrize("prompt", ["<image>\nWhat is it?", "What is it?\n<image>", " <image> What is it? "])
def test_the_mark_is_taken_off_wherever_it_stands(tmp_path: Path, prompt: str) -> None:
    taken = sampled(tmp_path, [talk(prompt, " A cat.\n")], 1)
    assert taken.prompts.schema == PROMPTS
    assert taken.prompts.rows() == [(0, "t", "What is it?", " A cat.\n", None)]


def test_only_the_first_question_and_its_answer_are_used(tmp_path: Path) -> None:
    turns = [turn("human", "Why?\n<image>"), turn("gpt", "So."), turn("human", "And <image>?"), turn("gpt", "No.")]
    taken = sampled(tmp_path, [{"image": "1.jpg", "conversations": turns}], 1)
    assert taken.prompts.rows() == [(0, "llava-000000", "Why?", "So.", None)]


REFUSED: dict[str, list[Any]] = {
    "not an object with a list of conversations": [None, 3, "text", [], {}, {**GOOD, "conversations": "<image>"}],
    "fewer than 2 turns": [{**GOOD, "conversations": []}, {**GOOD, "conversations": [turn("human", "<image>\nWhy?")]}],
    "turn without text": [talk(None), talk(["<image>"]), talk("<image> a", 7), {**GOOD, "conversations": ["a", "b"]}],
    "first turn not from human": [{**GOOD, "conversations": [turn("gpt", "<image>\nWhy?"), turn("gpt", "So.")]}],
    "second turn not from gpt": [{**GOOD, "conversations": [turn("human", "<image>\nWhy?"), turn("human", "So.")]}],
    "no image named": [{key: value for key, value in GOOD.items() if key != "image"}, {**GOOD, "image": None}],
    "image name not text": [{**GOOD, "image": 1}, {**GOOD, "image": ["1.jpg"]}],
    "empty image name": [{**GOOD, "image": ""}, {**GOOD, "image": " \n"}],
    "image name not valid Unicode": [{**GOOD, "image": "\ud800.jpg"}, {**GOOD, "image": "\udc80.jpg"}],
    "no <image> in the prompt": [talk("What is it?"), talk(""), talk("<Image>\nWhat is it?")],
    "more than one <image> in the prompt": [talk("<image>\n<image>\nWhich?"), talk("<image>Why?<image>")],
    "empty prompt": [talk("<image>"), talk(" \n<image>\t")],
    "empty answer": [talk("<image>\nWhy?", ""), talk("<image>\nWhy?", " \n")],
    "prompt not valid Unicode": [talk("<image>\nWhy \ud83d?")],
    "answer not valid Unicode": [talk("<image>\nWhy?", "\udc00")],
}


@pytest.mark.parametrize(("reason", "row"), [(reason, row) for reason, rows in REFUSED.items() for row in rows])
def test_an_unusable_row_is_counted_under_its_reason(tmp_path: Path, reason: str, row: object) -> None:
    taken = sampled(tmp_path, [row, GOOD], 1)
    assert taken.unusable == {reason: 1}
    assert taken.prompts["source_id"].to_list() == ["t"]


_json = st.recursive(
    st.none() | st.integers() | st.sampled_from(["human", "gpt", "<image>", "<image> a", "1.jpg", "\ud800", " "]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "image", "conversations", "from", "value"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.lists(_json, max_size=6))
def test_no_row_of_any_shape_is_lost_or_breaks_the_reading(rows: list[object]) -> None:
    read = llava.read(json.dumps(rows), llava.Filters(), "here")
    assert read.count == len(rows)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (json.dumps([GOOD, GOOD])[:-40], "broken JSON at character .* delete it and fetch it again"),
        (json.dumps(GOOD), "holds an object, expected a list of rows"),
        ("[]", "holds no rows"),
        (json.dumps([{"prompt": "?"}] * 2), r"none of 2 rows can be used \(2 not an object with a list"),
    ],
)
def test_a_bad_file_is_an_error_of_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "llava_instruct_150k.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=says) as error:
        datasets.sample(dataset(tmp_path), Sample(requests=1))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_there_is_no_filter(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="filters: min_turns: unknown key"):
        datasets.filters(dataset(tmp_path, min_turns=2))


def test_only_the_images_of_drawn_rows_are_read(tmp_path: Path) -> None:
    rows = [talk(f"<image>\nWhat is {i}?", id=f"row-{i}", image=f"{i}.jpg") for i in range(40)]
    drawn = hugging_face.Dataset.from_list(rows).shuffle(seed=0).select(range(5))
    images = tmp_path / "images"
    images.mkdir()
    for name in drawn["image"]:
        (images / name).write_bytes(jpeg(int(name.split(".")[0])))
    taken = sampled(tmp_path, rows, 5, images)
    assert taken.prompts["source_id"].to_list() == drawn["id"][:]
    assert taken.prompts["image"].to_list() == [(images / name).read_bytes() for name in drawn["image"]]
    assert (taken.rows, taken.unusable, taken.looked_at) == (40, {}, 5)
    assert datasets.report(taken)[1:] == [
        "40 rows, 40 usable, 0 not",
        "5 prompts drawn",
        "images from images",
        "images of 5 rows looked at, in the drawn order",
    ]


def test_a_row_whose_image_cannot_be_used_is_counted_and_the_next_one_taken(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "secret.jpg").write_bytes(jpeg(9))
    (images / "good.jpg").write_bytes(jpeg(1))
    (images / "cut.jpg").write_bytes(jpeg(2)[:-60])
    (images / "page.jpg").write_bytes(b"<html>not found</html>")
    names = ["gone.jpg", "cut.jpg", "page.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "..\\secret.jpg", "."]
    rows = [talk("<image>\nWhy?", image=name) for name in names]
    taken = sampled(tmp_path, [*rows, talk("<image>\nWhy?", image="good.jpg")] * 2, 2, images)
    assert taken.prompts["image"].to_list() == [jpeg(1)] * 2
    assert taken.looked_at == taken.prompts.height + sum(taken.unusable.values())
    assert set(taken.unusable) <= {"image not there", "image not decodable", "image name leads out of its folder"}
    with pytest.raises(UserError) as error:
        sampled(tmp_path, rows, 1, images)
    reasons = "4 image name leads out of its folder, 2 image not decodable, 1 image not there"
    assert f"none of 7 rows can be used ({reasons})" in str(error.value)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    packaged = Dataset(name="llava", source=PACKAGED, media=PACKAGED)
    for name, seed in (("a", 68), ("b", 68), ("c", 1)):
        datasets.write(packaged, Sample(requests=12, seed=seed), tmp_path / f"{name}.parquet")
    table, facts = ({name: (tmp_path / f"{name}{end}").read_bytes() for name in "abc"} for end in (".parquet", ".json"))
    assert table["a"] == table["b"] != table["c"]
    assert facts["a"] == facts["b"] != facts["c"]


def test_the_packaged_sample_is_usable_whole_with_its_images() -> None:
    packaged = Dataset(name="llava", source=PACKAGED, media=PACKAGED)
    taken = datasets.sample(packaged, Sample(requests=24))
    assert (taken.rows, taken.unusable, taken.looked_at) == (24, {}, 24)
    assert taken.origin["media"] == "packaged"
    pictures = [Image.open(io.BytesIO(content)) for content in taken.prompts["image"]]
    assert Counter(picture.mode for picture in pictures) == {"RGB": 23, "L": 1}
    assert {picture.size for picture in pictures} == {(320, 240)}
    assert taken.prompts["image"].n_unique() == taken.prompts["prompt"].n_unique() == 24
    words = [len(answer.split()) for answer in taken.prompts["reference"]]
    assert 20 <= min(words) < 40
    assert 100 < max(words) <= 150


@pytest.mark.slow
@needs_real
def test_the_real_file_with_its_images(tmp_path: Path) -> None:
    rows = json.loads(REAL.read_bytes())
    first = [row["conversations"][0]["value"] for row in rows]
    assert sum(text.endswith("\n<image>") for text in first) == 78
    assert sum(text.startswith("<image>\n") for text in first) == 72
    taken = datasets.sample(dataset(ORIGINALS, ORIGINALS / "train2017"), Sample(requests=150, seed=68))
    assert (taken.rows, taken.unusable, taken.looked_at) == (150, {}, 150)
    assert taken.prompts["image"].n_unique() == 148
    expected = {
        (row["id"], text.removesuffix("\n<image>").removeprefix("<image>\n"), row["conversations"][1]["value"])
        for row, text in zip(rows, first, strict=True)
    }
    assert set(taken.prompts.select("source_id", "prompt", "reference").iter_rows()) == expected
    for source_id, image in taken.prompts.select("source_id", "image").head(10).iter_rows():
        assert image == (ORIGINALS / "train2017" / f"{source_id}.jpg").read_bytes()
    write_parquet(taken.prompts, tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet", PROMPTS).equals(taken.prompts)
