"""Labels beside points, where room is short; and axes whose pixels are known."""

import math

import polars as pl
import pytest

from joulebench.figures.axes import Axis, around, intervals
from joulebench.figures.placement import Box, Mark, Plot, lead, place

WALLS = [Box(0, 0, 100, 40), Box(0, 60, 100, 100), Box(0, 40, 40, 60), Box(60, 40, 100, 60)]
"""A room of 20 by 20 pixels around (50, 50)."""


def test_a_label_without_room_beside_its_point_stands_at_the_end_of_a_line() -> None:
    near, far = Mark(50, 50, 6, 4), Mark(50, 54, 6, 4)
    blocked = [Box(50 + dx - 5, 50 + dy - 5, 50 + dx + 5, 50 + dy + 5) for dx in (-11, 0, 11) for dy in (-11, 0, 11)]
    blocked = [box for box in blocked if not box.meets([Box.around(50, 50, 4, 4)])]
    assert place([near], Plot(100, 100, 3, fixed=blocked)) == [None]
    [centre] = place([near], Plot(100, 100, 3, fixed=blocked[:3]), leads=(12.0,))
    assert centre is not None
    end = lead(near, centre)
    label = Box.around(*centre, 3, 2)
    assert label.left - 1.5 <= end[0] <= label.right + 1.5
    assert label.top - 1.5 <= end[1] <= label.bottom + 1.5
    # A point on top of another does not keep its line from leaving.
    assert None not in place([near, far], Plot(100, 100, 3), leads=(12.0,))


def test_a_line_covers_nothing_that_is_fixed() -> None:
    mark = Mark(50, 50, 30, 8)
    assert place([mark], Plot(100, 100, 3, fixed=WALLS)) == [None]
    assert place([mark], Plot(200, 200, 3, fixed=WALLS), leads=(60.0,)) == [None]
    assert place([mark], Plot(200, 200, 3, fixed=WALLS[:3]), leads=(60.0,)) != [None]


def test_a_label_keeps_clear_of_the_points_of_others() -> None:
    marks = [Mark(50, 50, 20, 8), Mark(50, 34, 20, 8)]
    for clear in (0.0, 4.0):
        centres = place(marks, Plot(100, 100, 3), clear=clear)
        for mark, centre in zip(reversed(marks), centres, strict=True):
            assert centre is not None
            assert not Box.around(*centre, 10, 4).meets([Box.around(mark.x, mark.y, 3 + clear, 3 + clear)])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1.0, 20.0, [1, 2, 5, 10, 20]),
        (2.4, 10.2, [3, 5, 7, 10]),
        (1.1, 1.9, [1.2, 1.4, 1.6, 1.8]),
    ],
)
def test_a_logarithmic_axis_has_three_round_ticks_or_more(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high, 100, log=True).ticks == pytest.approx(ticks)


def test_an_axis_has_room_for_intervals_that_stretch_it_little() -> None:
    rows = pl.DataFrame({"y": [10.0, 40.0], "low": [9.0, -100.0], "high": [11.0, 1000.0]})
    axis = around(rows, "y", 100, log=True)
    # From half the least value to twice the greatest, and 7 % of that span around it.
    room = (80 / 5) ** 0.07
    assert [axis.low, axis.high] == pytest.approx([5 / room, 80 * room])
    assert intervals(rows, axis)["low"].to_list() == [9.0, pytest.approx(axis.low)]
    assert math.isclose(axis.px(axis.low), 0.0, abs_tol=1e-9)
    nothing = rows.with_columns(low=pl.lit(None, pl.Float64))
    assert intervals(nothing, axis).is_empty()
    assert not around(rows.head(1), "y", 100).log
