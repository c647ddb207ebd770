"""Intervals of ratios over dependent blocks."""

from math import cos, inf, isnan, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from joulebench.analysis.intervals import adjusted, ratio

T1, T2, T3 = 12.706205, 4.302653, 3.182446  # t(0.975) of 1, 2 and 3 degrees of freedom, from a table
T2_90 = 2.919986  # t(0.95)
joules = st.floats(1.0, 1000.0)


def test_three_blocks_are_as_if_independent() -> None:
    # 12 J for 6 tokens; what is over 2 J a token: -1, 0, 1. Three blocks have no more than two degrees of freedom,
    # which is all of the sample variance: t sqrt(3 / 2 (1 + 0 + 1)) / 6.
    found = ratio([3, 4, 5], [2, 2, 2])
    assert found.value == 2.0
    assert found.half_width == pytest.approx(T2 * sqrt(3) / 6, rel=1e-6)
    assert ratio([3, 4, 5], [2, 2, 2], 0.9).half_width == pytest.approx(T2_90 * sqrt(3) / 6, rel=1e-6)


def test_twenty_blocks_count_in_three_waves() -> None:
    # 0.4 x 20^(2/3) = 2.9. A block of 1 J over the mean of 100, the tenth, and one as much under it, the eleventh.
    energy = np.full(20, 100.0)
    energy[9], energy[10] = 101.0, 99.0
    waves = [sqrt(2) * (cos(pi * j * 9.5 / 20) - cos(pi * j * 10.5 / 20)) for j in (1, 2, 3)]
    half = T3 * sqrt(sum(wave**2 for wave in waves) / 3) / 20
    found = ratio(energy, np.ones(20))
    assert found.value == 100.0
    assert found.half_width == pytest.approx(half, rel=1e-6)


def test_what_lasts_widens_and_what_alternates_does_not() -> None:
    lasting, alternating = np.repeat([90.0, 110.0], 10), np.tile([90.0, 110.0], 10)
    wide, narrow = (ratio(energy, np.ones(20)).half_width for energy in (lasting, alternating))
    independent = 2.093024 * 10 / sqrt(19)  # t of 19 degrees of freedom
    assert narrow < independent / 2
    assert wide > 3 * independent


@pytest.mark.parametrize(
    ("above", "below"), [([1, 2, float("nan")], [1, 1, 1]), ([1, 2, 3], [1, 1, float("inf")]), ([1, 2, 3], [0, 0, 0])]
)
def test_what_is_not_known_is_nan(above: list[float], below: list[float]) -> None:
    assert isnan(ratio(above, below).value)
    assert isnan(ratio(above, below).half_width)


def test_two_blocks_have_a_value_and_no_interval() -> None:
    found = ratio([1, 3], [1, 1])
    assert found.value == 2.0
    assert isnan(found.half_width)
    assert isnan(ratio([], []).value)


@given(st.lists(joules, min_size=3, max_size=60), st.floats(0.01, 100.0))
def test_an_interval_does_not_know_units_or_the_arrow_of_time(energy: list[float], unit: float) -> None:
    found, ones = ratio(energy, np.ones(len(energy))), np.ones(len(energy))
    in_unit = ratio(unit * np.array(energy), ones)
    assert in_unit.value == pytest.approx(unit * found.value)
    assert in_unit.half_width == pytest.approx(unit * found.half_width, abs=1e-9 * unit * max(energy))
    assert ratio(energy[::-1], ones).half_width == pytest.approx(found.half_width, abs=1e-9 * max(energy))


def test_energy_of_two_kinds_of_tokens_is_told_apart() -> None:
    # 0.05 J an output token, 0.02 J a prompt token, nothing else. At one prompt token to four outputs: 0.055 J.
    outputs, prompts = np.array([100, 110, 90, 100, 105, 95, 100, 100.0]), np.array([9, 50, 31, 14, 27, 44, 8, 61.0])
    found = adjusted(0.05 * outputs + 0.02 * prompts, outputs, prompts, 0.25)
    expected = {"per_output_token": 0.055, "prompt_token": 0.02, "output_token": 0.05}
    for name, value in expected.items():
        assert getattr(found, name).value == pytest.approx(value)
        assert getattr(found, name).half_width == pytest.approx(0.0, abs=1e-9)


def test_adjusted_by_hand() -> None:
    # 10 output tokens a block, 4 prompt tokens on average: the excess is -1, 1, -1 ... The energies 11, 13, 9, 15 ...
    # average 12: slope (1 + 1 + 3 + 3) / 4 = 2 J a prompt token, and at 0.5 prompts to an output 1.2 + 2 x 0.1 = 1.4 J.
    outputs, prompts, energy = np.full(8, 10.0), np.tile([3.0, 5.0], 4), np.array([11, 13, 9, 15, 11, 13, 9, 15.0])
    found = adjusted(energy, outputs, prompts, 0.5)
    assert found.prompt_token.value == pytest.approx(2.0)
    assert found.per_output_token.value == pytest.approx(1.4)
    assert found.output_token.value == pytest.approx(1.2 - 2 * 0.4)
    # At the mix that was seen only the rest counts: 1, -1, -1, 1 ..., in two waves; the slope takes 1 freedom of 7.
    rest = [1, -1, -1, 1, 1, -1, -1, 1]
    waves = [sqrt(2) * sum(cos(pi * j * (i + 0.5) / 8) * e for i, e in enumerate(rest)) for j in (1, 2)]
    half = T2 * sqrt(7 / 6 * (waves[0] ** 2 + waves[1] ** 2) / 2) / 80
    assert adjusted(energy, outputs, prompts, 0.4).per_output_token.half_width == pytest.approx(half, abs=1e-9)


def test_few_turnovers_leave_few_waves() -> None:
    # As above, but what is over goes from -3 J to 3, which the first wave sees and the second does not.
    outputs, prompts, rest = np.full(8, 10.0), np.tile([3.0, 5.0], 4), [-3, -3, -1, -1, 1, 1, 3, 3]
    energy = 12 + np.tile([-2.0, 2.0], 4) + rest
    wave = sqrt(2) * sum(cos(pi * (i + 0.5) / 8) * e for i, e in enumerate(rest))
    one, two = T1 * sqrt(7 / 6 * wave**2) / 80, T2 * sqrt(7 / 6 * wave**2 / 2) / 80
    for turnovers, half in ((0.0, one), (0.99, one), (1.0, two), (50.0, two), (inf, two)):
        found = adjusted(energy, outputs, prompts, 0.4, turnovers=turnovers)
        assert found.per_output_token.value == pytest.approx(1.2)
        assert found.per_output_token.half_width == pytest.approx(half, rel=1e-6)


def test_a_first_wave_that_is_still_does_not_narrow() -> None:
    outputs, prompts = np.full(8, 10.0), np.tile([3.0, 5.0], 4)
    energy = 12 + np.tile([-2.0, 2.0], 4) + [2, 2, -2, -2, -2, -2, 2, 2]  # there and back: the second wave alone
    few, many = (adjusted(energy, outputs, prompts, 0.4, turnovers=turns) for turns in (0.5, inf))
    assert few.per_output_token == many.per_output_token
    assert many.per_output_token.half_width > 0.01


def test_the_mix_is_no_longer_part_of_the_interval() -> None:
    rng = np.random.default_rng(0)
    outputs, prompts = rng.normal(1000, 10, 20), rng.normal(350, 100, 20)
    energy = 0.05 * outputs + 0.02 * prompts + rng.normal(0, 0.1, 20)
    found = adjusted(energy, outputs, prompts, 0.35)
    assert found.per_output_token.half_width < ratio(energy, outputs).half_width / 3
    assert found.per_output_token.value == pytest.approx(0.05 + 0.02 * 0.35, abs=2 * found.per_output_token.half_width)


@pytest.mark.parametrize("blocks", [7, 20])
def test_nothing_is_adjusted_without_blocks_or_a_mix_that_moves(blocks: int) -> None:
    outputs = np.arange(100.0, 100.0 + blocks)
    prompts = 0.3 * outputs if blocks == 20 else np.arange(blocks) % 3
    for found in vars(adjusted(outputs, outputs, prompts, 0.3)).values():
        assert isnan(found.value)
        assert isnan(found.half_width)
