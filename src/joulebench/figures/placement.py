"""Where labels go beside their points, so that they cover neither points nor each other."""

import math
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class Plot:
    """What labels are placed in, in pixels: its size, the radius of its points, and what else is drawn there."""

    width: float
    height: float
    radius: float
    lines: Sequence[Box] = ()
    """They are covered only where there is no other place."""
    fixed: Sequence[Box] = ()
    """What no label and no line covers."""


def place(
    marks: Sequence[Mark], plot: Plot, over_lines: bool = True, leads: Sequence[float] = (), clear: float = 0.0
) -> list[tuple[float, float] | None]:
    """The centre of each mark's label in pixels, or None where no place around the point is free.

    Greedy: earlier marks choose first. A label stays inside the plot and covers no point and no other label, and
    without `over_lines` no line. Where no place next to the point is free, it may stand further away, the nearest of
    `leads` pixels that is free: a line is to be drawn to it (`lead`), which covers no point and no label either.
    `clear`: how far it keeps from the points of others, in pixels, so that it is not taken for theirs.
    """
    radius, lines = plot.radius, plot.lines
    points = [Box.around(mark.x, mark.y, radius, radius) for mark in marks]
    halos = [Box.around(mark.x, mark.y, radius + clear, radius + clear) for mark in marks]
    labels = list(plot.fixed)
    centres: list[tuple[float, float] | None] = []
    for index, mark in enumerate(marks):
        beside = [points[index], *halos[:index], *halos[index + 1 :]]
        at = Box.around(mark.x, mark.y, 1, 1)
        others = [point for point in points if not at.meets([point])]
        for away in (0.0, *leads):
            taken, free = [*(points if away else beside), *labels], []
            for centre in _around(mark, radius + away):
                box, line = _label(mark, centre), along([[(mark.x, mark.y), lead(mark, centre)]]) if away else []
                inside = box.left >= 0 and box.top >= 0 and box.right <= plot.width and box.bottom <= plot.height
                crosses = any(part.meets([*others, *labels]) for part in line)
                own = all(_apart(one, box) >= _apart(mark, box) for one in marks) or away > min(leads, default=0.0)
                if inside and own and not box.meets(taken) and not crosses and (over_lines or not box.meets(lines)):
                    free.append((box.meets(lines), centre, [box, *line]))
            if free:
                _, chosen, boxes = min(free, key=lambda place: place[0])
                labels += boxes
                centres.append(chosen)
                break
        else:
            centres.append(None)
    return centres


def _apart(mark: Mark, box: Box) -> float:
    """From a point to the middle of a box."""
    return math.hypot(mark.x - (box.left + box.right) / 2, mark.y - (box.top + box.bottom) / 2)


def lead(mark: Mark, centre: tuple[float, float]) -> tuple[float, float]:
    """Where the line from a mark to its label at `centre` ends: the nearest point of the label."""
    box = _label(mark, centre)
    return min(max(mark.x, box.left), box.right), min(max(mark.y, box.top), box.bottom)


def _label(mark: Mark, centre: tuple[float, float]) -> Box:
    return Box.around(*centre, mark.label_width / 2 + MARGIN_PX, mark.label_height / 2 + MARGIN_PX)


def _around(mark: Mark, reach: float) -> Iterator[tuple[float, float]]:
    """The centres that a label may have at `reach` pixels from its point."""
    box = _label(mark, (0.0, 0.0))
    for dx, dy in DIRECTIONS:
        yield mark.x + dx * (reach + 0.5 + box.right), mark.y + dy * (reach + 0.5 + box.bottom)


def along(lines: Sequence[Sequence[tuple[float, float]]], step: float = 5.0) -> list[Box]:
    """Small boxes along lines through points (x, y) in pixels."""
    boxes = []
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(line):
            steps = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / step))
            shares = [k / steps for k in range(steps + 1)]
            boxes += [Box.around(x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, 1, 1) for share in shares]
    return boxes
