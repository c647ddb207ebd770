"""In which order a point serves the sampled requests."""

from collections.abc import Iterator

import numpy as np

ENDLESS = 1_000_000
"""Requests that a point without a number of them may ask for: its queue is never empty."""


def serving_order(available: int, needed: int, seed: int, repeat: int = 1) -> Iterator[int]:
    """Indices of `needed` requests out of `available`: as sampled, then in a new seeded order each time round.

    A run's repeat k > 1 has other orders, and is in one from the first time round on: numpy's `default_rng` of
    (seed, turn, k), where the first run's is of (seed, turn). So the order is part of what differs between repeats.
    """
    given = 0
    turn = 0
    while given < needed:
        generator = np.random.default_rng([seed, turn, *([repeat] if repeat > 1 else [])])
        as_sampled = turn == 0 and repeat == 1
        indices = range(available) if as_sampled else generator.permutation(available).tolist()
        for index in indices:
            if given == needed:
                return
            yield index
            given += 1
        turn += 1
