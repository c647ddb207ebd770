"""The resolved config as a file: how the workflow hands it, overrides and all, to the processes that it starts."""

import hashlib
import os
from pathlib import Path

from joulebench.config.whole import Config, load
from joulebench.errors import UserError
from joulebench.files import write_text

VARIABLE = "JOULEBENCH_CONFIG"


def hand_over(config: Config, folder: Path) -> Path:
    """Write `config` as JSON into `folder`, under a name that its content gives it."""
    text = config.model_dump_json(indent=1)
    path = folder / f"config-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not path.exists():
        write_text(text, path)
    return path.resolve()


def handed_over() -> Config:
    """The config that the environment names, or config.yaml here. Raises UserError where it cannot be read."""
    path = Path(os.environ.get(VARIABLE, "config.yaml"))
    if not path.is_file():
        raise UserError(f"{path}: no such config; set {VARIABLE} to one or stand in the project's folder")
    return load(path)
