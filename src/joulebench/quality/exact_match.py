"""Exact match of a final number, as GSM8K asks for it (Cobbe et al. 2021, Training Verifiers to Solve Math Problems).

A reference ends in "#### 1,234". Of an answer it is the number behind "####" at the end of a line, or behind "The
answer is" or "The final answer is", where it says so, else the last number in it. Numbers are compared by value:
1,234.0 and $1234 are the same.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from joulebench.config.spec import RunSpec
from joulebench.config.tasks import Dataset
from joulebench.errors import UserError

_NUMBER = r"(?<![\w.])-?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
"""A minus belongs to it where nothing stands between them, and no digit before it: not in `20-2`, nor at a bullet."""
_ANY = re.compile(_NUMBER)
_MARKED = re.compile(
    rf"####\s*({_NUMBER})\s*$|the (?:final )?answer is(?: therefore)?:?\s*(?:\*\*|\\boxed\{{)?({_NUMBER})",
    re.IGNORECASE | re.MULTILINE,
)


def final_number(answer: str) -> Decimal | None:
    """The number that an answer, or a reference, comes to; None where it holds none."""
    text = answer.replace("\N{MINUS SIGN}", "-")
    found = ["".join(one) for one in _MARKED.findall(text)] or _ANY.findall(text)
    return Decimal(re.sub(r"[$,]", "", found[-1])) if found else None


def is_correct(answer: str, reference: str) -> bool:
    """Whether both come to the same number; an answer without one does not."""
    number = final_number(answer)
    return number is not None and number == final_number(reference)


def asking(spec: RunSpec, prompts: pl.DataFrame, asked: object) -> tuple[RunSpec, pl.DataFrame]:
    """See joulebench.quality: as the task asks."""
    return spec, prompts


def check(prompts: pl.DataFrame, dataset: Dataset, asked: object) -> None:
    """See joulebench.quality. Raises UserError where the dataset has no final numbers."""
    if any(reference is None or final_number(reference) is None for reference in prompts["reference"]):
        raise UserError(f"quality: exact-match needs references with a final number; {dataset.name} has others")


def right(answers: Sequence[str], prompts: pl.DataFrame, dataset: Dataset, asked: object) -> list[bool]:
    """See joulebench.quality."""
    return [is_correct(*pair) for pair in zip(answers, prompts["reference"], strict=True)]
