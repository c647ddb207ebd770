"""Claims of others against found ratios, with numbers by hand."""

from typing import Any

import polars as pl
import pytest
from building import interval, point_row, table_of

from joulebench.analysis.claims import claims, fieller, judged
from joulebench.analysis.hpml import CLAIMS, STUDIES, Claim
from joulebench.tables.schemas import CLAIMS as TABLE
from joulebench.tables.schemas import STUDY

CLAIM = Claim(says="half", source="them", ratio="0.54", studies=("s", "first"), varies="max_batch_size", a=(1,), b=(2,))


def point(batch: int, joules: float | None, tokens: int = 11, share: float = 0.06, **more: Any) -> dict[str, Any]:
    """A point with prompts of 10 tokens, whose energy is known to +- `share` of it."""
    facts = {"model": "o/m", "axis": "max_batch_size", "max_batch_size": batch, "setting": f"b{batch}-o{tokens}"}
    facts |= {"input_tokens": 10, "output_tokens": tokens, "responses_per_s": 1.0, "mean_prompt_tokens": 10.0}
    return point_row(**facts | interval("energy_per_response_j", joules, 1 - share, 1 + share) | more)


def found(*rows: dict[str, Any], first: tuple[dict[str, Any], ...] = (), claim: Claim = CLAIM) -> list[dict[str, Any]]:
    tables = {"s": table_of(STUDY, *rows)} | ({"first": table_of(STUDY, *first)} if first else {})
    return claims(tables, [claim]).to_dicts()


def test_fiellers_interval() -> None:
    # b/a = 1/2 with a = 10 +- 1 and b = 5 +- 1: 99 r^2 - 100 r + 24 = 0, whose roots are (50 -+ sqrt(124)) / 99.
    assert fieller(10.0, 1.0, 5.0, 1.0) == pytest.approx(((50 - 124**0.5) / 99, (50 + 124**0.5) / 99))
    assert fieller(10.0, 0.0, 5.0, 1.0) == pytest.approx((0.4, 0.6))  # a is known: b's interval over it
    assert fieller(1.0, 1.0, 5.0, 1.0) is None
    low, high = fieller(100.0, 3.0, 50.0, 2.0) or (0, 0)
    # Where the errors are small, the delta method's: r sqrt((h_a / a)^2 + (h_b / b)^2) = 0.5 x 0.05.
    assert (high - low) / 2 == pytest.approx(0.025, rel=0.002)


def test_a_claim_is_what_rounds_to_its_digits() -> None:
    assert CLAIM.range == pytest.approx((0.535, 0.545))
    assert Claim(says="", source="", ratio="1.9", studies=(), varies="", a=(), b=()).range == pytest.approx(
        (1.85, 1.95)
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.54, 0.6, "held"),
        (0.2, 0.9, "held"),
        (0.545, 0.56, "held"),
        (0.55, 0.6, "not held"),
        (0.4, 0.53, "not held"),
        (0.9, 1.1, "not held"),
        (0.5, 1.1, "not told apart"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert judged((0.535, 0.545), low, high) == verdict


def test_the_ratio_in_each_metric() -> None:
    # Of 20 and 11 J, 4 and 3 J are the prefill's; 10 further tokens take 16 and 8 J.
    (row,) = found(point(1, 20.0), point(2, 11.0), first=(point(1, 4.0, 1), point(2, 3.0, 1)))
    assert row["input_token_ratio"] == pytest.approx(0.55)
    assert row["prompt_token_ratio"] == pytest.approx(0.75)
    assert row["decoded_token_ratio"] == pytest.approx(0.5)
    # h = 1.2 and 0.66 J: (400 - 1.44) r^2 - 440 r + (121 - 0.4356) = 0.
    root = (220**2 - 398.56 * 120.5644) ** 0.5
    assert [row["input_token_ratio_low"], row["input_token_ratio_high"]] == pytest.approx(
        [(220 - root) / 398.56, (220 + root) / 398.56]
    )
    # Half-widths of the differences: sqrt(1.2^2 + 0.24^2) of 16 J, sqrt(0.66^2 + 0.18^2) of 8 J.
    a, b = (1.2**2 + 0.24**2), (0.66**2 + 0.18**2)
    root = (128**2 - (256 - a) * (64 - b)) ** 0.5
    assert row["decoded_token_ratio_high"] == pytest.approx((128 + root) / (256 - a))
    assert (row["verdict"], row["reason"], row["a"], row["b"]) == ("held", None, "b1-o11", "b2-o11")
    assert (row["claim"], row["source"], row["study"], row["claimed_ratio"]) == ("half", "them", "s", 0.54)


def test_longer_prompts_lower_hpmls_metric_by_arithmetic_alone() -> None:
    """Prompts four times as long that take four times the energy to read, and answers that take the same."""
    claim = Claim(says="", source="", ratio="0.30", studies=("s", "first"), varies="input_tokens", a=(10,), b=(40,))
    long = {"input_tokens": 40, "mean_prompt_tokens": 40.0, "setting": "long"}
    rows = point(1, 21.0), point(1, 24.0, **long)
    (row,) = found(*rows, first=(point(1, 1.0, 1), point(1, 4.0, 1, **long)), claim=claim)
    assert row["input_token_ratio"] == pytest.approx(24 / 40 / (21 / 10))
    assert row["prompt_token_ratio"] == row["decoded_token_ratio"] == pytest.approx(1.0)


def test_variants_are_compared_with_the_plain_run_the_first_that_is_there() -> None:
    claim = Claim(
        says="", source="", ratio="1.9", studies=("s",), varies="variant", a=(None, "fp16"), b=("bnb-int4", "onnx-int4")
    )
    runs = [(None, 10.0), ("fp16", 1.0), ("onnx-int4", 19.0), ("onnx-int8", 14.0)]
    rows = [point(4, joules, tokens, variant=name) for name, joules in runs for tokens in (1, 11)]
    (row,) = found(*rows, claim=claim)
    assert (row["a"], row["b"]) == ("b4-o11", "b4-o11 +onnx-int4")
    assert (row["input_token_ratio"], row["verdict"]) == (pytest.approx(1.9), "held")


def test_one_row_for_each_model_and_repeats_are_pooled() -> None:
    of_other = [point(1, 20.0, model="o/n"), point(2, 20.0, model="o/n")]
    repeats = [point(2, joules, repeat=repeat) for repeat, joules in ((1, 10.0), (2, 12.0))]
    one, other = found(point(1, 20.0), *repeats, *of_other)
    assert one["input_token_ratio"] == pytest.approx(0.55)
    assert (other["model"], other["verdict"]) == ("o/n", "not held")


@pytest.mark.parametrize(
    ("b", "reason"),
    [
        ({"verdict": "invalid: stolen time (20 %, at most 10 %)"}, "b2-o11: invalid: stolen time (20 %, at most 10 %)"),
        ({"status": "failed", "verdict": "invalid: failed: x"}, "b2-o11: invalid: failed: x"),
        ({"energy_per_response_low_j": None}, "the ratio has no bounded interval; no point of one output token"),
        ({"energy_per_response_j": None}, "no energy per input token; no point of one output token"),
        ({"max_batch_size": 4}, "s has no two points that differ in max_batch_size alone: 1 and 2"),
        ({"input_tokens": 20}, "s has no two points that differ in max_batch_size alone: 1 and 2"),
    ],
)
def test_why_there_is_no_verdict(b: dict[str, Any], reason: str) -> None:
    (row,) = found(point(1, 20.0), point(2, 11.0, **b))
    assert row["verdict"] is None
    assert row["reason"].startswith(reason)


def test_a_flagged_point_is_compared_and_said() -> None:
    (row,) = found(point(1, 20.0), point(2, 11.0, verdict="flagged: short window (6 s, at least 10 s)"))
    assert row["verdict"] == "held"
    assert row["reason"].startswith("b2-o11: flagged: short window (6 s, at least 10 s)")


def test_without_any_study_each_claim_says_so() -> None:
    table = claims({})
    assert table.schema == TABLE
    assert table["claim"].to_list() == [claim.says for claim in CLAIMS]
    assert table.filter(pl.col("verdict").is_not_null()).is_empty()
    assert set(STUDIES) >= {"hpml-batch-size", "hpml-precision"}
    assert table["reason"][0] == "the hardware has no study hpml-batch-size"


def test_the_claims_are_those_of_their_source() -> None:
    """The ratio of each claim is that of the two numbers that its source names, in its digits."""
    for claim in CLAIMS:
        a, b = claim.source.rsplit("Energy_per_InputToken ", 1)[1].removesuffix(" J").split(" and ")
        low, high = claim.range
        assert low <= float(b) / float(a) <= high, claim.says
