"""HumanEval+: functions to complete; HumanEvalPlus.jsonl.gz of evalplus/humanevalplus_release.

One JSON object a line with `task_id`, `prompt` (imports, a signature and a docstring) and `canonical_solution` (the
body), among others. Every row's prompt is completed as it is; its reference is the canonical solution.
"""

import json
from typing import Any

from joulebench.config import Strict
from joulebench.datasets.sampling import Row, Rows, is_unicode
from joulebench.errors import UserError

PACKAGED = "humanevalplus.jsonl"
USUAL = "HumanEvalPlus*.jsonl*"

_TEXTS = ("task_id", "prompt", "canonical_solution")


class Filters(Strict):
    """Nothing to choose: all problems are used."""


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable problems of the file's `text`, and the count of the others by reason.

    Raises UserError where a line is not JSON, as in a file that was cut off; `where` opens its message.
    """
    rows = Rows()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            rows.add(_row(_parsed(line, number, where)))
    return rows


def _parsed(line: str, number: int, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where}: line {number} is not JSON (character {error.pos + 1}: {error.msg}); "
            "expected one object a line; the file may be cut off, fetch it again"
        ) from None


def _row(raw: Any) -> Row | str:
    if not isinstance(raw, dict):
        return "not an object"
    for name in _TEXTS:
        if not isinstance(raw.get(name), str):
            return f"no text in {name}"
        if not raw[name].strip():
            return f"empty {name}"
        if not is_unicode(raw[name]):
            return f"{name} not valid Unicode"
    return Row(*(raw[name] for name in _TEXTS))
