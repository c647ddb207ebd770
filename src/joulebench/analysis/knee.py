"""Where a curve has its knee: a broken line through points in logarithms, and which breaks the points allow.

With u = log x and v = log y, v = a + b u + c max(0, u - k). For each k on a grid the other three are by least squares;
the knee is the k of the least sum of squares S. Its 95 % interval is every k whose sum is at most
S_min (1 + F(0.95; 1, n - 4) / (n - 4)), n being the number of points: the likelihood-ratio interval (Seber and Wild,
Nonlinear Regression, 1989, sections 9.3 and 5.3). It says how far the knee is told by points that scatter about two
straight lines; a curve that bends all the way has a wide one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtri

FEWEST_POINTS = 6
GRID = 400
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Knee:
    """The x of the knee and the ends of its interval, in the unit of x."""

    value: float
    low: float
    high: float


def knee(x: ArrayLike, y: ArrayLike) -> Knee | None:
    """The knee of y over x, both positive; None for fewer than FEWEST_POINTS different x, or where y is one line.

    The break lies between the second and the last but one of x. y is one line where even without a break the sum of
    squares is within the interval's bound.
    """
    u, v = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    places = np.unique(u)
    if places.size < FEWEST_POINTS or not (np.isfinite(u).all() and np.isfinite(v).all()):
        return None
    grid = np.linspace(places[1], places[-2], GRID)
    sums = np.array([_squares(u, v, at) for at in grid])
    least, freedom = float(sums.min()), u.size - 4
    bound = least * (1 + float(fdtri(1, freedom, CONFIDENCE)) / freedom)
    if _squares(u, v, None) <= bound:
        return None
    allowed = np.flatnonzero(sums <= bound)
    low, high = max(0, allowed[0] - 1), min(GRID - 1, allowed[-1] + 1)  # a step further: the bound lies between two
    found = np.exp([grid[int(sums.argmin())], grid[low], grid[high]])
    return Knee(*(float(one) for one in found))


def _squares(u: np.ndarray, v: np.ndarray, at: float | None) -> float:
    columns = [np.ones_like(u), u] if at is None else [np.ones_like(u), u, np.maximum(0.0, u - at)]
    design = np.stack(columns, axis=1)
    rest = v - design @ np.linalg.lstsq(design, v, rcond=None)[0]
    return float(rest @ rest)
