"""Which of a checkpoint's safetensors files are loaded.

Repositories keep the same weights more than once: Mistral's consolidated.safetensors beside the shards, a pipeline's
single file in its root, variants in another precision. What is loaded is fetched and counted, and nothing else.
"""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from joulebench.errors import UserError, in_one_line
from joulebench.inputs.reading import MIB, read_text, shown

PIPELINE = "model_index.json"
STEMS = ("model", "diffusion_pytorch_model")
VARIANTS = ("fp16", "bf16")
"""Weights of another precision, by their names (model.fp16.safetensors): taken where there are no others."""

MOST_JSON_BYTES = 64 * MIB
"""Of a configuration or an index: far more than any has."""

REMEDY = "delete the file and run again to fetch it anew, or take another revision or source"

WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".h5", ".msgpack")
"""How files of weights end, those that are not loaded here among them."""


def loaded(name: str, files: Collection[str], folder: Path) -> list[str]:
    """The safetensors files that are loaded of a repository with `files`, whose JSON files lie in `folder`.

    Those of the safetensors index where there is one, else model.safetensors; of a pipeline those of the components
    that its model_index.json names. Raises UserError where an index cannot be read, or names what is not there.
    """
    if PIPELINE not in files:
        found = _of("", name, files, folder)
        return found or sorted(file for file in files if file.endswith(".safetensors") and "/" not in file)
    parts = [
        part
        for part, made_of in read_json(name, folder / PIPELINE).items()
        if not part.startswith("_") and isinstance(made_of, list) and made_of != [None, None]
    ]
    found = []
    for part in sorted(parts):
        own = _of(f"{part}/", name, files, folder)
        other = sorted(file for file in files if file.startswith(f"{part}/") and file.endswith(WEIGHTS))
        if other and not own:
            raise UserError(
                f"{name}: {part} has weights as {other[0].rpartition('/')[2]}, expected "
                f"{' or '.join(f'{stem}.safetensors' for stem in STEMS)}; only safetensors are loaded"
            )
        found += own
    return found


def _of(place: str, name: str, files: Collection[str], folder: Path) -> list[str]:
    """What is loaded of one folder of the repository: '' or 'part/'."""
    for variant in ("", *(f".{one}" for one in VARIANTS)):
        for stem in STEMS:
            # Both places of the variant: diffusers moved it.
            for index in (f"{stem}.safetensors.index{variant}.json", f"{stem}.safetensors{variant}.index.json"):
                if place + index in files:
                    return _shards(place, name, place + index, files, folder)
            if (whole := f"{place}{stem}{variant}.safetensors") in files:
                return [whole]
    return []


def variant(folder: Path) -> str | None:
    """The precision that weights are named after (model.fp16.safetensors), where a part of `folder` has no others."""
    named: dict[Path, set[str]] = {}
    for path in folder.rglob("*.safetensors"):
        if found := _NAMED.fullmatch(path.name):
            named.setdefault(path.parent, set()).add(found[1] or "")
    return max((one for found in named.values() if "" not in found for one in found), default=None)


_NAMED = re.compile(rf"(?:{'|'.join(STEMS)})(?:\.({'|'.join(VARIANTS)}))?(?:-\d+-of-\d+)?\.safetensors")


def _shards(place: str, name: str, index: str, files: Collection[str], folder: Path) -> list[str]:
    places = read_json(name, folder / index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise UserError(f"{name}: {index} has no weight_map of tensors and their files; take another revision")
    found = sorted({place + file for file in places.values()})
    if missing := [file for file in found if file not in files]:
        raise UserError(f"{name}: {index} names {shown(missing[0])}, which is not there; take another revision")
    if other := [file for file in found if not file.endswith(".safetensors")]:
        raise UserError(f"{name}: {index} names {shown(other[0])}, and only safetensors are loaded")
    return found


def read_json(name: str, path: Path) -> dict[str, Any]:
    """A JSON file of the model `name`, its keys and values. Raises UserError where it is none."""
    try:
        content = json.loads(read_text(path, MOST_JSON_BYTES, REMEDY))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: {path} is not readable JSON ({in_one_line(error, 150)}); {REMEDY}") from None
    if not isinstance(content, dict):
        raise UserError(f"{name}: {path} holds {type(content).__name__}, expected keys and values; {REMEDY}")
    return content
