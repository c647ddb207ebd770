"""How well a mean of scores is known."""

from collections.abc import Sequence
from math import fsum, sqrt

from scipy.special import stdtrit


def student(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float | None, float | None]:
    """The mean, and the bounds of its interval (Student 1908, The Probable Error of a Mean); null of a single value.

    The values are drawn independently of each other: one a prompt. Raises ValueError where there are none.
    """
    count = len(values)
    if count == 0:
        raise ValueError("no values; expected 1 or more")
    mean = fsum(values) / count
    if count == 1:
        return mean, None, None
    variance = fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * sqrt(variance / count)
    return mean, mean - half, mean + half
