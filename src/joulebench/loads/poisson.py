"""Arrivals of a Poisson process at a rate: loads.gamma with the shape 1."""

from joulebench.loads.gamma import Gamma


class Poisson(Gamma):
    """See loads.base.Load."""

    needs: tuple[str, ...] = ("requests", "rate_per_s")
