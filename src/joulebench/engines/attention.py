"""Attention over more sequences than torch's fused CUDA kernels can be launched with.

A video pipeline attends over the frames of each pixel, so that its batch is the pixels of all its videos. The kernels
put that batch on a grid axis of at most 65,535 blocks (pytorch issue 142228); above it, the batch is served in parts.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_SEQUENCES = 65_535


@contextmanager
def in_parts(most: int = MOST_SEQUENCES) -> Iterator[None]:
    """Within it, torch's scaled_dot_product_attention takes batches of any size: `most` sequences at a time."""
    from torch.nn import functional

    whole = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = functools.partial(_attended, whole, most)
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = whole


def _attended(
    whole: Any, most: int, query: Any, key: Any, value: Any, attn_mask: Any = None, *args: Any, **kw: Any
) -> Any:
    import torch

    batch = query.shape[0]
    if query.ndim < 3 or batch <= most:
        return whole(query, key, value, attn_mask, *args, **kw)
    masked = attn_mask is not None and attn_mask.ndim == query.ndim and attn_mask.shape[0] == batch
    parts = []
    for first in range(0, batch, most):
        part = slice(first, first + most)
        mask = attn_mask[part] if masked else attn_mask
        parts.append(whole(query[part], key[part], value[part], mask, *args, **kw))
    return torch.cat(parts)
