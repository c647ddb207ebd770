"""Final numbers, worked out by hand."""

from decimal import Decimal

import pytest

from joulebench.quality.exact_match import final_number, is_correct

REFERENCE = "She has 9 * 2 = $<<9*2=18>>18 left.\n#### 18"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("16 - 3 - 4 = 9, and 9 * 2 = 18.", True),
        ("She makes $18 every day.", True),
        ("#### 18\nLet me know if 2 of these are unclear.", True),
        ("The answer is 18. Check: 36 / 2.", True),
        ("She makes 18.00 dollars", True),
        ("The answer is: $18", True),
        ("She makes 18 dollars on each of 7 days", False),  # its last number is 7
        ("She makes 180 dollars", False),
        ("She makes -18 dollars", False),
        ("I do not know.", False),
        ("- 18", True),  # a bullet
        ("#### 1. Eggs\nShe has 9.\n#### 2. Money\nShe makes $18.", True),
        ("36 - 18 - 0 = 18, or 20-2", False),  # 2
        ("36/2-18", True),
        ("The final answer is 18. There are 3 people.", True),
        ("The answer is: **18** apples. 3 are left.", True),
        ("The answer is therefore 18. Check 3.", True),
        ("The answer is \\boxed{18}, and 3 are left.", True),
        ("it is \u221218", False),
    ],
)
def test_answers(answer: str, right: bool) -> None:
    assert is_correct(answer, REFERENCE) is right


def test_numbers_are_read_by_value() -> None:
    assert final_number("#### 1,110") == Decimal(1110)
    assert final_number("costs .5 dollars") == Decimal("0.5")
    assert final_number("none") is None
    assert not is_correct("none", "none either")
