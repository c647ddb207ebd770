"""Whether what was fetched of a checkpoint is whole: configurations are JSON, weights are safetensors."""

from pathlib import Path

from joulebench.checkpoints.weights import REMEDY, read_json
from joulebench.errors import UserError
from joulebench.inputs.reading import reason, require_plain


def check(name: str, folder: Path) -> None:
    """Raises UserError in one line at the first file of `folder` that is damaged.

    Of a safetensors file its header is read, which names every tensor's type, shape and place, and its length. Which
    files there have to be, weights has from the indexes.
    """
    for path in sorted(folder.rglob("config.json")):
        read_json(name, path)
    for path in sorted(folder.rglob("*.safetensors")):
        _weights(name, path)


def _weights(name: str, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        require_plain(path, REMEDY)
        with safe_open(path, framework="numpy") as tensors:
            tensors.keys()
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        raise UserError(f"{name}: {path} is no whole safetensors file ({reason(error)}); {REMEDY}") from None
