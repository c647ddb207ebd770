"""In which order a point serves the sampled requests."""

from collections.abc import Iterator

import numpy as np


def serving_order(available: int, needed: int, seed: int) -> Iterator[int]:
    """Indices of `needed` requests out of `available`: as sampled, then in a new seeded order each time round."""
    given = 0
    turn = 0
    while given < needed:
        generator = np.random.default_rng([seed, turn])
        indices = range(available) if turn == 0 else generator.permutation(available).tolist()
        for index in indices:
            if given == needed:
                return
            yield index
            given += 1
        turn += 1
