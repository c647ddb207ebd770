"""When a point may end."""

import numpy as np
import pytest

from joulebench.analysis.intervals import adjusted, ratio
from joulebench.analysis.stopping import Stopping

RULE = Stopping(half_width=0.02, confidence=0.95, min_seconds=10.0)
ONE = np.ones(60)


def around(percent: float, blocks: int = 60) -> np.ndarray:
    return 100.0 + percent * np.random.default_rng(1).normal(size=blocks)


def test_even_blocks_are_enough_after_fifteen() -> None:
    energy = around(0.5)
    asked = [RULE.enough(ONE[:n], energy[:n], ONE[:n]) for n in range(61)]
    assert asked == [n >= 15 for n in range(61)]


def test_not_before_the_minimum_time() -> None:
    energy = around(0.5)
    patient = Stopping(0.02, 0.95, min_seconds=30.0)
    assert [patient.enough(ONE[:n], energy[:n], ONE[:n]) for n in (29, 30)] == [False, True]


@pytest.mark.parametrize(("seconds", "enough"), [(6.0, True), (4.0, False)])
def test_three_long_batches_may_be_enough(seconds: float, enough: bool) -> None:
    # 18 s and 12 s. Half-width: t = 4.3 times 0.1 / sqrt(3), 0.25 %.
    assert RULE.enough([seconds] * 3, [799.2, 800.0, 800.8], [8, 8, 8]) == enough
    assert not RULE.enough([10.0] * 2, [800.0, 800.0], [8, 8])
    # 4.3 x 4 / sqrt(3) is 10 %.
    assert not RULE.enough([10.0] * 3, [96.0, 100.0, 104.0], [1, 1, 1])


def test_uneven_blocks_are_not_enough() -> None:
    energy = around(20.0)
    assert ratio(energy, ONE).half_width > 0.02 * 100
    assert not RULE.enough(ONE, energy, ONE)


def test_one_narrow_look_is_not_enough() -> None:
    """Wide while the window was between two thirds and nine tenths of what it is, narrow now."""
    energy = around(0.5, 30)
    energy[14:18] += 30.0
    energy[2:6] += 30.0
    energy[24:28] += 30.0
    looks = [ratio(energy[:n], ONE[:n]) for n in range(20, 31)]
    wanted = 1.05 * looks[-1].half_width / looks[-1].value
    assert max(one.half_width / one.value for one in looks) > wanted
    assert not Stopping(wanted, 0.95, 10.0).enough(ONE[:30], energy, ONE[:30])


def test_the_prompts_count_where_their_ratio_is_known() -> None:
    rng = np.random.default_rng(2)
    outputs, prompts = rng.normal(1000, 5, 30), np.abs(rng.normal(350, 200, 30))
    energy = 0.05 * outputs + 0.03 * prompts + rng.normal(0, 0.1, 30)
    assert ratio(energy, outputs).half_width > 0.02 * ratio(energy, outputs).value
    found = adjusted(energy, outputs, prompts, 0.35).per_output_token
    assert found.half_width < 0.01 * found.value
    assert RULE.enough(ONE[:30], energy, outputs, prompts, 0.35)
    assert not RULE.enough(ONE[:30], energy, outputs, prompts, None)
    assert not RULE.enough(ONE[:30], energy, outputs)


def test_few_turnovers_are_not_enough() -> None:
    """Energy that has risen by 2 % in 30 s: whether it goes on so, the window shows once it holds two turnovers."""
    rng = np.random.default_rng(3)
    outputs, prompts = np.full(30, 1000.0), np.abs(rng.normal(350, 200, 30))
    energy = 0.05 * outputs * (1 + 0.02 * np.arange(30) / 30) + 0.03 * prompts + rng.normal(0, 0.1, 30)
    asked = [RULE.enough(ONE[:30], energy, outputs, prompts, 0.35, turns / 30 * ONE[:30]) for turns in (0.9, 10.0)]
    assert asked == [False, True]
    assert RULE.enough(ONE[:30], energy, outputs, prompts, 0.35)


def test_nothing_drawn_or_served_is_never_enough() -> None:
    for energy, amount in ((ONE * np.nan, ONE), (ONE, 0 * ONE), (-ONE, ONE)):
        assert not RULE.enough(ONE, energy, amount)
    assert not RULE.enough([], [], [])
