"""Exact match of a final number, as GSM8K asks for it (Cobbe et al. 2021, Training Verifiers to Solve Math Problems).

A reference ends in "#### 1,234". Of an answer it is the number behind "####" or "The answer is", where it says so, else
the last number in it. Numbers are compared by value: 1,234.0 and $1234 are the same.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from joulebench.config.tasks import Dataset
from joulebench.errors import UserError

_NUMBER = r"-?\$?\s?\d[\d,]*(?:\.\d+)?|-?\$?\s?\.\d+"
_MARKED = re.compile(rf"(?:####|the answer is:?)\s*({_NUMBER})", re.IGNORECASE)
_ANY = re.compile(_NUMBER)


def final_number(answer: str) -> Decimal | None:
    """The number that an answer, or a reference, comes to; None where it holds none."""
    found = _MARKED.findall(answer) or _ANY.findall(answer)
    return Decimal(re.sub(r"[$,\s]", "", found[-1])) if found else None


def is_correct(answer: str, reference: str) -> bool:
    """Whether both come to the same number; an answer without one does not."""
    number = final_number(answer)
    return number is not None and number == final_number(reference)


def right(answers: Sequence[str], prompts: pl.DataFrame, dataset: Dataset, asked: object) -> list[bool]:
    """See joulebench.quality. Raises UserError where the dataset has no final numbers."""
    if any(reference is None or final_number(reference) is None for reference in prompts["reference"]):
        raise UserError(f"quality: exact-match needs references with a final number; {dataset.name} has others")
    return [is_correct(*pair) for pair in zip(answers, prompts["reference"], strict=True)]
