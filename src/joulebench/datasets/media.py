"""The images and videos that a dataset's rows name: of a folder, a ZIP archive or a host; looked at before use."""

import io
import lzma
import struct
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from joulebench.config.tasks import HubFile, HubFolder, LocalFile, MediaSource, Packaged, UrlFile, UrlFolder
from joulebench.datasets.sources import PACKAGED, Taken, download
from joulebench.downloads import NoSuchFileError, urls
from joulebench.errors import UserError
from joulebench.inputs.reading import (
    GIB,
    MIB,
    TooLargeError,
    expanded,
    is_folder,
    is_there,
    read_bytes,
    require_plain,
    shown,
)

Read = Callable[[str], bytes]

MOST_PIXELS = 100_000_000
MOST_BYTES = 512 * MIB
"""Of one image or video: a picture of MOST_PIXELS that nothing could compress has 300 MB."""
MOST_ARCHIVE_BYTES = 256 * GIB
MOST_MISSING = 100
"""Where a host lacks so many of the first files, it does not have the folder: nobody asks for 158,000 of them."""
LONGEST_SIDE = 1024
"""Pixels of a video's frame as it is kept: what pipelines want is smaller."""


class UnusableError(Exception):
    """Why a row's image or video cannot be used, in a few words."""


@contextmanager
def opened(source: MediaSource, packaged: str) -> Iterator[Read]:
    """What reads a file of `source` by the name that a row gives it, whole; `packaged` is its folder under packaged/.

    A name may lack the folders that lead to it in an archive (COCO's train2017/), where it then fits one member only.
    The reader raises UnusableError where there is no such file, or where its name leads out of the folder.
    Raises UserError where there is no such folder or archive.
    """
    match source:
        case HubFolder():
            yield _one_by_one(lambda name: _from_hub(source, name), f"{source.repo} {source.folder or '/'}")
        case UrlFolder():
            yield _one_by_one(lambda name: _from_host(source, name), source.url)
        case UrlFile():
            with _archive(urls.file(source.url, source.sha256, MOST_ARCHIVE_BYTES, "dataset.media")) as read:
                yield read
        case Packaged():
            folder = PACKAGED / packaged
            yield lambda name: _content(folder / _inside(name))
        case HubFile():
            with _archive(download(source, "dataset.media")) as read:
                yield read
        case LocalFile():
            path = expanded(source.path)
            if is_folder(path):
                yield lambda name: _content(path / _inside(name))
            elif is_there(path):
                with _archive(path) as read:
                    yield read
            else:
                raise UserError(f"{shown(path)}: no such folder or ZIP archive; check dataset.media.path")


def origin(taken: Taken) -> str:
    """What the records say of where images came from; of a path on this machine only its name."""
    source = taken.source
    asked = "" if taken.asked is None else f" ({taken.asked})"
    match source:
        case HubFile():
            return f"{source.repo} {source.file} at {source.revision}{asked}"
        case HubFolder():
            return f"{source.repo} {source.folder or '/'} at {source.revision}{asked}"
        case UrlFile() | UrlFolder():
            return source.url
        case LocalFile():
            return expanded(source.path).name
        case Packaged():
            return "packaged"


def picture(content: bytes) -> bytes:
    """A JPEG, PNG or WebP file as it is, once it has been decoded. Raises UnusableError."""
    from PIL import Image

    too_large = UnusableError(f"image over {MOST_PIXELS // 10**6} million pixels")
    try:
        with warnings.catch_warnings(action="ignore"):  # of its size, which is checked here, and of damaged EXIF
            image = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
        with image:
            if image.width * image.height > MOST_PIXELS:
                raise too_large
            image.load()
    except (Image.DecompressionBombError, MemoryError):  # Pillow has the second for a row too long for its decoder
        raise too_large from None
    except (OSError, ValueError, SyntaxError):
        raise UnusableError("image not decodable") from None
    return content


def first_frame(content: bytes) -> bytes:
    """The first frame of an MP4 file as PNG, its longer side LONGEST_SIDE pixels at most. Raises UnusableError.

    Its format is not guessed: among those that FFmpeg knows are playlists, which open other files.
    """
    import av

    try:
        with av.open(io.BytesIO(content), "r", format="mp4") as video:
            if not video.streams.video:
                raise UnusableError("video without a picture stream")
            decoder = video.streams.video[0].codec_context  # None where FFmpeg knows no decoder
            if decoder is not None and decoder.width * decoder.height > MOST_PIXELS:
                raise UnusableError(f"video over {MOST_PIXELS // 10**6} million pixels")
            frame = next(video.decode(video=0), None)
            if frame is None:
                raise UnusableError("video without a frame")
            if frame.is_corrupt:
                raise UnusableError("video's first frame damaged")
            image = frame.to_image()
    except (av.error.FFmpegError, ValueError, MemoryError):
        raise UnusableError("video not decodable") from None
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    written = io.BytesIO()
    image.save(written, format="PNG")
    return written.getvalue()


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise UnusableError("image name leads out of its folder")
    return path


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path, MOST_BYTES, "")
    except TooLargeError:
        raise UnusableError(_TOO_LARGE) from None
    except UserError:
        raise UnusableError("image not there") from None


_TOO_LARGE = f"image or video over {MOST_BYTES // MIB} MiB"


def _one_by_one(fetch: Callable[[PurePosixPath], bytes], place: str) -> Read:
    """Reads files of a host by their names: one that it lacks is unusable, and a host that lacks them all is an error.

    A host that fails ends the sampling: which rows are drawn must not depend on the network.
    """
    found = missing = 0

    def read(name: str) -> bytes:
        nonlocal found, missing
        try:
            content = fetch(_inside(name))
        except NoSuchFileError:
            missing += 1
            if not found and missing >= MOST_MISSING:
                raise UserError(
                    f"{place}: has none of the first {missing} files that are named; check dataset.media"
                ) from None
            raise UnusableError("image not there") from None
        found += 1
        return content

    return read


def _from_hub(source: HubFolder, name: PurePosixPath) -> bytes:
    file = HubFile(
        kind="hub", repo=source.repo, revision=source.revision, file=str(PurePosixPath(source.folder) / name)
    )
    return _content(download(file, "dataset.media"))


def _from_host(source: UrlFolder, name: PurePosixPath) -> bytes:
    return urls.content(f"{source.url.rstrip('/')}/{quote(str(name))}", MOST_BYTES, "dataset.media")


_UNPACKING = (zlib.error, lzma.LZMAError, struct.error)


@contextmanager
def _archive(path: Path) -> Iterator[Read]:
    require_plain(path, "name a folder or a ZIP archive in dataset.media")
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, MemoryError) as error:
        raise UserError(
            f"{path}: not a whole ZIP archive ({error}); name a folder or a ZIP in dataset.media, or fetch it again"
        ) from None
    with archive:
        exact = {member for member in archive.namelist() if not member.endswith("/")}
        ending: defaultdict[str, set[str]] = defaultdict(set)
        for member in exact:
            parts = PurePosixPath(member).parts
            for start in range(1, len(parts)):
                ending["/".join(parts[start:])].add(member)

        def read(name: str) -> bytes:
            inside = str(_inside(name))
            fitting = {inside} if inside in exact else ending.get(inside, set())
            if not fitting:
                raise UnusableError("image not there")
            if len(fitting) > 1:
                raise UnusableError("image name fits several files of the archive")
            (member,) = fitting
            try:
                with archive.open(member) as file:
                    content = file.read(MOST_BYTES + 1)
            except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, MemoryError, ValueError, *_UNPACKING):
                raise UnusableError("image not readable in its archive") from None
            if len(content) > MOST_BYTES:
                raise UnusableError(_TOO_LARGE)
            return content

        yield read
