"""ShareGPT: conversations of people with ChatGPT; `anon8231489123/ShareGPT_Vicuna_unfiltered` on the hub.

The file has conversations (`forms`). A usable row's prompt is its first turn, from `human`; its reference is the
second, from `gpt`.
"""

import re
from collections.abc import Callable
from typing import Any

from pydantic import Field, PositiveInt, model_validator

from joulebench.datasets import forms
from joulebench.datasets.sampling import Row, Rows, why_unusable
from joulebench.errors import UserError, in_one_line
from joulebench.inputs.checked import Strict
from joulebench.inputs.reading import GIB, MissingError, expanded, read_text

PACKAGED = "sharegpt.json"
USUAL = "ShareGPT_V3*.json"

_WORD = re.compile(r"\w+|[^\w\s]")


class Filters(Strict):
    """Which conversations can be used; the defaults are those of ML.ENERGY's benchmark."""

    min_turns: int = Field(2, ge=2, description="Turns of the whole conversation; a prompt and its answer are two.")
    min_tokens: PositiveInt = Field(4, description="Tokens that the prompt, and the answer, have at least.")
    max_tokens: PositiveInt = Field(800, description="Tokens that the prompt, and the answer, have at most.")
    tokenizer: str = Field(
        "words",
        min_length=1,
        description="What counts the tokens. words: every word and every punctuation mark is one, a stand-in that "
        "belongs to no model (low for code and for scripts without spaces). Else: the path of a tokenizer.json.",
    )

    @model_validator(mode="after")
    def _some_length_left(self) -> "Filters":
        if self.max_tokens < self.min_tokens:
            raise ValueError(f"max_tokens {self.max_tokens} is under min_tokens {self.min_tokens}")
        return self


def read(text: str, filters: Filters, where: str) -> Rows:
    """The usable conversations of the file's `text`, and the count of the others by reason.

    A row that fails several filters is counted under the first. A row without an id of its own is named by its place
    in the file, from 0. Raises UserError where the text is not a JSON array; `where` opens its message.
    """
    count = _counter(filters.tokenizer)
    return Rows.of(_row(place, raw, filters, count) for place, raw in enumerate(forms.array(text, where)))


def _row(place: int, raw: Any, filters: Filters, count: Callable[[str], int]) -> Row | str:
    pair = forms.first_pair(raw, filters.min_turns)
    if isinstance(pair, str):
        return pair
    for name, text in zip(("prompt", "answer"), pair, strict=True):
        if why := why_unusable(name, text):
            return why
        tokens = count(text)
        if tokens < filters.min_tokens:
            return f"{name} shorter than {filters.min_tokens} tokens"
        if tokens > filters.max_tokens:
            return f"{name} longer than {filters.max_tokens} tokens"
    return Row(forms.source_id(raw.get("id"), f"sharegpt-{place:06d}"), *pair)


def _counter(tokenizer: str) -> Callable[[str], int]:
    if tokenizer == "words":
        return lambda text: len(_WORD.findall(text))
    from tokenizers import Tokenizer

    path = expanded(tokenizer)
    try:
        loaded = Tokenizer.from_str(read_text(path, GIB, "dataset sharegpt: check filters.tokenizer"))
    except MissingError:
        raise UserError(f"dataset sharegpt: filters.tokenizer: no file {path}; expected words or a path") from None
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  tokenizers raises Exception itself
        raise UserError(
            f"dataset sharegpt: filters.tokenizer: {path} is no tokenizer.json of the tokenizers library "
            f"({in_one_line(error)})"
        ) from None
    loaded.no_truncation()  # a file may carry a limit, which would cut every count off there
    loaded.no_padding()
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)
