"""EvalPlus' comparison of what answers returned with what was expected; started by pass_at_1.py, for many at once.

EvalPlus compares in the process that runs the answer, where an answer that wants to can reach what is expected of it.
So it is given, for each answer, a function that says again what the answer returned elsewhere. Standard input: JSON, a
list of `entry_point`, `inputs`, `expected`, `returned` (as inside.told writes them) and `atol`. Standard output: a list
of whether each passes.
"""

import contextlib
import json
import sys
from types import SimpleNamespace
from typing import Any

from joulebench.quality.sandbox import plain

SUCCESS, UNKNOWN = 0, 3
"""EvalPlus' words for how it ended."""
ENOUGH_S = 60.0

LEFT: list[Any] = []
"""What is still to be said again, of the answer at hand."""


def passes(entry_point: str, inputs: list[Any], expected: list[Any], returned: list[Any], atol: float) -> bool:
    """Whether EvalPlus takes `returned` for `expected`."""
    from evalplus import eval as evalplus

    if len(returned) != len(inputs):
        return False
    evalplus.create_tempdir = contextlib.nullcontext  # nothing is written, and there is nothing to guard
    evalplus.reliability_guard = lambda *_, **__: None
    LEFT[:] = returned
    again = f"import __main__\n\n\ndef {entry_point}(*given):\n    return __main__.LEFT.pop(0)\n"
    status, progress = SimpleNamespace(value=UNKNOWN), SimpleNamespace(value=0)
    evalplus.unsafe_execute(
        *("humaneval", entry_point, again, inputs, expected, [ENOUGH_S] * len(inputs), atol),
        *(True, status, [False] * len(inputs), progress),  # True: the first that differs ends it
    )
    return bool(status.value == SUCCESS)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    given = [one | {name: plain(one[name]) for name in ("inputs", "expected", "returned")} for one in asked]
    json.dump([passes(**one) for one in given], sys.stdout)
