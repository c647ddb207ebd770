"""The two figures of the thermal design power: what they divide, what they leave out, and where their dots lie."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import interval, point_row, table_of
from drawn import texts

from joulebench import figures
from joulebench.figures import tdp
from joulebench.figures.power_share_of_tdp import DIAMETER_PX, MOST_PX, _swarm
from joulebench.tables.schemas import POINTS

BOTH = ("power_share_of_tdp", "measured_against_tdp")


def point(power_w: float | None, batch: int = 8, **changes: Any) -> dict[str, Any]:
    """A point of a 700 W card: 100 J a response, and an interval of the power from 0.8 to 1.25 times it."""
    known = {"device": "NVIDIA H100 80GB HBM3", "gpus": 1, "tdp_w": 700.0, "max_batch_size": batch}
    power = interval("power_w", power_w, 0.8, 1.25)
    return point_row(**known | {"energy_per_response_j": 100.0} | power | changes)


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return table_of(POINTS, *rows)


def texts_of(name: str, points: pl.DataFrame, folder: Path) -> list[str]:
    return texts(figures.draw(name, {"points": points}, {}), folder)


def dots(name: str, points: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    drawn = figures.draw(name, {"points": points}, {}).to_dict()["datasets"]
    return [row for rows in drawn.values() for row in rows if column in row and "axis_value" in row]


def shares(*rows: dict[str, Any]) -> list[float | None]:
    return tdp.shares(table(*rows))["share"].to_list()


def test_the_share_is_the_power_over_the_tdp_of_all_gpus() -> None:
    assert shares(point(350.0), point(630.0, 16)) == [0.5, 0.9]
    assert shares(point(700.0, gpus=2)) == [0.5]
    assert shares(point(35.0, gpus=None, tdp_w=70.0, energy_source="rapl")) == [0.5]


def test_repeats_are_one_dot_of_their_mean() -> None:
    rows = [point(watts, repeat=repeat) for repeat, watts in enumerate((280.0, 350.0, 420.0), 1)]
    assert shares(*rows) == [pytest.approx(0.5)]


@pytest.mark.slow
def test_what_has_no_share_of_the_tdp_is_null() -> None:
    assert shares(point(350.0, energy_source="codecarbon_estimate")) == [None]
    assert shares(point(350.0, energy_source="codecarbon_estimate+nvml_counter")) == [None]
    assert shares(point(350.0, tdp_w=None)) == [None]
    assert shares(point(None, energy_per_response_j=None, energy_source=None)) == [None]
    assert shares(point(350.0, verdict="invalid: clock step")) == [None]
    assert shares(point(350.0, verdict="flagged: drift")) == [0.5]


@pytest.mark.slow
def test_at_half_the_tdp_an_estimate_is_twice_the_measured_energy(tmp_path: Path) -> None:
    points = table(point(350.0, 8), point(560.0, 64))
    assert {"2.00 at B = 8, 1.25 at B = 64", "a/b", "Energy at the TDP, times the measured energy"} <= set(
        texts_of("measured_against_tdp", points, tmp_path)
    )
    found = [(row["axis_value"], row["times"]) for row in dots("measured_against_tdp", points, "times")]
    assert found == [(8, 2.0), (64, 1.25)]
    # 0.8 of the power is 1.25 times the ratio, and the other way round.
    drawn = figures.draw("measured_against_tdp", {"points": points}, {}).to_dict()["datasets"]
    [intervals] = [rows for rows in drawn.values() if rows and "low" in rows[0]]
    assert [(row["low"], row["high"]) for row in intervals] == [
        (pytest.approx(1.6), pytest.approx(2.5)),
        (pytest.approx(1.0), pytest.approx(1.5625)),
    ]


@pytest.mark.slow
def test_an_interval_of_power_that_reaches_zero_is_not_drawn_as_endless(tmp_path: Path) -> None:
    points = table(point(350.0, power_low_w=-10.0), point(560.0, 64, power_low_w=1.0))
    drawn = figures.draw("measured_against_tdp", {"points": points}, {}).to_dict()["datasets"]
    [intervals] = [rows for rows in drawn.values() if rows and "low" in rows[0]]
    assert len(intervals) == 1
    assert intervals[0]["high"] < 5
    assert "2.00 at B = 8, 1.25 at B = 64" in texts_of("measured_against_tdp", points, tmp_path)


def test_the_strips_name_the_lowest_and_the_highest_and_the_median(tmp_path: Path) -> None:
    points = table(point(350.0), point(560.0, 64), point(420.0, 8, model="c/d"), point(693.0, 64, model="c/d"))
    found = texts_of("power_share_of_tdp", points, tmp_path)
    # Of 0.5, 0.6, 0.8 and 0.99 the median is 0.7.
    assert "median 70 % · lowest 50 %: a/b, B = 8 · highest 99 %: c/d, B = 64" in found
    assert {"TDP: thermal design power, 700 W a device.", "Power / TDP", "100 %"} <= set(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_estimates_are_left_out_and_owned_up_to(name: str, tmp_path: Path) -> None:
    estimate = point(350.0, task="llm-code", model="e/f", energy_source="codecarbon_estimate")
    alone = texts_of(name, table(estimate), tmp_path)
    words = "The energy of llm-code is CodeCarbon's estimate, which is made of the TDP itself."
    assert words in alone
    assert not any("TDP: thermal" in text for text in alone)
    beside = texts_of(name, table(point(350.0), estimate), tmp_path)
    assert words in beside
    assert (
        "1 point not drawn: CodeCarbon's estimate is the TDP times the load, so its share of the TDP is no finding."
        in beside
    )
    assert "Maximum batch size" in beside


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_without_a_tdp_the_figures_say_so_and_other_points_are_counted(name: str, tmp_path: Path) -> None:
    found = texts_of(name, table(point(350.0, tdp_w=None), point(350.0, task="vlm-chat")), tmp_path)
    assert "No TDP is known of what served llm-chat." in found
    gone = point(None, 16, status="out_of_memory", energy_per_response_j=None, energy_source=None, gpus=None)
    assert any("not drawn: 1 out_of_memory" in text for text in texts_of(name, table(point(350.0), gone), tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_one_legend_for_all_tasks_and_one_title_of_the_axis(name: str, tmp_path: Path) -> None:
    tasks = ("llm-chat", "llm-code", "text-to-image")
    points = table(*(point(350.0 + batch, batch, task=task) for task in tasks for batch in (1, 2, 4)))
    found = texts_of(name, points, tmp_path)
    assert found.count("Maximum batch size") == 1
    assert sum(text in ("Power / TDP", "Energy at the TDP, times the measured energy") for text in found) == 1


def test_batch_sizes_are_darker_the_larger_and_even_in_their_logarithm() -> None:
    rows = tdp.shares(table(*(point(350.0, batch) for batch in (1, 2, 4, 8, 16))))
    colors = tdp.value_color(rows, legend=True).to_dict()["scale"]
    assert colors["domain"] == [1, 2, 4, 8, 16]
    channels = [[int(color[start : start + 2], 16) for start in (1, 3, 5)] for color in colors["range"]]
    brightness = [0.299 * red + 0.587 * green + 0.114 * blue for red, green, blue in channels]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 5
    assert colors["range"][2] == "#0072b2"
    assert len(tdp.value_color(rows.head(1), legend=True).to_dict()["scale"]["range"]) == 1


def test_dots_of_a_strip_lie_apart_inside_it_while_there_is_room() -> None:
    xs = [100.0, 101.0, 102.0, 103.0, 109.0, 300.0]
    height, ys = _swarm(xs)
    assert all(DIAMETER_PX / 2 <= y <= height - DIAMETER_PX / 2 for y in ys)
    pairs = [(i, k) for i in range(len(xs)) for k in range(i)]
    assert all(max(abs(xs[i] - xs[k]), abs(ys[i] - ys[k])) >= DIAMETER_PX - 1e-9 for i, k in pairs)
    assert ys[5] == height / 2
    crowded, many = _swarm([200.0] * 100)
    assert crowded == MOST_PX
    assert all(DIAMETER_PX / 2 - 1e-9 <= y <= crowded - DIAMETER_PX / 2 + 1e-9 for y in many)
