"""How well a share of right answers is known."""

from math import sqrt

from scipy.special import ndtri


def wilson(right: int, asked: int, confidence: float = 0.95) -> tuple[float, float, float]:
    """The share, and the bounds of its interval (Wilson 1927, Probable Inference; Brown, Cai and DasGupta 2001).

    It holds its confidence for shares near 0 and 1 too, and for few questions; never below 0 or above 1. Raises
    ValueError where nothing was asked, or more is right than was.
    """
    if not 0 <= right <= asked or asked == 0:
        raise ValueError(f"{right} right of {asked}; expected 1 or more asked, and no more right than asked")
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    share = right / asked
    middle = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = sqrt(z2 * (share * (1 - share) / asked + z2 / (4 * asked**2))) / (1 + z2 / asked)
    return share, max(0.0, middle - half), min(1.0, middle + half)
