"""The loads of text, one module each: who is submitted when, and which stretch of a point counts.

See loads.base.Load for what a module holds.
"""

from joulebench.inputs.checked import nearest
from joulebench.loads import at_once, closed_loop, gamma
from joulebench.loads.base import Load
from joulebench.loads.setting import CLOSED_LOOP

LOADS: dict[str, Load] = {
    CLOSED_LOOP: closed_loop.ClosedLoop(),
    "at-once": at_once.AtOnce(),
    "poisson": gamma.Poisson(),
    "gamma": gamma.Gamma(),
}


def load(name: str) -> Load:
    """The load of that name. Raises ValueError where there is none."""
    if name not in LOADS:
        raise ValueError(f"no load '{name}'{nearest(name, LOADS)}")
    return LOADS[name]


def is_last(status: str, load_name: str) -> bool:
    """Whether a sweep has no other point after one of this status: with more load it would end the same.

    Where the arrivals are given, an overloaded point is a finding, and the sweep goes on.
    """
    return status in ("out_of_memory", "failed") or (status == "overloaded" and load(load_name).ends_overloaded)
