"""GSM8K: word problems of grade-school mathematics; `openai/gsm8k` on the hub, test.jsonl of openai/grade-school-math.

One JSON object a line with `question` and `answer`, whose last line is "#### " and the number that it comes to. The
prompt is the question, the reference the whole answer.
"""

from typing import Any

from joulebench.datasets import forms
from joulebench.datasets.sampling import Row, Rows, why_unusable
from joulebench.inputs.checked import Strict

PACKAGED = "gsm8k.jsonl"
USUAL = "test*.jsonl"


class Filters(Strict):
    """Nothing to choose: all problems are used."""


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable problems of the file's `text`, and the count of the others by reason.

    A row is named by its place in the file, from 0. Raises UserError where the file was cut off within its last line;
    `where` opens its message.
    """
    return Rows.of(_row(place, raw) for place, raw in enumerate(forms.objects(text, where)))


def _row(place: int, raw: dict[str, Any] | str) -> Row | str:
    if isinstance(raw, str):
        return raw
    why = (why_unusable(name, raw.get(name)) for name in ("question", "answer"))
    if found := next(filter(None, why), None):
        return found
    if "####" not in raw["answer"]:
        return "no final number"
    return Row(f"gsm8k-{place:06}", raw["question"], raw["answer"])
