"""ShareGPT4Video: both forms of its file, the archive filter, and the first frames of the videos that rows name."""

import gzip
import io
import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import polars as pl
import pytest
from building import SHARED
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from joulebench import datasets
from joulebench.config.tasks import Dataset, LocalFile, Packaged, Sample
from joulebench.datasets import sharegpt4video
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.records.schemas import PROMPTS

ORIGINALS = SHARED / "datasets" / "sharegpt4video"
REAL = ORIGINALS / "sharegpt4video_100.json"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}")
PACKAGED = Packaged(kind="packaged")
SHARD = "panda_videos_1.zip"


def local(path: Path) -> LocalFile:
    return LocalFile(kind="local", path=str(path))


def dataset(path: Path, media: Path | None = None, **filters: Any) -> Dataset:
    videos = None if media is None else local(media)
    return Dataset(name="sharegpt4video", source=local(path), media=videos, filters=filters)


def captioned(name: object, caption: object = "A film.", **fields: Any) -> dict[str, Any]:
    part = {"idx": "0", "content": "A part of it."}
    return {"video_id": name, "zip_folder": SHARD, "captions": [part, {"idx": "-1", "content": caption}], **fields}


def write(folder: Path, rows: Sequence[Any], name: str = "sharegpt4video_40k.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sampled(path: Path, requests: int, media: Path | None = None, **filters: Any) -> datasets.Sampled:
    return datasets.sample(dataset(path, media, **filters), Sample(requests=requests))


def test_a_line_becomes_a_request_with_the_caption_of_the_whole_video(tmp_path: Path) -> None:
    taken = sampled(write(tmp_path, [captioned("a", " A cat.\n\nThen a dog. ")]), 1)
    assert taken.prompts.schema == PROMPTS
    assert taken.prompts.rows() == [(0, "a", " A cat.\n\nThen a dog. ", None, None)]


@pytest.mark.slow
def test_both_forms_and_all_wrappings_give_the_same_requests(tmp_path: Path) -> None:
    # U+2028 and U+0085 end a line for str.splitlines, not in JSON.
    rows = [captioned(f"v{i}", f"Film\u2028{i}\x85 \u00e9") for i in range(9)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    (tmp_path / "lines.jsonl").write_text(text, encoding="utf-8", newline="")
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    pl.DataFrame(rows).write_parquet(tmp_path / "lines.parquet")
    lists = {"video_id": [f"v{i}" for i in range(9)], "caption": [f"Film\u2028{i}\x85 \u00e9" for i in range(9)]}
    (tmp_path / "lists.json").write_text(json.dumps(lists, indent=2), encoding="utf-8")
    first, *others = (sampled(path, 9).prompts for path in sorted(tmp_path.iterdir()))
    assert sorted(first["prompt"]) == sorted(lists["caption"])
    assert len(others) == 3
    assert all(other.equals(first) for other in others)


REFUSED: dict[str, list[Any]] = {
    "not an object": [None, 3, "text", ["a"]],
    "no list of captions": [{}, {"video_id": "a"}, captioned("a", captions={"idx": "-1"}), captioned("a", captions=7)],
    "no caption of the whole video": [
        captioned("a", captions=[]),
        captioned("a", captions=["-1", None]),
        captioned("a", captions=[{"idx": "0", "content": "A part."}, {"content": "?"}]),
        captioned("a", captions=[{"idx": -1, "content": "The form has text there."}]),
    ],
    "no text in video_id": [captioned(None), captioned(7), captioned(["a"])],
    "empty video_id": [captioned(""), captioned(" \n")],
    "video_id not valid Unicode": [captioned("\ud800"), captioned("a\udc80")],
    "no text in caption": [captioned("a", None), captioned("a", 7), captioned("a", captions=[{"idx": "-1"}])],
    "empty caption": [captioned("a", ""), captioned("a", " \n")],
    "caption not valid Unicode": [captioned("a", "half a pair \ud83d")],
}


@pytest.mark.parametrize(("reason", "row"), [(reason, row) for reason, rows in REFUSED.items() for row in rows])
def test_an_unusable_row_is_counted_under_its_reason(tmp_path: Path, reason: str, row: object) -> None:
    taken = sampled(write(tmp_path, [row, captioned("good")]), 1)
    assert taken.unusable == {reason: 1}
    assert taken.prompts["source_id"].to_list() == ["good"]


def test_unusable_entries_of_the_older_form_are_counted(tmp_path: Path) -> None:
    lists = {"video_id": ["a", "", 3, "d", "e"], "caption": ["A film.", "A film.", "A film.", None, " "]}
    taken = sampled(write(tmp_path, [lists]), 1)
    assert taken.prompts["source_id"].to_list() == ["a"]
    assert taken.unusable == {
        "empty caption": 1,
        "empty video_id": 1,
        "no text in caption": 1,
        "no text in video_id": 1,
    }


_json = st.recursive(
    st.none() | st.integers() | st.sampled_from(["a", "-1", "\ud800", " ", "../a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["video_id", "zip_folder", "captions", "idx", "content"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.lists(_json, min_size=2, max_size=6))
def test_no_row_of_any_shape_is_lost_or_breaks_the_reading(rows: list[object]) -> None:
    text = "\n".join(json.dumps(row) for row in rows)
    read = sharegpt4video.read(text, sharegpt4video.Filters.model_validate({}), "here")
    assert read.count == len(rows)


def test_the_filter_keeps_the_videos_of_one_archive(tmp_path: Path) -> None:
    other = [captioned("b", zip_folder="pexels_videos_1.zip"), captioned("c", zip_folder=None), {"video_id": "d"}]
    path = write(tmp_path, [captioned("a"), *other])
    taken = sampled(path, 1, zip_folder=SHARD)
    assert taken.prompts["source_id"].to_list() == ["a"]
    assert taken.unusable == {"zip_folder not asked for": 3}


@pytest.mark.parametrize(
    ("rows", "zip_folder", "says"),
    [
        ([captioned("a")], "panda_videos_2.zip", "found 'panda_videos_2.zip'; did you mean 'panda_videos_1.zip'?"),
        ([captioned("a")], "", "filters: zip_folder: found ''"),
        ([captioned("a")], 1, "filters: zip_folder: found 1"),
        ([{"video_id": ["a"], "caption": ["A film."]}], SHARD, "the rows of this file name no zip_folder, leave the"),
        ([captioned("a", zip_folder=None)], SHARD, "the rows of this file name no zip_folder, leave the filter out"),
    ],
)
def test_a_filter_that_cannot_be_met_is_an_error(
    tmp_path: Path, rows: list[object], zip_folder: object, says: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as error:
        sampled(write(tmp_path, rows), 1, zip_folder=zip_folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"video_id": ["a", "b"], "caption": ["A film."]}', "2 entries in video_id but 1 in caption; expected one of"),
        ('{"video_id": ["a"], "captions": ["A film."]}', "1 entries in video_id but no list in caption"),
        ('{"video_id": ["a"], "caption": "A film."}', "1 entries in video_id but no list in caption"),
        ('{"video_id": ["a"], "caption": ["A fi', "line 1 is not JSON (character 33: "),
        ('{"video_id": "a", "captions": []}\n{"video_id": "b", "cap', "line 2 is not JSON"),
        ('{"video_id": [], "caption": []}', "holds no rows"),
        ("[" * 200_000, "line 1 is JSON that cannot be read"),
        ("[]", "none of 1 rows can be used (1 not an object)"),
        ("<!doctype html>", "line 1 is not JSON (character 1: Expecting value)"),
    ],
)
def test_a_bad_file_is_an_error_of_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "sharegpt4video_40k.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(says)) as error:
        sampled(tmp_path, 1)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_gzip_is_not_taken_for_a_short_file(tmp_path: Path) -> None:
    path = tmp_path / "sharegpt4video_40k.jsonl.gz"
    packed = gzip.compress("".join(json.dumps(captioned(f"v{i}")) + "\n" for i in range(500)).encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"not a whole gzip file .* fetch it again"):
        sampled(path, 1)


def test_a_video_id_never_leads_out_of_the_videos(tmp_path: Path) -> None:
    source = Path(datasets.__file__).parent / "packaged" / "sharegpt4video" / "moon.mp4"
    videos = tmp_path / "videos"
    (videos / "deep").mkdir(parents=True)
    for place in (tmp_path / "secret.mp4", videos / "deep" / "moon.mp4"):
        place.write_bytes(source.read_bytes())
    outside = ["../secret", str(tmp_path / "secret"), "deep/../../secret", "..\\secret"]
    path = write(tmp_path, [captioned(name) for name in [*outside, "deep/moon"]])
    assert sampled(path, 1, videos).prompts["source_id"].to_list() == ["deep/moon"]
    with pytest.raises(UserError, match=r"2 requests wanted, but 1 of 5 .*\(4 image name leads out of its folder\)"):
        sampled(path, 2, videos)


def test_a_row_whose_video_is_missing_or_broken_is_counted_and_the_next_one_taken(tmp_path: Path) -> None:
    source = Path(datasets.__file__).parent / "packaged" / "sharegpt4video" / "moon.mp4"
    (tmp_path / "moon.mp4").write_bytes(source.read_bytes())
    (tmp_path / "page.mp4").write_bytes(b"<html>not found</html>")
    path = write(tmp_path, [captioned(name) for name in ("gone", "page", "moon")])
    with pytest.raises(UserError, match=r"but 1 of 3 rows can be used \(1 image not there, 1 video not decodable\)"):
        sampled(path, 2, tmp_path)
    assert sampled(path, 1, tmp_path).prompts["source_id"].to_list() == ["moon"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    packaged = Dataset(name="sharegpt4video", source=PACKAGED, media=PACKAGED)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        datasets.write(packaged, Sample(requests=12, seed=seed), tmp_path / f"{name}.parquet")
    table, facts = ({name: (tmp_path / f"{name}{end}").read_bytes() for name in "abc"} for end in (".parquet", ".json"))
    assert table["a"] == table["b"] != table["c"]
    assert facts["a"] == facts["b"] != facts["c"]


def test_the_packaged_sample_is_usable_whole_with_its_videos() -> None:
    packaged = Dataset(name="sharegpt4video", source=PACKAGED, media=PACKAGED)
    taken = datasets.sample(packaged, Sample(requests=24))
    assert (taken.rows, taken.unusable, taken.looked_at) == (24, {}, 24)
    assert {Image.open(io.BytesIO(content)).size for content in taken.prompts["image"]} == {(160, 96)}
    assert taken.prompts["image"].n_unique() == taken.prompts["prompt"].n_unique() == 24
    words = [len(caption.split()) for caption in taken.prompts["prompt"]]
    assert 60 <= min(words) <= max(words) <= 150
    alone = datasets.sample(packaged.model_copy(update={"media": None}), Sample(requests=24))
    assert alone.prompts["image"].null_count() == 24
    assert alone.prompts.drop("image").equals(taken.prompts.drop("image"))


@needs_real
def test_the_real_captions() -> None:
    lists = json.loads(REAL.read_bytes())
    taken = sampled(ORIGINALS, 100)
    assert (taken.rows, taken.unusable) == (100, {})
    by_id = dict(zip(lists["video_id"], lists["caption"], strict=True))
    assert dict(taken.prompts.select("source_id", "prompt").iter_rows()) == by_id
    with pytest.raises(UserError, match=r"none of 100 rows can be used \(100 image not there\)"):
        sampled(ORIGINALS, 1, ORIGINALS / "videos")


@pytest.mark.slow
@needs_real
@pytest.mark.parametrize("packed", [False, True])
def test_real_videos_give_their_first_frames(tmp_path: Path, packed: bool) -> None:
    videos = sorted((ORIGINALS / "videos").glob("*.mp4"))
    path = write(tmp_path, [captioned(video.stem) for video in videos])
    media = ORIGINALS / "videos"
    if packed:
        media = tmp_path / SHARD
        with zipfile.ZipFile(media, "w") as archive:
            for video in videos:
                archive.write(video, f"panda/{video.name}")
    taken = sampled(path, 5, media)
    assert (taken.unusable, taken.looked_at, taken.origin["media"]) == ({}, 5, media.name)
    for name, content in taken.prompts.select("source_id", "image").iter_rows():
        image = Image.open(io.BytesIO(content))
        with av.open(str(ORIGINALS / "videos" / f"{name}.mp4")) as video:
            stream = video.streams.video[0]
            shrunk = max(1.0, max(stream.width, stream.height) / 1024)
            assert image.size == pytest.approx((stream.width / shrunk, stream.height / shrunk), abs=1)
            if shrunk == 1:
                assert image.tobytes() == next(video.decode(stream)).to_image().tobytes()
