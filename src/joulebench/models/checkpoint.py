"""Published weights: a snapshot of the hub at a pinned revision."""

from pathlib import Path

from joulebench import config
from joulebench.hub import explained

PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
CODE = ["*.py"]


def download(name: str, model: config.Checkpoint, folder: Path) -> None:
    """Fetch configuration, tokenizer and safetensors of `name`; code only where the config trusts it."""
    from huggingface_hub import snapshot_download

    patterns = PATTERNS + (CODE if model.trust_remote_code else [])
    what = f"{name} at revision {model.revision}"
    with explained(what, f"models.{name}", "or give the model synthetic weights"):
        snapshot_download(name, revision=model.revision, local_dir=folder, allow_patterns=patterns)
