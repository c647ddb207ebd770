"""Wilson's interval: its bounds solve (p - share)^2 = z^2 p (1 - p) / n."""

import pytest

from joulebench.quality.proportion import wilson

Z = 1.959963984540054


@pytest.mark.parametrize(("right", "asked"), [(8, 10), (1, 20), (75, 164), (163, 164)])
def test_its_bounds_are_the_shares_that_are_just_not_excluded(right: int, asked: int) -> None:
    share, low, high = wilson(right, asked)
    assert share == right / asked
    for bound in (low, high):
        assert (bound - share) ** 2 == pytest.approx(Z**2 * bound * (1 - bound) / asked, rel=1e-9)
    assert 0 < low < share < high < 1


def test_at_the_ends() -> None:
    assert wilson(0, 20) == pytest.approx((0.0, 0.0, Z**2 / (20 + Z**2)))
    assert wilson(20, 20) == pytest.approx((1.0, 20 / (20 + Z**2), 1.0))
    for right, asked in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="expected 1 or more asked"):
            wilson(right, asked)
