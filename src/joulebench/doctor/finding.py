"""What was looked at, how it is, and what to do about it."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    OK = "ok"
    NOTE = "note"
    """Worth knowing, or missing for something that not everybody wants."""
    MISSING = "missing"
    """Without it nothing can be measured or drawn."""


@dataclass(frozen=True)
class Finding:
    """One line: what was `found`, and `to_do` about it where there is anything."""

    state: State
    found: str
    to_do: str | None = None


def ok(found: str) -> Finding:
    return Finding(State.OK, found)


def note(found: str, to_do: str | None = None) -> Finding:
    return Finding(State.NOTE, found, to_do)


def missing(found: str, to_do: str) -> Finding:
    return Finding(State.MISSING, found, to_do)
