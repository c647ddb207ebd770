"""Two tables of points held against each other: which points both have, the change, and what is not told apart."""

from typing import Any

import pytest
from building import point_row, table_of

from joulebench.analysis.comparison import Comparison, Pair, compare
from joulebench.errors import UserError
from joulebench.tables.schemas import POINTS


def point(batch: int, joules: float | None, half_j: float = 0.0, **more: Any) -> dict[str, Any]:
    figures: dict[str, Any] = {"energy_per_response_j": joules, "energy_source": "nvml_counter", "card": "aaaaaaaa"}
    if half_j and joules is not None:
        figures |= {"energy_per_response_low_j": joules - half_j, "energy_per_response_high_j": joules + half_j}
    return point_row(**{"model": "a", "max_batch_size": batch, "responses_per_s": 1.0} | figures | more)


def of(one: list[dict[str, Any]], other: list[dict[str, Any]], spread: float = 0.0) -> Comparison:
    return compare(table_of(POINTS, *one), table_of(POINTS, *other), False, spread)


def pair(one: dict[str, Any], other: dict[str, Any], spread: float = 0.0) -> Pair:
    (found,) = of([one], [other], spread).pairs
    return found


def test_the_change_and_its_interval_by_hand() -> None:
    # 80 over 100 is a fifth less; at the ends 78 over 102 and 82 over 98.
    found = pair(point(8, 100.0, 2.0), point(8, 80.0, 2.0))
    assert found.change == pytest.approx(-20.0)
    assert found.ends == pytest.approx((100 * 78 / 102 - 100, 100 * 82 / 98 - 100))
    assert found.verdict == "less"
    assert pair(point(8, 80.0, 2.0), point(8, 100.0, 2.0)).verdict == "more"


def test_overlapping_intervals_are_not_told_apart() -> None:
    assert pair(point(8, 100.0, 2.0), point(8, 103.0, 2.0)).verdict == "not told apart"
    assert pair(point(8, 100.0, 2.0), point(8, 105.0, 2.0)).verdict == "more"


def test_different_cards_are_told_apart_beyond_their_spread_alone() -> None:
    # Half of 6.6 % at either end: 100 reaches to 103.3, 105 down to 101.5; 110 down to 106.4.
    other = {"card": "bbbbbbbb"}
    one, least = point(8, 100.0, 0.001), 0.001
    assert pair(one, point(8, 105.0, least, **other), 0.066).verdict == "not told apart"
    assert pair(one, point(8, 110.0, least, **other), 0.066).verdict == "more"
    assert pair(one, point(8, 105.0, least), 0.066).verdict == "more"


def test_nothing_is_told_of_points_without_an_interval() -> None:
    for one, other in ((0.0, 2.0), (2.0, 0.0), (0.0, 0.0)):
        found = pair(point(8, 100.0, one), point(8, 50.0, other))
        assert (found.change, found.ends, found.verdict) == (pytest.approx(-50.0), None, "no interval")


def test_only_the_same_point_is_compared_and_the_others_are_counted() -> None:
    one = [point(8, 100.0), point(16, 60.0), point(32, 50.0), point(64, 40.0, verdict="invalid: short window")]
    other = [point(16, 55.0), point(8, 90.0), point(128, 30.0), point(32, 45.0, variant="fp8"), point(64, 39.0)]
    found = of(one, other)
    assert [pair.one["max_batch_size"] for pair in found.pairs] == [8, 16]
    assert [pair.other["energy_per_response_j"] for pair in found.pairs] == [90.0, 55.0]
    assert found.alone == (1, 3)


def test_what_else_differs_is_said() -> None:
    found = pair(
        point(8, 100.0, dtype="bfloat16"), point(8, 90.0, dtype="float32", energy_source="codecarbon_estimate")
    )
    assert found.differences == (
        "dtype: bfloat16, float32",
        "energy: NVML energy counter (nvml_counter), estimated by CodeCarbon (codecarbon_estimate), not measured",
    )
    assert pair(point(8, 100.0, gpus=1), point(8, 90.0, gpus=1)).differences == ()


def test_answers_of_another_length_are_other_work() -> None:
    found = pair(point(8, 100.0, response_output_tokens=308.0), point(8, 20.0, response_output_tokens=55.0))
    assert found.verdict == "other work"
    assert found.differences == ("answers: 308, 55 tokens",)
    one, other = ((100.0, 308.0), (20.0, 307.0))
    assert pair(*(point(8, energy, 1.0, response_output_tokens=tokens) for energy, tokens in (one, other))).told_apart


def test_nothing_in_common_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^no point in common: 1 usable points with an energy in the first, 0 in the"):
        of([point(8, 100.0)], [point(8, None)])
