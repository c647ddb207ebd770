"""LLaVA-Instruct-150K: questions about COCO's photographs; `liuhaotian/LLaVA-Instruct-150K` on the hub.

The file has conversations (`forms`), and each row an `image`: the name of a file of COCO's train2017 (in the mix of
LLaVA-1.5, a path in a folder with coco/ and others). A usable row's prompt is its first turn, from `human`, without the
mark `<image>` that stands before or after the question; its reference is the second, from `gpt`. (ML.ENERGY's
benchmark joins all the questions of a conversation to one prompt, which no answer of the dataset belongs to.)
"""

from typing import Any

from joulebench.datasets import forms
from joulebench.datasets.media import picture
from joulebench.datasets.sampling import Row, Rows, why_unusable
from joulebench.inputs.checked import Strict

PACKAGED = "llava.json"
PACKAGED_MEDIA = "llava"
USUAL = "llava_instruct_150k*.json"

image = picture

_MARK = "<image>"


class Filters(Strict):
    """Nothing to choose: all conversations are used, as in ML.ENERGY's benchmark."""


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable conversations of the file's `text`, and the count of the others by reason.

    A row without an id of its own is named by its place in the file, from 0. Raises UserError where the text is not a
    JSON array; `where` opens its message.
    """
    return Rows.of(_row(place, raw) for place, raw in enumerate(forms.array(text, where)))


def _row(place: int, raw: Any) -> Row | str:
    pair = forms.first_pair(raw)
    if isinstance(pair, str):
        return pair
    name = raw.get("image")
    if name is None:
        return "no image named"
    if not isinstance(name, str):
        return "image name not text"
    prompt, answer = pair
    marks = prompt.count(_MARK)
    if marks != 1:
        return f"more than one {_MARK} in the prompt" if marks else f"no {_MARK} in the prompt"
    prompt = prompt.replace(_MARK, "").strip()
    for what, words in (("prompt", prompt), ("answer", answer), ("image name", name)):
        if why := why_unusable(what, words):
            return why
    return Row(forms.source_id(raw.get("id"), f"llava-{place:06d}"), prompt, answer, name)
