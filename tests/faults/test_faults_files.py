"""Odd files where datasets, images, records and checkpoints are read: a line or a row each, nothing without end."""

import gzip
import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import polars as pl
import pytest
from building import REVISION
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from joulebench import datasets, models
from joulebench.config.models import Checkpoint
from joulebench.config.tasks import Dataset, LocalFile, Sample
from joulebench.datasets import columnar, media, sources
from joulebench.datasets.media import UnusableError, picture
from joulebench.errors import UserError
from joulebench.files import RecordError
from joulebench.inputs import apart
from joulebench.inputs.yaml_files import read_yaml
from joulebench.records.files import read_parquet, read_prompts, read_run
from joulebench.records.schemas import ENERGY

PACKAGED = Path(datasets.__file__).parent / "packaged"


def refused(what: str, *values: Any, id: str, outcome: str = "refused: one line", slow: bool = False) -> Any:
    marks = [pytest.mark.fault("input", what, outcome), *([pytest.mark.slow] if slow else [])]
    return pytest.param(*values, id=id, marks=marks)


def one_line(error: Exception) -> str:
    text = str(error)
    assert text
    assert "\n" not in text
    assert len(text) < 1500
    assert "Traceback" not in text
    return text


def sampled(path: Path | str, name: str = "sharegpt", requests: int = 1, media: Path | None = None) -> datasets.Sampled:
    source = LocalFile(kind="local", path=str(path))
    images = None if media is None else LocalFile(kind="local", path=str(media))
    return datasets.sample(Dataset(name=name, source=source, media=images), Sample(requests=requests))


def conversation(words: str = "How are you today, my friend?", **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": words}, {"from": "gpt", "value": "Very well, thank you for asking."}]
    return {"id": "a", "conversations": turns, **more}


def problem(**more: Any) -> dict[str, Any]:
    return {"task_id": "HumanEval/0", "prompt": "def f():", "canonical_solution": "    return 1", **more}


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def unix_socket(folder: Path) -> Path:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket has 107 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket")
    finally:
        os.chdir(here)
    return folder / "socket"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def made(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


ODD_FILES = [
    refused("a pipe as dataset", pipe, "a pipe, expected a plain file", id="pipe"),
    refused("a socket as dataset", unix_socket, "socket: ", id="socket"),
    refused("/dev/zero as dataset", lambda _: Path("/dev/zero"), "a device, expected a plain file", id="dev-zero"),
    refused("/dev/stdin as dataset", lambda _: Path("/dev/stdin"), "/dev/stdin: ", id="dev-stdin"),
    refused("a link to itself as dataset", loop, "could not be read", id="loop"),
    refused("a dataset whose path has 300 letters", lambda at: at / ("x" * 300), "File name too long", id="long"),
    refused("a dataset whose path holds a NUL", lambda at: Path(f"{at}/a\0b"), "could not be read", id="nul"),
    refused("a dataset in UTF-16", made("a.json", "[]".encode("utf-16")), "not UTF-8 text", id="utf-16"),
    refused("a dataset of random bytes", made("a.json", random.Random(0).randbytes(5000)), "not UTF-8", id="random"),
    refused("a web page as dataset", made("a.json", b"<html>404</html>"), "broken JSON", id="html"),
    refused("a dataset cut off in the middle", made("a.json", b'[{"id": "a", "conv'), "broken JSON", id="cut-off"),
    refused("JSON nested 100,000 levels deep", made("a.json", b"[" * 100_000), "cannot be read", id="deep"),
    refused("a web page named .gz", made("a.json.gz", b"<html>"), "not a whole gzip file", id="html-gz"),
    refused("a gzip file cut off", made("a.json.gz", gzip.compress(b"[]" * 999)[:-9]), "whole gzip", id="cut-gz"),
    refused("random bytes named .parquet", made("a.parquet", b"PAR1" + bytes(99)), "whole Parquet", id="bytes-parquet"),
    refused("an empty dataset", made("a.json", b""), "empty", id="empty"),
    refused("a dataset of nothing but spaces", made("a.json", b" \n" * 99), "empty", id="blank"),
    refused("an object as dataset", made("a.json", b"{}"), "holds an object, expected a list", id="object"),
    refused("the pointer of Git LFS", made("a.json", b"version https://git-lfs.github.com/spec/v1\n"), "LFS", id="lfs"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "says"), ODD_FILES)
def test_an_odd_dataset_is_one_line_at_once(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    path = make(tmp_path)
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        sampled(path)
    assert says in one_line(caught.value)
    assert time.monotonic() - began < 10


@pytest.mark.fault(
    "input", "a dataset of 3 GiB, most of it empty space on the disk", "refused before it is read: one line"
)
def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(UserError, match=r"over 2 GiB \(3 GiB\)") as caught:
        sampled(path)
    one_line(caught.value)


# Bombs.


@pytest.mark.fault("input", "a gzip bomb", "refused at the limit: one line")
def test_a_gzip_bomb_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 2**24)
    path = tmp_path / "a.json.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(64):
            file.write(bytes(2**20))
    assert path.stat().st_size < 10**5
    with pytest.raises(UserError, match=r"over 16 MiB once unpacked") as caught:
        sampled(path)
    one_line(caught.value)


def parquet_bomb(path: Path, letters: int, rows: int) -> None:
    """One text in a dictionary, and `rows` references to it: a few kilobytes that stand for letters x rows bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * letters])
    parquet.write_table(pa.table({"prompt": column}), path, store_schema=False)


@pytest.mark.slow
@pytest.mark.fault(
    "input", "a Parquet file of 50 kB that stands for 200 GB", "refused at the limit of memory: one line"
)
def test_a_parquet_bomb_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    parquet_bomb(path, 10**6, 200_000)
    assert path.stat().st_size < 10**5
    with pytest.raises(UserError, match="not a whole Parquet file") as caught:
        columnar.json_lines(path, 2**30, most_memory_bytes=2**30)
    one_line(caught.value)


@pytest.mark.slow
@pytest.mark.fault("input", "a Parquet file of 20 million rows in 40 kB", "refused by its count of rows: one line")
def test_a_parquet_file_of_too_many_rows_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.select(a=pl.repeat(1, 20_000_000, dtype=pl.Int8)).write_parquet(path)
    with pytest.raises(UserError, match=r"20,000,000 rows, expected 10,000,000 at most") as caught:
        sampled(path, "humanevalplus")
    one_line(caught.value)


@pytest.mark.slow
@pytest.mark.fault("input", "a Parquet file of more text than fits", "refused at the limit: one line")
def test_a_parquet_file_of_too_much_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"prompt": ["x" * 1000] * 1000}).write_parquet(path)
    with pytest.raises(UserError, match=r"of text, expected 97.7 KiB|of text, expected 100000 bytes at most") as caught:
        columnar.json_lines(path, 100_000)
    one_line(caught.value)


@pytest.mark.fault("input", "a Parquet file whose reader takes too long", "ended at its deadline: one line")
def test_a_reader_of_parquet_has_a_deadline(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"prompt": ["x"]}).write_parquet(path)
    with pytest.raises(UserError, match=r"not done within 0.01 s") as caught:
        columnar.json_lines(path, 10**6, most_seconds=0.01)
    one_line(caught.value)


SAYS = """
import os, sys
from joulebench.inputs import apart
from joulebench.inputs import apart
from joulebench.errors import UserError

def work(words):
    print("a library says hello")
    os.write(1, b"and so does its native part")
    if words == ["refuses"]:
        raise UserError("no")
    if words == ["kills"]:
        os.kill(os.getpid(), 9)
    return b"an answer"

apart.answer(work)
"""


@pytest.mark.fault("input", "a library that prints while it reads for us", "its answer or refusal is told apart")
def test_what_a_library_prints_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "talks.py").write_text(SAYS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    limits = {"seconds": 30.0, "memory_bytes": 2**30}
    assert apart.asked("talks", [], **limits) == b"an answer"
    with pytest.raises(apart.RefusedError, match=r"^no$"):
        apart.asked("talks", ["refuses"], **limits)
    with pytest.raises(apart.RefusedError, match=r"over 1 GiB of memory, or another end of its process \(-9\)"):
        apart.asked("talks", ["kills"], **limits)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", data or zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def webp(size: tuple[int, int] = (8, 8)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "red").save(written, "WEBP")
    return written.getvalue()


JPEG = (PACKAGED / "llava" / "000000000001.jpg").read_bytes()
MP4 = (PACKAGED / "sharegpt4video" / "waves.mp4").read_bytes()

ODD_PICTURES = [
    refused("a PNG of 99,999,999 x 1 pixels", png(99_999_999, 1), id="wide", outcome="one row left out, counted"),
    refused("a PNG of 1 x 99,999,999 pixels", png(1, 99_999_999), id="high", outcome="one row left out, counted"),
    refused(
        "a PNG of 2^31 - 1 pixels squared", png(2**31 - 1, 2**31 - 1), id="huge", outcome="one row left out, counted"
    ),
    refused("a PNG of 20,000 x 20,000 pixels", png(20_000, 20_000), id="over", outcome="one row left out, counted"),
    refused("a PNG of no pixels", png(0, 0), id="none", outcome="one row left out, counted"),
    refused("a JPEG cut off", JPEG[: len(JPEG) // 2], id="cut-jpeg", outcome="one row left out, counted"),
    refused("a GIF", b"GIF89a" + bytes(99), id="gif", outcome="one row left out, counted"),
    refused("a web page as image", b"<html></html>", id="html", outcome="one row left out, counted"),
    refused("an empty image", b"", id="empty", outcome="one row left out, counted"),
    refused("an SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg", outcome="one row left out, counted"),
    refused("a TIFF named .jpg", b"II*\0" + bytes(99), id="tiff", outcome="one row left out, counted"),
    refused("a video as image", MP4, id="video", outcome="one row left out, counted"),
]


@pytest.mark.slow
@pytest.mark.parametrize("content", ODD_PICTURES)
def test_an_odd_picture_is_one_row(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "odd.jpg").write_bytes(content)
    (tmp_path / "images" / "good.jpg").write_bytes(JPEG)
    rows = [conversation("<image>\nWhat is this?", image=f"{name}.jpg") for name in ("odd", "good")]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    taken = sampled(tmp_path / "a.json", "llava", 1, tmp_path / "images")
    assert taken.prompts["image"].to_list() == [JPEG]
    with pytest.raises(UserError, match=r"but 1 of 2 rows can be used \(1 ") as caught:
        sampled(tmp_path / "a.json", "llava", 2, tmp_path / "images")
    one_line(caught.value)


@pytest.mark.fault("input", "a pipe, a device and a folder among the images", "one row each left out, counted")
def test_what_is_no_plain_file_among_the_images_is_one_row(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    os.mkfifo(images / "pipe.jpg")
    (images / "zero.jpg").symlink_to("/dev/zero")
    (images / "folder.jpg").mkdir()
    (images / "good.jpg").write_bytes(JPEG)
    rows = [
        conversation("<image>\nWhat?", image=f"{name}.jpg") for name in ("pipe", "zero", "folder", "x" * 300, "good")
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match=r"but 1 of 5 rows can be used \(4 image not there\)"):
        sampled(tmp_path / "a.json", "llava", 2, images)


@pytest.mark.slow
@pytest.mark.parametrize(
    "compression",
    [
        refused("a ZIP bomb (deflate)", zipfile.ZIP_DEFLATED, id="deflate", outcome="one row left out, counted"),
        refused("a ZIP bomb (bzip2)", zipfile.ZIP_BZIP2, id="bzip2", outcome="one row left out, counted"),
        refused("a ZIP bomb (LZMA)", zipfile.ZIP_LZMA, id="lzma", outcome="one row left out, counted"),
    ],
)
def test_a_zip_bomb_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: int) -> None:
    monkeypatch.setattr(media, "MOST_BYTES", 2**22)
    with zipfile.ZipFile(tmp_path / "images.zip", "w", compression) as archive:
        archive.writestr("bomb.jpg", bytes(2**26))
        archive.writestr("good.jpg", JPEG)
    rows = [conversation("<image>\nWhat?", image=f"{name}.jpg") for name in ("bomb", "good")]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with pytest.raises(UserError, match=r"but 1 of 2 rows can be used \(1 image or video over 512 MiB\)"):
        sampled(tmp_path / "a.json", "llava", 2, tmp_path / "images.zip")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        refused("a pipe as ZIP archive", pipe, "a pipe, expected a plain file", id="pipe"),
        refused("/dev/zero as ZIP archive", lambda _: Path("/dev/zero"), "a device", id="dev-zero"),
        refused("a ZIP archive whose path has 300 letters", lambda at: at / ("x" * 300), "no such folder", id="long"),
        refused("a web page as ZIP archive", made("a.zip", b"<html>"), "not a whole ZIP archive", id="html"),
        refused("a ZIP archive cut off", made("a.zip", b"PK\x03\x04" + bytes(99)), "not a whole ZIP", id="cut"),
        refused("a ZIP archive whose end lies", made("a.zip", b"PK\x05\x06" + b"\xff" * 18), "not a whole", id="lies"),
    ],
)
def test_an_odd_archive_is_one_line(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps([conversation("<image>\nWhat?", image="a.jpg")]))
    with pytest.raises(UserError) as caught:
        sampled(tmp_path / "a.json", "llava", 1, make(tmp_path))
    assert says in one_line(caught.value)


# Rows.

ODD_ROWS = [
    refused(
        "a row that is no JSON, in the middle",
        "{broken",
        "1 not JSON",
        id="broken",
        outcome="one row left out, counted",
    ),
    refused(
        "a row nested 100,000 levels deep", "[" * 100_000, "1 not JSON", id="deep", outcome="one row left out, counted"
    ),
    refused("a row that is a list", "[1, 2]", "1 not an object", id="list", outcome="one row left out, counted"),
    refused("a row that is null", "null", "1 not an object", id="null", outcome="one row left out, counted"),
    refused(
        "a row without its fields", "{}", "1 no text in task_id", id="nothing", outcome="one row left out, counted"
    ),
    refused(
        "a number where a text is meant",
        json.dumps(problem(prompt=3)),
        "1 no text in prompt",
        id="number",
        outcome="one row left out, counted",
    ),
    refused(
        "half a surrogate pair in a prompt",
        json.dumps(problem(prompt="\ud800 a")),
        "1 prompt not valid Unicode",
        id="surrogate",
        outcome="one row left out, counted",
    ),
    refused(
        "a field of 5,000 digits as the prompt",
        json.dumps(problem()).replace('"def f():"', "9" * 5000),
        "1 no text in prompt",
        id="digits",
        outcome="one row left out, counted",
    ),
]


@pytest.mark.parametrize(("line", "why"), ODD_ROWS)
def test_an_odd_row_is_one_row(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([json.dumps(problem()), line, json.dumps(problem(task_id="b"))]) + "\n")
    taken = sampled(path, "humanevalplus", 2)
    assert (taken.rows, taken.usable) == (3, 2)
    assert [f"{count} {reason}" for reason, count in taken.unusable.items()] == [why]


@pytest.mark.parametrize(
    "value",
    [
        refused(
            "an integer of 5,000 digits in a field that nobody reads",
            "9" * 5000,
            id="digits",
            outcome="read: the field is left alone",
        ),
        refused(
            "an integer of 30 digits in a field that nobody reads",
            "9" * 30,
            id="30-digits",
            outcome="read: the field is left alone",
        ),
        refused(
            "a negative integer of 5,000 digits",
            "-" + "9" * 5000,
            id="negative",
            outcome="read: the field is left alone",
        ),
        refused("NaN in a field that nobody reads", "NaN", id="nan", outcome="read: the field is left alone"),
        refused(
            "an infinity in a field that nobody reads",
            "-Infinity",
            id="infinity",
            outcome="read: the field is left alone",
        ),
        refused("1e999 in a field that nobody reads", "1e999", id="1e999", outcome="read: the field is left alone"),
        refused(
            "half a surrogate pair in a field that nobody reads",
            '"\\ud800"',
            id="surrogate",
            outcome="read: the field is left alone",
        ),
    ],
)
def test_a_field_that_nobody_reads_refuses_no_file(tmp_path: Path, value: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps([conversation(odd=0)]).replace('"odd": 0', f'"odd": {value}'))
    (tmp_path / "b.jsonl").write_text(json.dumps(problem(odd=0)).replace('"odd": 0', f'"odd": {value}') + "\n")
    assert sampled(tmp_path / "a.json").usable == 1
    assert sampled(tmp_path / "b.jsonl", "humanevalplus").usable == 1


@pytest.mark.slow
@pytest.mark.fault(
    "input", "bytes, and lists of them, in columns of Parquet that nobody reads", "read: the columns are left out"
)
def test_columns_of_bytes_refuse_no_parquet_file(tmp_path: Path) -> None:
    odd = {"image": [b"\xff\x00"], "inner": [{"bytes": b"\xff", "path": "a"}], "list": [[b"\xff"]], "n": [2**63 - 1]}
    path = tmp_path / "a.parquet"
    pl.DataFrame({name: [text] for name, text in problem().items()} | odd).write_parquet(path)
    assert sampled(path, "humanevalplus").prompts["prompt"].to_list() == ["def f():"]


@pytest.mark.fault("input", "a prompt of 200,000 letters in a tab-separated file", "read as it is")
def test_a_long_field_of_a_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(f"Prompt\tCategory\n{'x' * 200_000}\tAnimals\n")
    assert sampled(tmp_path / "a.tsv", "partiprompts").prompts["prompt"].to_list() == ["x" * 200_000]


# Records.

ODD_RECORDS = [
    refused("a pipe as record", pipe, "a pipe", id="pipe"),
    refused("/dev/zero as record", lambda _: Path("/dev/zero"), "a device", id="dev-zero"),
    refused("a folder as record", lambda at: at, "a folder", id="folder"),
    refused("a link to itself as record", loop, "could not be read", id="loop"),
]


@pytest.mark.parametrize(("make", "says"), ODD_RECORDS)
def test_an_odd_record_is_one_line(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    (tmp_path / "at").mkdir()
    target = make(tmp_path / "at")
    for name in ("run.json", "energy.parquet", "llm-chat.json"):
        (tmp_path / name).symlink_to(target)
    readers: list[Callable[[], object]] = [
        lambda: read_run(tmp_path),
        lambda: read_parquet(tmp_path / "energy.parquet", ENERGY),
        lambda: read_prompts(tmp_path / "llm-chat.json"),
    ]
    for read in readers:
        with pytest.raises(RecordError) as caught:
            read()
        text = one_line(caught.value)
        assert says in text or "could not be read" in text or "not a" in text


@pytest.mark.slow
@pytest.mark.fault("input", "a record of 60 million rows in a few kilobytes", "refused by its count of rows: one line")
def test_a_record_of_too_many_rows_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "energy.parquet"
    pl.select(time_s=pl.repeat(1, 60_000_000, dtype=pl.Int8)).write_parquet(path)
    with pytest.raises(RecordError, match=r"60,000,000 rows, expected at most 50,000,000") as caught:
        read_parquet(path, ENERGY)
    one_line(caught.value)


@pytest.mark.fault("input", "a run.json of 100 MiB", "refused before it is read: one line")
def test_a_json_record_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(RecordError, match="over 64 MiB"):
        read_run(tmp_path)


# Checkpoints.


def safetensors(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: list[int], dtype: str = "F32", end: int = 16) -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


WHOLE = safetensors(tensor([2, 2]))
CONFIG = b'{"model_type": "llama"}'
INDEX = {"metadata": {}, "weight_map": {"w": "model.safetensors", "v": "model-00002.safetensors"}}

DAMAGED = [
    refused("config.json that is no JSON", {"config.json": b"{"}, "config.json is not readable JSON", id="config-cut"),
    refused("config.json that is a list", {"config.json": b"[]"}, "holds list, expected keys", id="config-list"),
    refused("config.json in UTF-16", {"config.json": CONFIG.decode().encode("utf-16")}, "UTF-16", id="config-utf-16"),
    refused("config.json that is empty", {"config.json": b""}, "is not readable JSON", id="config-empty"),
    refused("config.json that is a web page", {"config.json": b"<html>"}, "is not readable JSON", id="config-html"),
    refused(
        "config.json nested 100,000 levels deep",
        {"config.json": b"[" * 100_000},
        "is not readable JSON",
        id="config-deep",
    ),
    refused("safetensors cut off in the weights", {"model.safetensors": WHOLE[:-4]}, "no whole safetensors", id="cut"),
    refused("safetensors cut off in the header", {"model.safetensors": WHOLE[:20]}, "no whole", id="cut-header"),
    refused("empty safetensors", {"model.safetensors": b""}, "no whole safetensors file", id="empty"),
    refused(
        "a safetensors header of 2^62 bytes",
        {"model.safetensors": safetensors(tensor([2, 2]), length=2**62)},
        "no whole",
        id="header-long",
    ),
    refused(
        "a safetensors header that is no JSON",
        {"model.safetensors": safetensors(b"{broken}")},
        "no whole",
        id="header-broken",
    ),
    refused(
        "a tensor of a type that is none",
        {"model.safetensors": safetensors(tensor([2, 2], "F33"))},
        "no whole",
        id="dtype",
    ),
    refused(
        "a tensor whose shape is not its size",
        {"model.safetensors": safetensors(tensor([3, 2]))},
        "no whole",
        id="shape",
    ),
    refused(
        "a tensor of 2^40 x 2^40 numbers",
        {"model.safetensors": safetensors(tensor([2**40, 2**40]))},
        "no whole",
        id="shape-huge",
    ),
    refused(
        "a tensor that lies beyond its file",
        {"model.safetensors": safetensors(tensor([2, 4], end=32))},
        "no whole",
        id="beyond",
    ),
    refused("a web page named safetensors", {"model.safetensors": b"<html>not found</html>"}, "no whole", id="html"),
    refused(
        "a Git LFS pointer named safetensors",
        {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"},
        "no whole",
        id="lfs",
    ),
    refused(
        "safetensors of no tensors", {"model.safetensors": safetensors({}, b"")}, "no safetensors weights", id="none"
    ),
    refused(
        "an index whose shard is missing",
        {"model.safetensors.index.json": json.dumps(INDEX).encode()},
        "names model-00002.safetensors, which is not there",
        id="shard",
    ),
    refused("an index without a weight_map", {"model.safetensors.index.json": b"{}"}, "has no weight_map", id="no-map"),
    refused("an index that is no JSON", {"model.safetensors.index.json": b"{"}, "is not readable JSON", id="index-cut"),
    refused(
        "a pickle alone",
        {"model.safetensors": None, "pytorch_model.bin": b"\x80\x04."},
        "only safetensors are loaded",
        id="pickle",
    ),
]


@pytest.mark.parametrize(("files", "says"), DAMAGED)
def test_a_damaged_checkpoint_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes | None], says: str
) -> None:
    there = {"config.json": CONFIG, "model.safetensors": WHOLE, **files}
    there = {name: content for name, content in there.items() if content is not None}

    def download(*_: object, local_dir: Path, allow_patterns: list[str], **__: object) -> None:
        for name, content in there.items():
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                (Path(local_dir) / name).write_bytes(content)

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: list(there))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    asked = Checkpoint(weights="checkpoint", revision=REVISION)
    with pytest.raises(UserError) as caught:
        models.prepare("a/b", asked, (), tmp_path / "a--b")
    text = one_line(caught.value)
    assert says in text
    assert "a/b" in text
    assert not (tmp_path / "a--b" / "model.json").exists()


# A dataset's file replaced under the same path.


@pytest.mark.fault(
    "input",
    "another dataset file under the same path, after the sampling",
    "said in one line, what was drawn is served",
)
def test_a_replaced_dataset_is_said(tmp_path: Path) -> None:
    path, table = tmp_path / "s.json", tmp_path / "llm-chat.parquet"
    path.write_text(json.dumps([conversation("Tell me about the old number zero")]))
    asked = Dataset(name="sharegpt", source=LocalFile(kind="local", path=str(path)))
    datasets.write(asked, Sample(requests=1), table)
    facts = table.with_suffix(".json")
    assert datasets.replaced(asked, facts) is None
    os.utime(path)
    later = time.time() + 10
    os.utime(path, (later, later))
    assert datasets.replaced(asked, facts) is None, "touched, not replaced"
    other = tmp_path / "other.json"
    other.write_text(path.read_text().replace("old", "new"))
    os.utime(other, (0, 0))  # as `cp -p` or `mv` of an older file of the same size
    time.sleep(0.05)
    other.replace(path)
    said = datasets.replaced(asked, facts)
    assert said is not None
    assert "\n" not in said
    assert f"{table}: drawn from another file than {path} is now" in said
    path.unlink()
    assert datasets.replaced(asked, facts) is None, "where the dataset is not, its requests are enough"


# Fuzzed.


def mutated(content: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(content)
    for place, value in edits:
        changed[place % len(changed)] = value
    return bytes(changed[: len(changed) - cut % len(changed)])


EDITS = st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=20)


@pytest.mark.slow
@pytest.mark.fault("input", "damaged JPEG, PNG and WebP files (fuzzed)", "one row left out, counted, or served")
@settings(max_examples=600, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.sampled_from([JPEG, png(9, 9, zlib.compress(bytes(9 * 28))), webp()]), edits=EDITS, cut=st.integers(0, 99)
)
def test_any_image_is_used_or_one_row(start: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    content = mutated(start, edits, cut)
    try:
        assert picture(content) == content
    except UnusableError as error:
        assert str(error) in ("image not decodable", "image over 100 million pixels")  # noqa: PT017


FUZZED_VIDEOS = """
import random, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (4 * 2**30, 4 * 2**30))
from pathlib import Path
from joulebench.datasets.media import UnusableError, first_frame
start = Path(sys.argv[1]).read_bytes()
dice = random.Random(0)
found = {}
for turn in range(400):
    content = bytearray(start)
    for _ in range(dice.randrange(1, 20)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    if turn % 4 == 0:
        del content[dice.randrange(len(content)) :]
    try:
        first_frame(bytes(content))
        why = "served"
    except UnusableError as error:
        why = str(error)
    found[why] = found.get(why, 0) + 1
print(found)
"""


@pytest.mark.slow
@pytest.mark.fault("input", "damaged MP4 files (fuzzed)", "one row left out, counted, or served")
def test_any_video_is_used_or_one_row() -> None:
    command = [sys.executable, "-c", FUZZED_VIDEOS, str(PACKAGED / "sharegpt4video" / "waves.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "video not decodable" in done.stdout


@pytest.mark.slow
@pytest.mark.fault("input", "damaged Parquet files as dataset (fuzzed)", "refused: one line, or read")
def test_any_parquet_file_is_one_line_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame([problem(task_id=str(i)) for i in range(50)]).write_parquet(path)
    whole, dice = path.read_bytes(), random.Random(1)
    for _ in range(25):
        edits = [(dice.randrange(len(whole)), dice.randrange(256)) for _ in range(dice.randrange(1, 12))]
        path.write_bytes(mutated(whole, edits, dice.choice([0, 0, 0, dice.randrange(len(whole) - 1)])))
        try:
            sampled(path, "humanevalplus")
        except UserError as error:
            one_line(error)


@pytest.mark.slow
@pytest.mark.fault("input", "a Parquet dataset whose name holds brackets", "that file is read, and no other")
def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    for name, prompt in (("x[1].parquet", "def right():"), ("x1.parquet", "def wrong():")):
        pl.DataFrame([problem(prompt=prompt)]).write_parquet(tmp_path / name)
    assert sampled(tmp_path / "x[1].parquet", "humanevalplus").prompts["prompt"].to_list() == ["def right():"]


@pytest.mark.fault("input", "a dataset under the home folder of a user that is not there", "refused: one line")
def test_no_such_users_home_is_one_line() -> None:
    with pytest.raises(UserError) as refusal:
        sampled("~no-such-user-here/data.json")
    assert "no such user's home folder" in one_line(refusal.value)


@pytest.mark.fault("input", "a record with a column of lists that fill the memory", "that column is not read")
def test_columns_that_no_record_has_are_not_read(tmp_path: Path) -> None:
    rows = pl.DataFrame({name: pl.Series([None], dtype=dtype) for name, dtype in ENERGY.items()})
    path = tmp_path / "energy.parquet"
    rows.with_columns(bomb=pl.Series([[0] * 100_000])).write_parquet(path)
    assert read_parquet(path, ENERGY).columns == ENERGY.names()


@pytest.mark.fault("input", "numbers and signs that YAML 1.1 reads otherwise, handed over as JSON", "read as they were")
def test_what_is_handed_over_comes_back_the_same(tmp_path: Path) -> None:
    settings_of = {"small": 1e-7, "large": 1e22, "line": "a\u2028b", "next": "a\u0085b"}
    path = tmp_path / "config-0.json"
    path.write_text(json.dumps(settings_of, ensure_ascii=False), encoding="utf-8")
    assert read_yaml(path, "config") == settings_of
