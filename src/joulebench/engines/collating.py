"""One batch of prompts that were prepared one by one: what a processor makes of them when it is given all at once.

Preparing them ahead keeps the images' decoding and resizing out of what is measured.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def along(part: Any, ids: Any) -> bool:
    """Whether a tensor of a request runs along its prompt: `ids` is the prompt's, (1, tokens)."""
    return bool(part.shape[:2] == ids.shape[:2])


def collated(prompts: Sequence[Mapping[str, Any]], padding: int) -> dict[str, Any]:
    """The requests' tensors in a row, filled up to one size.

    What runs along the prompt is filled up on its left: token ids with `padding`, all else with 0. What differs between
    images (tiles, pixels) is filled up with 0 at its end, as processors do; what says how much of it is meant
    (`image_sizes`, masks) is among the tensors.
    """
    import torch

    longest = max(one["input_ids"].shape[1] for one in prompts)
    batch = {}
    for name in prompts[0]:
        parts = [one[name] for one in prompts]
        if all(along(part, one["input_ids"]) for part, one in zip(parts, prompts, strict=True)):
            fill = padding if name == "input_ids" else 0
            parts = [_filled(part, 1, longest, fill, before=True) for part in parts]
        for axis in range(1, parts[0].ndim):
            most = max(part.shape[axis] for part in parts)
            parts = [_filled(part, axis, most, 0, before=False) for part in parts]
        batch[name] = torch.cat(parts)
    return batch


def _filled(part: Any, axis: int, size: int, fill: int, before: bool) -> Any:
    import torch

    missing = size - part.shape[axis]
    if not missing:
        return part
    more = part.new_full((*part.shape[:axis], missing, *part.shape[axis + 1 :]), fill)
    return torch.cat([more, part] if before else [part, more], dim=axis)
