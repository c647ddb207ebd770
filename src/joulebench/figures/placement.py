"""Where the batch sizes go beside their points, so that they cover neither points nor each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MARGIN_PX = 1.5
# From the point, in half-sizes of label and point: above, below, aside, then the corners.
DIRECTIONS = ((0, -1), (0, 1), (1, -0.8), (-1, 0.8), (1, 0.8), (-1, -0.8), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, half_width: float, half_height: float) -> "Box":
        return cls(x - half_width, y - half_height, x + half_width, y + half_height)

    def meets(self, others: Sequence["Box"]) -> bool:
        return any(
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
            for other in others
        )


@dataclass(frozen=True)
class Mark:
    """A point at (x, y) pixels, y downwards, and the size of its label."""

    x: float
    y: float
    label_width: float
    label_height: float


def place(
    marks: Sequence[Mark],
    radius: float,
    width: float,
    height: float,
    lines: Sequence[Box] = (),
    over_lines: bool = True,
) -> list[tuple[float, float] | None]:
    """The centre of each mark's label in pixels, or None where no place around the point is free.

    Greedy: earlier marks choose first. `radius` is a point's. A label stays inside `width` by `height` and covers
    no point and no other label. It covers `lines` only where there is no other place, and never without `over_lines`.
    """
    taken = [Box.around(mark.x, mark.y, radius, radius) for mark in marks]
    centres: list[tuple[float, float] | None] = []
    for mark in marks:
        half_width, half_height = mark.label_width / 2 + MARGIN_PX, mark.label_height / 2 + MARGIN_PX
        free = []
        for dx, dy in DIRECTIONS:
            x, y = mark.x + dx * (radius + half_width + 0.5), mark.y + dy * (radius + half_height + 0.5)
            box = Box.around(x, y, half_width, half_height)
            inside = box.left >= 0 and box.top >= 0 and box.right <= width and box.bottom <= height
            if inside and not box.meets(taken) and (over_lines or not box.meets(lines)):
                free.append((box.meets(lines), (x, y), box))
        if free:
            _, centre, box = min(free, key=lambda place: place[0])
            taken.append(box)
            centres.append(centre)
        else:
            centres.append(None)
    return centres


def along(lines: Sequence[Sequence[tuple[float, float]]], step: float = 5.0) -> list[Box]:
    """Small boxes along lines through points (x, y) in pixels."""
    boxes = []
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(line):
            steps = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / step))
            shares = [k / steps for k in range(steps + 1)]
            boxes += [Box.around(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, 1, 1) for share in shares]
    return boxes
