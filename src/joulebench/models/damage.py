"""Whether what was fetched of a checkpoint is whole: configurations are JSON, weights are safetensors, all there."""

import json
from pathlib import Path
from typing import Any

from joulebench.errors import UserError
from joulebench.reading import MIB, is_there, read_text, reason, require_plain

MOST_JSON_BYTES = 64 * MIB
"""Of a configuration, or of an index: that of a model of 671 B parameters has 9 MB."""

_REMEDY = "delete the file and run again to fetch it anew, or ask its owner"


def check(name: str, folder: Path) -> None:
    """Raises UserError in one line at the first file of `folder` that is damaged, or a shard that is missing.

    Of a safetensors file its header is read, which names every tensor's type, shape and place, and its length.
    """
    for pattern in ("config.json", "model_index.json", "*.safetensors.index.json"):
        for path in sorted(folder.rglob(pattern)):
            content = _object(name, path)
            if pattern.endswith(".index.json"):
                _shards(name, path, content)
    for path in sorted(folder.rglob("*.safetensors")):
        _weights(name, path)


def _object(name: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path, MOST_JSON_BYTES, _REMEDY))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: {path} is not JSON ({reason(error)}); {_REMEDY}") from None
    if not isinstance(content, dict):
        raise UserError(f"{name}: {path} holds {type(content).__name__}, expected keys and values; {_REMEDY}")
    return content


def _shards(name: str, path: Path, index: dict[str, Any]) -> None:
    named = index.get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(file, str) for file in named.values()):
        raise UserError(f"{name}: {path} has no weight_map of file names; {_REMEDY}")
    files = sorted(set(named.values()))
    missing = [file for file in files if not is_there(path.parent / file)]
    if missing and len(missing) < len(files):  # without any of them, it is the index of a form that is not loaded
        raise UserError(f"{name}: {path} names the shard {missing[0][:100]}, which is not there; {_REMEDY}")


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
