"""HumanEval+: functions to complete; HumanEvalPlus.jsonl.gz of evalplus/humanevalplus_release, `evalplus/humanevalplus`
on the hub (data/test-*.parquet, the same columns).

One JSON object a line with `task_id`, `prompt` (imports, a signature and a docstring) and `canonical_solution` (the
body), among others. Every row's prompt is completed as it is; its reference is the canonical solution.
"""

from typing import Any

from joulebench.datasets import json_lines
from joulebench.datasets.sampling import Row, Rows, is_unicode
from joulebench.inputs.checked import Strict

PACKAGED = "humanevalplus.jsonl"
USUAL = "HumanEvalPlus*.jsonl*"

_TEXTS = ("task_id", "prompt", "canonical_solution")


class Filters(Strict):
    """Nothing to choose: all problems are used."""


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable problems of the file's `text`, and the count of the others by reason.

    Raises UserError where the file was cut off within its last line; `where` opens its message.
    """
    rows = Rows()
    for raw in json_lines.parsed(text, where):
        rows.add(_row(raw))
    return rows


def _row(raw: Any) -> Row | str:
    if raw is json_lines.NOT_JSON:
        return "not JSON"
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
