"""HumanEval+: functions to complete; HumanEvalPlus.jsonl.gz of evalplus/humanevalplus_release, `evalplus/humanevalplus`
on the hub (data/test-*.parquet, the same columns).

One JSON object a line with `task_id`, `prompt` (imports, a signature and a docstring) and `canonical_solution` (the
body), among others. Every row's prompt is completed as it is; its reference is the canonical solution.
"""

from typing import Any

from joulebench.datasets import forms
from joulebench.datasets.sampling import Row, Rows, why_unusable
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
    return Rows.of(map(_row, forms.objects(text, where)))


def _row(raw: dict[str, Any] | str) -> Row | str:
    if isinstance(raw, str):
        return raw
    why = (why_unusable(name, raw.get(name)) for name in _TEXTS)
    return next(filter(None, why), None) or Row(*(raw[name] for name in _TEXTS))
