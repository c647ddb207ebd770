"""In which order runs are measured."""

from collections.abc import Iterable

import numpy as np

from joulebench.plan.cell import Cell

ORDER_SEED = 0
"""Of the order in which repeated runs are measured."""


def priorities(cells: Iterable[Cell]) -> dict[Cell, float]:
    """Of each run, between 0 and 1: larger for what is measured earlier; 0 for all of a hardware without repeats.

    A randomised complete block design (Fisher, The Design of Experiments, 1935): first every run once, then every
    run a second time, and so on, each round in a random order of its own. A drift of the machine over the hours
    then falls on all models alike, and not on those that the config names last.
    """
    of_hardware: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.repeat, cell.group, cell.run)):
        of_hardware.setdefault(cell.hardware, []).append(cell)
    found: dict[Cell, float] = {}
    for own in of_hardware.values():
        if own[-1].repeat == 1:
            found |= dict.fromkeys(own, 0.0)
            continue
        ordered: list[Cell] = []
        for repeat in range(1, own[-1].repeat + 1):
            block = [cell for cell in own if cell.repeat == repeat]
            permutation = np.random.default_rng([ORDER_SEED, repeat]).permutation(len(block))
            ordered += [block[place] for place in permutation]
        found |= {cell: 1 - place / len(ordered) for place, cell in enumerate(ordered)}
    return found
