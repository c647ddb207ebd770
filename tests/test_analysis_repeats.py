"""Repeats of a point: what is pooled, and by how much the intervals widen."""

from math import erf
from typing import Any

import numpy as np
import polars as pl
import pytest
from building import point_row, table_of

from joulebench.analysis.choices import pooled
from joulebench.analysis.leaderboard import leaderboard
from joulebench.analysis.verdicts import NO_ENERGY
from joulebench.tables.schemas import LEADERBOARD, POINTS

# t(0.975) of one, two and three degrees of freedom, from a printed table.
T1, T2, T3 = 12.706, 4.303, 3.182


def point(repeat: int, joules: float | None, half: float | None, **more: Any) -> dict[str, Any]:
    ends = {"low": -1, "high": 1}
    bounds = {
        f"energy_per_response_{end}_j": joules + sign * half
        for end, sign in ends.items()
        if joules is not None and half is not None
    }
    figures = {"energy_per_response_j": joules, "responses_per_s": 1.0, **bounds}
    return point_row(**{"model": "a", "repeat": repeat} | figures | more)


def pool(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return pooled(table_of(POINTS, *rows)).to_dicts()


def test_one_repeat_keeps_what_it_has() -> None:
    row = point(1, 10.0, 0.5, tpot_p50_s=0.1, energy_per_output_token_j=0.1, reason="a reason")
    (found,) = pool(row)
    assert {name: found[name] for name in row} == row
    assert (found["repeats"], found["between_run_sd_j"]) == (1, None)
    assert found["within_run_sd_j"] == pytest.approx(0.5 / 1.96)


def test_repeats_far_apart_widen_the_interval_to_what_is_between_them() -> None:
    # 10, 11, 12: mean 11, s = 1; each interval alone would leave out its neighbours.
    (found,) = pool(*(point(k, 9.0 + k, 0.1) for k in (1, 2, 3)))
    assert found["energy_per_response_j"] == pytest.approx(11.0)
    assert found["between_run_sd_j"] == pytest.approx(1.0)
    assert found["within_run_sd_j"] == pytest.approx(0.1 / 1.96)
    assert found["energy_per_response_low_j"] == pytest.approx(11 - T2 / 3**0.5, rel=1e-4)
    assert found["energy_per_response_high_j"] == pytest.approx(11 + T2 / 3**0.5, rel=1e-4)
    assert found["repeats"] == 3


def test_two_repeats() -> None:
    # 10 and 10.2: s = 0.2 / sqrt(2), so that t s / sqrt(2) = 0.1 t.
    (found,) = pool(point(1, 10.0, 0.3), point(2, 10.2, 0.4))
    assert found["energy_per_response_high_j"] == pytest.approx(10.1 + 0.1 * T1, rel=1e-4)
    assert found["within_run_sd_j"] == pytest.approx((0.25 / 2) ** 0.5 / 1.96)  # 0.3^2 + 0.4^2 = 0.5^2


def test_repeats_that_agree_by_chance_do_not_claim_more_than_their_own_intervals_allow() -> None:
    (found,) = pool(*(point(k, 10.0, half) for k, half in enumerate((3.0, 4.0, 3.0, 4.0), start=1)))
    assert found["between_run_sd_j"] == 0.0
    assert found["energy_per_response_low_j"] == pytest.approx(10 - 12.5**0.5 / 2)


def test_without_intervals_of_their_own_the_spread_alone() -> None:
    (found,) = pool(*(point(k, float(k), None) for k in (1, 2, 3, 4)))
    s = (5 / 3) ** 0.5  # squares of -1.5, -0.5, 0.5, 1.5 sum to 5
    assert found["energy_per_response_high_j"] == pytest.approx(2.5 + T3 * s / 2, rel=1e-4)
    assert found["within_run_sd_j"] is None


def test_every_figure_with_an_interval_by_the_same_rule_and_the_rest_as_means_or_the_firsts() -> None:
    watts = {"power_w": 100.0, "power_low_w": 99.0, "power_high_w": 101.0}
    more = {"power_w": 104.0, "power_low_w": 103.0, "power_high_w": 105.0}
    late = point(2, 10.0, 0.1, tpot_p50_s=0.3, window_responses=50, measured_on="2026-01-02", **more)
    early = point(1, 10.0, 0.1, tpot_p50_s=0.1, window_responses=40, measured_on="2026-01-01", **watts)
    (found,) = pool(late, early)
    assert found["power_w"] == 102.0
    assert found["power_high_w"] == pytest.approx(102 + 2 * T1, rel=1e-4)
    assert found["tpot_p50_s"] == pytest.approx(0.2)
    assert (found["window_responses"], found["measured_on"], found["repeat"]) == (40, "2026-01-01", 1)


def test_what_cannot_be_used_is_not_pooled() -> None:
    rows = [
        point(1, None, None, status="failed", responses_per_s=None, reason="no luck"),
        point(2, 10.0, 0.1),
        point(3, 12.0, 0.1, status="overloaded", reason="too many"),
    ]
    (found,) = pool(*rows)
    assert (found["energy_per_response_j"], found["repeats"]) == (11.0, 2)
    assert found["status"] == "overloaded"
    (found,) = pool(rows[0], rows[0] | {"repeat": 2, "reason": "again"})
    assert (found["energy_per_response_j"], found["reason"], found["repeats"]) == (None, "no luck", 1)


def test_flagged_repeats_are_pooled_where_none_is_valid() -> None:
    flagged = [point(k, joules, 0.1, verdict=f"flagged: {k}") for k, joules in ((1, 10.0), (2, 12.0))]
    (found,) = pool(*flagged)
    assert (found["energy_per_response_j"], found["repeats"], found["verdict"]) == (11.0, 2, "flagged: 1")
    (found,) = pool(*flagged, point(3, 20.0, 0.1))
    assert (found["energy_per_response_j"], found["repeats"], found["verdict"]) == (20.0, 1, "valid")
    (found,) = pool(
        point(1, 30.0, 0.1, verdict="invalid: all of it"), *(row | {"repeat": row["repeat"] + 1} for row in flagged)
    )
    assert (found["energy_per_response_j"], found["repeats"]) == (11.0, 2)


def test_a_repeat_that_nothing_measured_hides_none_that_has_an_energy() -> None:
    unmeasured = point(1, None, None, verdict=NO_ENERGY)
    (found,) = pool(unmeasured, point(2, 20.0, 0.1, verdict="flagged: it"))
    assert (found["energy_per_response_j"], found["repeats"], found["verdict"]) == (20.0, 1, "flagged: it")
    (found,) = pool(unmeasured, point(2, None, None, verdict="flagged: it"))
    assert (found["responses_per_s"], found["verdict"]) == (1.0, NO_ENERGY)


def test_points_of_other_batch_sizes_variants_models_and_tasks_stay_apart() -> None:
    rows = [
        point(1, 1.0, None),
        point(1, 2.0, None, max_batch_size=16),
        point(1, 3.0, None, variant="fp8"),
        point(1, 4.0, None, model="b"),
        point(1, 5.0, None, task="llm-code"),
    ]
    again = [row | {"repeat": 2} for row in rows]
    found = pool(*rows, *again)
    assert [row["energy_per_response_j"] for row in found] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert {row["repeats"] for row in found} == {2}


def test_the_best_point_is_that_of_the_pooled_figures() -> None:
    # At 8 one lucky repeat draws 1 J, on average it is 6 J; at 16 it is 5 J.
    rows = [point(1, 1.0, None), point(2, 11.0, None), *(point(k, 5.0, None, max_batch_size=16) for k in (1, 2))]
    best = leaderboard(pl.DataFrame(rows, schema=POINTS), {})
    assert best.schema == LEADERBOARD
    assert best.select("max_batch_size", "energy_per_response_j", "repeats").rows() == [(16, 5.0, 2)]


@pytest.mark.parametrize(("repeats", "between"), [(2, 1.0), (3, 3.0), (5, 0.0)])
def test_the_pooled_interval_holds_the_truth_where_that_of_one_run_does_not(repeats: int, between: float) -> None:
    """Of 4,000 simulated points 95 % or more; the standard error of that share is 0.3 %."""
    draws, shape = np.random.default_rng(1), (4000, repeats)
    seen = 100 + draws.normal(0, between, shape) + draws.normal(0, 1, shape)
    columns = {
        "max_batch_size": np.repeat(np.arange(4000), repeats),
        "repeat": np.tile(np.arange(1, repeats + 1), 4000),
        "energy_per_response_j": seen.ravel(),
        "energy_per_response_low_j": seen.ravel() - 1.96,
        "energy_per_response_high_j": seen.ravel() + 1.96,
        "status": "measured",
        "verdict": "valid",
        "responses_per_s": 1.0,
    }
    rest = [pl.lit(None, dtype).alias(name) for name, dtype in POINTS.items() if name not in columns]
    points = pl.DataFrame(columns).with_columns(rest).select(POINTS.names())
    low, high = (pooled(points)[f"energy_per_response_{end}_j"].to_numpy() for end in ("low", "high"))
    assert 0.95 - 0.01 < ((low <= 100) & (high >= 100)).mean() < 0.995
    own = (abs(seen[:, 0] - 100) <= 1.96).mean()
    assert own == pytest.approx(erf(1.96 / (2 * (1 + between**2)) ** 0.5), abs=0.03)  # 0.83, 0.46, 0.95


def test_no_points() -> None:
    assert pool() == []
