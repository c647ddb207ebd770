"""Whether what was fetched of a checkpoint is whole: configurations are JSON, weights are safetensors."""

import json
from pathlib import Path

from joulebench.errors import UserError
from joulebench.reading import MIB, read_text, reason, require_plain

MOST_JSON_BYTES = 64 * MIB
"""Of a configuration: far more than any has."""

_REMEDY = "delete the file and run again to fetch it anew, or ask its owner"


def check(name: str, folder: Path) -> None:
    """Raises UserError in one line at the first file of `folder` that is damaged.

    Of a safetensors file its header is read, which names every tensor's type, shape and place, and its length. Which
    files there have to be, models.weights has from the indexes.
    """
    for path in sorted(folder.rglob("config.json")):
        _require_object(name, path)
    for path in sorted(folder.rglob("*.safetensors")):
        _weights(name, path)


def _require_object(name: str, path: Path) -> None:
    try:
        content = json.loads(read_text(path, MOST_JSON_BYTES, _REMEDY))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: {path} is not JSON ({reason(error)}); {_REMEDY}") from None
    if not isinstance(content, dict):
        raise UserError(f"{name}: {path} holds {type(content).__name__}, expected keys and values; {_REMEDY}")


def _weights(name: str, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        require_plain(path, _REMEDY)
        with safe_open(path, framework="numpy") as tensors:
            tensors.keys()
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        raise UserError(f"{name}: {path} is no whole safetensors file ({reason(error)}); {_REMEDY}") from None
