"""Published weights: a snapshot of the hub at a pinned revision."""

import glob
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from joulebench.checkpoints import chat
from joulebench.checkpoints.weights import loaded
from joulebench.config.models import Checkpoint
from joulebench.config.tasks import PromptForm
from joulebench.downloads import explained
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS, TaskName

PATTERNS = ["*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja"]
CODE = ["*.py"]


def download(name: str, model: Checkpoint, folder: Path) -> None:
    """Fetch configuration and tokenizer of `name`, and the safetensors files that are loaded; code only where the
    config trusts it.

    Raises UserError where the hub cannot be reached, or its weights are not such as are loaded.
    """
    what, where, otherwise = (
        f"{name} at revision {model.revision}",
        f"models.{name}",
        "or give the model synthetic weights",
    )
    patterns = PATTERNS + (CODE if model.trust_remote_code else [])
    with explained(what, where, otherwise):
        from huggingface_hub import HfApi, snapshot_download

        files = HfApi().list_repo_files(name, revision=model.revision)
    if outside := [file for file in files if ".." in PurePosixPath(file).parts or file.startswith("/")]:
        raise UserError(f"{what}: has a file {outside[0]!r:.100}, which leads out of its folder; take another")
    with explained(what, where, otherwise):
        snapshot_download(name, revision=model.revision, local_dir=folder, allow_patterns=patterns)
    weights = [glob.escape(file) for file in loaded(name, files, folder)]
    with explained(what, where, otherwise):
        snapshot_download(name, revision=model.revision, local_dir=folder, allow_patterns=weights)


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
