"""Published weights: a snapshot of the hub at a pinned revision, or what another source has."""

import glob
import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from joulebench.checkpoints import chat, gguf
from joulebench.checkpoints.weights import loaded
from joulebench.config.models import Checkpoint
from joulebench.config.tasks import PromptForm
from joulebench.downloads import explained, hub, revisions
from joulebench.errors import UserError
from joulebench.inputs.reading import is_folder
from joulebench.models import files, sources
from joulebench.names import IMAGE_TASKS, TaskName
from joulebench.records.models import Origin

PATTERNS = ["*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja"]
CODE = ["*.py"]


class Fetched(NamedTuple):
    """Where a checkpoint is from, None for the hub's snapshot; `commit` where the config has the name of one."""

    origin: Origin | None
    commit: str | None = None


def fetch(name: str, model: Checkpoint, folder: Path) -> Fetched:
    """Fill `folder`, emptied first, with the checkpoint of `name`.

    Raises UserError where it cannot be had, is not what the config pins, or holds no weights that are loaded.
    """
    if model.source is None:
        taken = commit_of(name, model)
        files.clear(folder, resumes=True)
        download(name, model, folder, taken)
        return Fetched(None, None if taken == model.revision else taken)
    where, source = f"models.{name}.source", model.source
    path, commit = sources.found(name, source, folder)
    expected = None if source.kind == "hub" else source.sha256
    files.clear(folder)
    if is_folder(path):
        sources.copy(name, path, folder, PATTERNS)
        lines = "".join(f"{digest}  {file}\n" for file, digest in files.digests(folder).items())
        sha256, packing = hashlib.sha256(lines.encode()).hexdigest(), None
        files.check_digest(where, sha256, expected)
    else:
        sha256 = files.digest(path)
        files.check_digest(where, sha256, expected)
        try:
            packing = gguf.convert(path, folder)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    told = {} if packing is None else packing._asdict()
    file = path.name if source.kind == "local" else source.file
    return Fetched(Origin(kind=source.kind, file=file, sha256=sha256, **told), commit)


OTHERWISE = "or name a folder of it by source (kind: local), or give what is measured synthetic weights"


def commit_of(name: str, model: Checkpoint) -> str:
    """The commit of the hub's repository that the model is taken at. Raises UserError where the hub cannot tell."""
    assert model.revision is not None
    return revisions.commit(model.repo or name, model.revision, "model", f"models.{name}", OTHERWISE)


def download(name: str, model: Checkpoint, folder: Path, commit: str) -> None:
    """Fetch configuration and tokenizer of `name`, and the safetensors files that are loaded; code only where the
    config trusts it.

    Raises UserError where the hub cannot be reached, or its weights are not such as are loaded.
    """
    repo, where = model.repo or name, f"models.{name}"
    what = f"{repo} at revision {commit}"
    patterns = PATTERNS + (CODE if model.trust_remote_code else [])
    with explained(what, where, OTHERWISE, repo, "model"):
        from huggingface_hub import HfApi, snapshot_download

        at: dict[str, Any] = {"revision": commit, "token": hub.token()}
        listed = HfApi().list_repo_files(repo, **at)
    if outside := [file for file in listed if ".." in PurePosixPath(file).parts or file.startswith("/")]:
        raise UserError(f"{what}: has a file {outside[0]!r:.100}, which leads out of its folder; take another")
    with explained(what, where, OTHERWISE, repo, "model"):
        snapshot_download(repo, **at, local_dir=folder, allow_patterns=patterns)
    weights = [glob.escape(file) for file in loaded(name, listed, folder)]
    with explained(what, where, OTHERWISE, repo, "model"):
        snapshot_download(repo, **at, local_dir=folder, allow_patterns=weights)


def check_prompts(name: str, model: Checkpoint, folder: Path, asked: Mapping[TaskName, PromptForm]) -> None:
    """Try the tokenizer in `folder`, and its chat template with what the tasks will give it (chat.check).

    Raises UserError where that fails. Where transformers is not installed, the engine finds out.
    """
    if not asked or find_spec("transformers") is None:
        return
    speaks = "chat" in {asked[task] for task in asked.keys() - IMAGE_TASKS}
    try:
        chat.check(folder, model.trust_remote_code, speaks, bool(asked.keys() & IMAGE_TASKS))
    except UserError as error:
        raise UserError(f"models.{name}: {error}") from error
