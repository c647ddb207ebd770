"""Alpaca: instructions, most of them with an input to work on; `tatsu-lab/alpaca` on the hub, alpaca_data.json of the
original release.

A JSON array of objects with `instruction`, `input` (often empty) and `output`. The prompt is the instruction, and
behind a blank line the input where there is one; the reference is the output.
"""

from typing import Any

from joulebench.datasets import forms
from joulebench.datasets.sampling import Row, Rows, why_unusable
from joulebench.inputs.checked import Strict

PACKAGED = "alpaca.json"
USUAL = "alpaca_data*.json"


class Filters(Strict):
    """Nothing to choose: every instruction with an output is used."""


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable instructions of the file's `text`, and the count of the others by reason.

    A row is named by its place in the file, from 0. Raises UserError where the text is not a JSON array; `where` opens
    its message.
    """
    return Rows.of(_row(place, raw) for place, raw in enumerate(forms.array(text, where)))


def _row(place: int, raw: Any) -> Row | str:
    if not isinstance(raw, dict):
        return "not an object"
    why = (why_unusable(name, raw.get(name)) for name in ("instruction", "output"))
    if found := next(filter(None, why), None):
        return found
    given = raw.get("input", "")
    if not isinstance(given, str):
        return "no text in input"
    prompt = f"{raw['instruction']}\n\n{given}" if given.strip() else raw["instruction"]
    return Row(f"alpaca-{place:06}", prompt, raw["output"])
