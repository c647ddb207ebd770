"""Images and videos: where they come from, and what is refused."""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import httpx
import huggingface_hub
import numpy as np
import pytest
from building import REVISION
from huggingface_hub import errors
from PIL import Image

from joulebench.config.tasks import HubFile, HubFolder, LocalFile, MediaSource, Packaged
from joulebench.datasets import media
from joulebench.datasets.media import UnusableError, first_frame, picture
from joulebench.datasets.sources import Taken
from joulebench.errors import UserError

FOLDER = HubFolder(kind="hub-folder", repo="some/images", revision=REVISION, folder="train2017")
ARCHIVE = HubFile(kind="hub", repo="some/images", revision=REVISION, file="zip/train2017.zip")
LEADS_OUT = ["../a.jpg", "x/../../a.jpg", "/etc/passwd", "..", "", ".", "..\\a.jpg", "C:\\a.jpg", "a\0.jpg"]


def local(path: Path) -> LocalFile:
    return LocalFile(kind="local", path=str(path))


def saved(mode: str, form: str, **options: Any) -> bytes:
    written = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(written, form, **options)
    return written.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read_one(source: MediaSource, name: str) -> bytes:
    with media.opened(source, "llava") as read:
        return read(name)


def test_a_folder_gives_files_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "a.jpg").write_bytes(b"inside")
    assert read_one(local(tmp_path), "coco/a.jpg") == b"inside"
    for name in ("a.jpg", "coco", "coco/a.jpg/b.jpg", "n" * 300):
        with pytest.raises(UnusableError, match="image not there"):
            read_one(local(tmp_path), name)


@pytest.mark.parametrize("name", LEADS_OUT)
def test_a_name_never_leads_out_of_its_folder_archive_or_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def download(*_: object, **__: object) -> str:
        raise AssertionError("the hub must not be asked")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    (tmp_path / "a.jpg").write_bytes(b"outside")
    (tmp_path / "images").mkdir()
    archive = zipped(tmp_path / "images.zip", {"../a.jpg": b"climbs", "x/a.jpg": b"inside"})
    for source in (local(tmp_path / "images"), local(archive), FOLDER, Packaged(kind="packaged")):
        with pytest.raises(UnusableError, match="image name leads out of its folder"):
            read_one(source, name)


def test_an_archive_gives_files_by_path_or_without_the_folders_that_lead_there(tmp_path: Path) -> None:
    members = {"coco/train2017/a.jpg": b"a", "b.jpg": b"outer b", "coco/b.jpg": b"inner b", "coco/": b""}
    path = zipped(tmp_path / "images.zip", members)
    for name, content in {
        "coco/train2017/a.jpg": b"a",
        "train2017/a.jpg": b"a",
        "a.jpg": b"a",
        "b.jpg": b"outer b",
        "coco/b.jpg": b"inner b",
    }.items():
        assert read_one(local(path), name) == content
    for name in ("c.jpg", "val/a.jpg", "train2017"):
        with pytest.raises(UnusableError, match="image not there"):
            read_one(local(path), name)


def test_an_archive_with_two_files_that_fit_gives_neither(tmp_path: Path) -> None:
    path = zipped(tmp_path / "images.zip", {"train/a.jpg": b"1", "val/a.jpg": b"2"})
    assert read_one(local(path), "val/a.jpg") == b"2"
    with pytest.raises(UnusableError, match="image name fits several files of the archive"):
        read_one(local(path), "a.jpg")


def test_a_damaged_member_of_an_archive_is_unusable(tmp_path: Path) -> None:
    image = bytes(range(256)) * 8
    content = bytearray(zipped(tmp_path / "images.zip", {"a.jpg": image}).read_bytes())
    start = 30 + len("a.jpg")
    assert zlib.decompress(content[start:], wbits=-15) == image
    for place, byte in ((start, 0xFF), (start + 200, content[start + 200] ^ 0x55)):
        damaged = bytearray(content)
        damaged[place] = byte
        (tmp_path / "damaged.zip").write_bytes(damaged)
        with pytest.raises(UnusableError, match="image not readable in its archive"):
            read_one(local(tmp_path / "damaged.zip"), "a.jpg")


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_a_broken_archive_is_an_error_of_one_line(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(zipped(path, {"a.jpg": b"a"}).read_bytes()[:cut])
    with pytest.raises(UserError, match=r"images\.zip: not a whole ZIP archive .* fetch it again") as error:
        read_one(local(path), "a.jpg")
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone: no such folder or ZIP archive; check dataset\.media\.path"):
        read_one(local(tmp_path / "gone"), "a.jpg")


def test_a_folder_of_the_hub_is_fetched_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repo_id: str, filename: str, *, repo_type: str, revision: str, token: object) -> str:
        asked.append((repo_id, filename, repo_type, revision))
        if filename.endswith("gone.jpg"):
            answer = httpx.Response(404, request=httpx.Request("GET", "http://hub.test/file"))
            raise errors.RemoteEntryNotFoundError("404", response=answer)
        (tmp_path / "blob").write_bytes(b"image")
        return str(tmp_path / "blob")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert read_one(FOLDER, "a.jpg") == b"image"
    assert read_one(FOLDER.model_copy(update={"folder": ""}), "x/a.jpg") == b"image"
    assert asked == [
        ("some/images", "train2017/a.jpg", "dataset", REVISION),
        ("some/images", "x/a.jpg", "dataset", REVISION),
    ]
    with pytest.raises(UnusableError, match="image not there"):
        read_one(FOLDER, "gone.jpg")


@pytest.mark.parametrize(("source", "file"), [(FOLDER, "train2017/a.jpg"), (ARCHIVE, "zip/train2017.zip")])
def test_a_hub_that_cannot_be_reached_is_an_error_and_no_unusable_row(
    monkeypatch: pytest.MonkeyPatch, source: MediaSource, file: str
) -> None:
    def download(*_: object, **__: object) -> str:
        raise errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(UserError, match=f"{file} of the dataset some/images .* set dataset.media to kind: local"):
        read_one(source, "a.jpg")


def test_an_archive_of_the_hub_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "blob", {"train2017/a.jpg": b"a", "train2017/b.jpg": b"b"})
    asked = []

    def download(repo_id: str, filename: str, **_: object) -> str:
        asked.append((repo_id, filename))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with media.opened(ARCHIVE, "llava") as read:
        assert (read("a.jpg"), read("b.jpg")) == (b"a", b"b")
    assert asked == [("some/images", "zip/train2017.zip")]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (FOLDER, f"some/images train2017 at {REVISION}"),
        (ARCHIVE, f"some/images zip/train2017.zip at {REVISION}"),
        (LocalFile(kind="local", path="/home/somebody/train2017"), "train2017"),
        (Packaged(kind="packaged"), "packaged"),
    ],
)
def test_the_origin_names_no_path_of_this_machine(source: MediaSource, says: str) -> None:
    assert media.origin(Taken(source)) == says


@pytest.mark.parametrize(
    ("mode", "form"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP")],
)
def test_a_picture_of_any_kind_stays_as_it_is(mode: str, form: str) -> None:
    assert picture(saved(mode, form)) == saved(mode, form)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff\xe0",
        b"<html>not found</html>",
        saved("RGB", "JPEG")[:-100],
        saved("RGB", "PNG")[:-100],
        saved("RGB", "WEBP", lossless=True)[:-100],
        saved("RGB", "BMP"),
        saved("RGB", "GIF"),
    ],
    ids=["empty", "head", "page", "cut JPEG", "cut PNG", "cut WebP", "BMP", "GIF"],
)
def test_what_is_no_whole_picture_is_unusable(content: bytes) -> None:
    with pytest.raises(UnusableError, match="image not decodable"):
        picture(content)


@pytest.mark.parametrize("side", [9_800, 10_001, 30_000])
@pytest.mark.filterwarnings("error")
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    header = bytearray(saved("1", "PNG"))
    header[16:24] = side.to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    says = "image over 100 million pixels" if side * side > 100_000_000 else "image not decodable"
    with pytest.raises(UnusableError, match=says):
        picture(bytes(header))


def film(path: Path, frames: int = 3, size: tuple[int, int] = (160, 96), movflags: str = "faststart") -> bytes:
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format="mp4", options={"movflags": movflags} if movflags else {}) as out:
        stream = out.add_stream("mpeg4", rate=8, options={"threads": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        out.start_encoding()
        for _ in range(frames):
            pixels = noise.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode())
    return path.read_bytes()


def sound(path: Path) -> bytes:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path.read_bytes()


def test_the_first_frame_is_a_png_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "red-then-blue.mp4"), "w") as out:
        stream = out.add_stream("mpeg4", rate=8)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour in ((255, 0, 0), (0, 0, 255), (0, 0, 255)):
            out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 48), colour))))
        out.mux(stream.encode())
    content = (tmp_path / "red-then-blue.mp4").read_bytes()
    taken = first_frame(content)
    assert taken == first_frame(content) == picture(taken)
    image = Image.open(io.BytesIO(taken))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (64, 48))
    red, green, blue = np.asarray(image).reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize(("size", "kept"), [((1024, 512), (1024, 512)), ((1536, 768), (1024, 512)), ((96, 160), None)])
def test_a_large_frame_is_made_smaller_and_a_small_one_stays(
    tmp_path: Path, size: tuple[int, int], kept: tuple[int, int] | None
) -> None:
    assert Image.open(io.BytesIO(first_frame(film(tmp_path / "a.mp4", 1, size)))).size == (kept or size)


def _cut_frame(folder: Path) -> bytes:
    content = film(folder / "a.mp4")
    return content[: content.find(b"mdat") + 300]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda folder: film(folder / "a.mp4", 0, movflags="frag_keyframe+empty_moov"), "video without a frame"),
        (lambda folder: sound(folder / "a.mp4"), "video without a picture stream"),
        (_cut_frame, "video's first frame damaged"),
        (lambda folder: film(folder / "a.mp4", movflags="")[:9_000], "video not decodable"),
        (lambda _: b"", "video not decodable"),
        (lambda _: b"<html>not found</html>", "video not decodable"),
        (lambda _: saved("RGB", "JPEG"), "video not decodable"),
    ],
    ids=["no frame", "sound", "cut frame", "cut index", "empty", "page", "image"],
)
def test_what_is_no_video_is_unusable(tmp_path: Path, content: Callable[[Path], bytes], says: str) -> None:
    with pytest.raises(UnusableError, match=says):
        first_frame(content(tmp_path))


def test_a_playlist_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "secret.mp4")
    monkeypatch.chdir(tmp_path)
    playlist = b"ffconcat version 1.0\nfile secret.mp4\n"
    with av.open(io.BytesIO(playlist)) as guessed:
        assert guessed.streams.video
    with pytest.raises(UnusableError, match="video not decodable"):
        first_frame(playlist)
