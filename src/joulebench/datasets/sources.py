"""Where a dataset's file comes from: the Hugging Face hub, an address, this machine, or the project's own package."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from joulebench.config.tasks import FileSource, HubFile, HubFolder, LocalFile, MediaSource, Original, Packaged, UrlFile
from joulebench.datasets import columnar
from joulebench.downloads import explained, hub, revisions, urls
from joulebench.errors import UserError
from joulebench.inputs.reading import GIB, expanded, is_folder, is_there, read_bytes, shown, size_in_words

Originals = Mapping[str, Original]
"""A path of the config's sources of this machine -> where to fetch what belongs there."""

PACKAGED = Path(__file__).parent / "packaged"
"""The samples that come with the project."""

MOST_BYTES = 2 * GIB
"""Of a dataset's file, and of its text once unpacked: twice the largest that is known, LLaVA-1.5's mix of 1.03 GB."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class Taken(NamedTuple):
    """Where something is taken from, fixed: a source of the hub is at a commit, `asked` what the config calls it."""

    source: MediaSource
    asked: str | None = None
    """The tag or branch that stands for the commit; None where the config has the commit, or it is not the hub's."""


def taken(source: MediaSource, originals: Originals, setting: str = "dataset.source") -> Taken:
    """Where `source` is taken from: what lies on this machine first, else its original, at a commit.

    Raises UserError where the hub does not tell which commit a tag or branch is.
    """
    if isinstance(source, LocalFile) and not is_there(expanded(source.path)):
        wanted = Path(source.path)
        source = next((original for path, original in originals.items() if Path(path) == wanted), source)
    if not isinstance(source, HubFile | HubFolder):
        return Taken(source)
    otherwise = f"or fetch it elsewhere and set {setting} to kind: local"
    commit = revisions.commit(source.repo, source.revision, "dataset", setting, otherwise)
    asked = None if commit == source.revision else source.revision
    return Taken(source.model_copy(update={"revision": commit}), asked)


def fetch(source: FileSource, packaged: str, usual: str) -> Path:
    """The path of the source's file on this machine, downloaded first where it is elsewhere and not kept here.

    `packaged` is the dataset's file under packaged/, `usual` the name or glob pattern of its file in a folder.
    Raises UserError in one line where there is no such file, or more than one.
    """
    match source:
        case HubFile():
            return download(source)
        case UrlFile():
            return urls.file(source.url, source.sha256, MOST_BYTES, "dataset.source")
        case LocalFile():
            return _local(expanded(source.path), usual)
        case Packaged():
            return PACKAGED / packaged


def download(source: HubFile, setting: str = "dataset.source") -> Path:
    """The path of a file of the hub at a commit, in its cache; `setting` is where the config names it.

    Raises UserError.
    """
    what = f"{source.file} of the dataset {source.repo} at revision {source.revision}"
    otherwise = f"or fetch it elsewhere and set {setting} to kind: local"
    with explained(what, setting, otherwise, source.repo, "dataset"):
        import huggingface_hub

        path = huggingface_hub.hf_hub_download(
            source.repo, source.file, repo_type="dataset", revision=source.revision, token=hub.token()
        )
    return Path(path)


def read_text(path: Path) -> tuple[str, str]:
    """The file's text (UTF-8; .gz unpacked, .parquet as one JSON object a line) and the SHA-256 of its bytes in hex.

    Raises UserError where the file is missing, no plain file, empty, damaged, no text in UTF-8, over MOST_BYTES, or the
    pointer that Git LFS leaves.
    """
    content = read_bytes(path, MOST_BYTES, "check dataset.source, or say under originals where to fetch it")
    if content.startswith(_LFS_POINTER):
        raise UserError(f"{path}: only a Git LFS pointer, not the file itself; run 'git lfs pull' there")
    if not content.strip():
        raise UserError(f"{path}: empty; delete it and fetch it again")
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix == ".gz":
        content = _unpacked(content, path)
    elif path.suffix == ".parquet":
        content = columnar.json_lines(path, MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except MemoryError:
        raise UserError(f"{path}: larger than this machine's memory; take a smaller file") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start:,} of {len(content):,}: {error.reason}); "
            "expected the dataset's original file, unpacked; fetch it again"
        ) from None
    return text, digest


def _unpacked(content: bytes, path: Path) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); it may be cut off, fetch it again") from None
    except MemoryError:
        raise UserError(f"{path}: larger than this machine's memory once unpacked; take a smaller file") from None
    if len(unpacked) > MOST_BYTES:
        raise UserError(
            f"{path}: over {size_in_words(MOST_BYTES)} once unpacked, more than any dataset known here; fetch it again"
        )
    return unpacked


def origin(taken: Taken, path: Path, sha256: str) -> dict[str, str]:
    """What the records say of where the file came from; of a path on this machine only the file's name.

    `asked`: the tag or branch that the commit was found by.
    """
    source = taken.source
    if isinstance(source, HubFile):
        place = {"repo": source.repo, "revision": source.revision, "file": source.file}
        place |= {} if taken.asked is None else {"asked": taken.asked}
    elif isinstance(source, UrlFile):
        place = {"url": source.url, "file": path.name}
    else:
        place = {"file": path.name}
    return {"kind": source.kind, **place, "sha256": sha256}


def recorded(origin: Mapping[str, str]) -> FileSource | None:
    """The source that an origin in the records tells of, where it is not of this machine."""
    if origin["kind"] == "hub":
        return HubFile.model_validate({key: origin[key] for key in ("kind", "repo", "revision", "file")})
    if origin["kind"] == "url":
        return UrlFile.model_validate({key: origin[key] for key in ("kind", "url", "sha256")})
    return None


def _local(path: Path, usual: str) -> Path:
    if not is_folder(path):
        return path
    try:
        found = sorted(file for file in path.glob(usual) if file.is_file())
    except OSError as error:
        raise UserError(f"{shown(path)}: could not be listed ({error.strerror}); check dataset.source.path") from None
    if not found:
        raise UserError(
            f"{path}: a folder without {usual}; set dataset.source.path to the dataset's file, or "
            "remove the folder to have it fetched as originals says"
        )
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise UserError(f"{path}: {len(found)} files match {usual} ({names}); set dataset.source.path to one of them")
    return found[0]
