"""The queue window against the stationary one."""

from pathlib import Path
from typing import Any

import pytest
from building import interval, point_row, table_of
from drawn import texts

from joulebench import figures
from joulebench.tables.schemas import POINTS

NAME = "queue_against_stationary"


def point(**changes: Any) -> dict[str, Any]:
    """0.5 J a token in the stationary window, known to +-10 %, and 0.45 J in the queue window."""
    known = {
        "model": "a/one",
        "measured_on": "2026-11-21",
        "energy_per_response_j": 100.0,
        "queue_energy_per_output_token_j": 0.45,
    }
    ends = interval("plain_energy_per_output_token_j", 0.5)
    return point_row(**known | ends | changes)


def drawn(*points: dict[str, Any]) -> Any:
    return figures.draw(NAME, {"points": table_of(POINTS, *points)}, {})


def rows(chart: Any, column: str) -> list[dict[str, Any]]:
    return [row for data in chart.to_dict()["datasets"].values() for row in data if column in row]


def test_the_ratio_and_the_interval_of_the_stationary_figure() -> None:
    chart = drawn(point(), point(max_batch_size=16, queue_energy_per_output_token_j=0.51))
    lines = [row for row in rows(chart, "queue") if row["axis_value"] == 8]
    assert {round(row["ratio"], 9) for row in lines} == {0.9}
    # 0.45 over 0.55 and over 0.45.
    assert {round(row["low"], 9) for row in lines} == {round(0.45 / 0.55, 9)}
    assert {round(row["high"], 9) for row in lines} == {1.0}
    assert {round(row["ratio"], 9) for row in rows(chart, "queue") if row["axis_value"] == 16} == {1.02}


def test_repeats_are_pooled_and_a_flagged_one_is_left_out_where_another_is_valid(tmp_path: Path) -> None:
    flagged = point(repeat=3, verdict="flagged: drift", queue_energy_per_output_token_j=5.0)
    chart = drawn(point(), point(repeat=2, queue_energy_per_output_token_j=0.55), flagged)
    assert {round(row["ratio"], 9) for row in rows(chart, "queue")} == {1.0}
    assert any(text.startswith("Means of 2 repeats") for text in texts(chart, tmp_path))


def test_one_is_emphasised_and_lies_in_the_panel_wherever_the_ratios_are(tmp_path: Path) -> None:
    chart = drawn(point(queue_energy_per_output_token_j=0.3))
    assert "the same" in texts(chart, tmp_path)
    domains = [layer["encoding"]["y"]["scale"]["domain"] for layer in chart.to_dict()["concat"][0]["layer"][:1]]
    assert all(low < 0.6 and high > 1.0 for low, high in domains)


def test_a_wide_interval_is_cut_and_stretches_the_axis_by_a_tenth_at_most() -> None:
    chart = drawn(point(plain_energy_per_output_token_low_j=0.01, plain_energy_per_output_token_high_j=0.99))
    low, high = chart.to_dict()["concat"][0]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert 0.7 < low < 0.8
    assert 1.1 < high < 1.2
    ends = [(row["low"], row["high"]) for row in rows(chart, "queue")]
    assert set(ends) == {(low, high)}


def test_an_interval_that_holds_nothing_reaches_the_top() -> None:
    chart = drawn(point(plain_energy_per_output_token_low_j=-0.1))
    low, high = chart.to_dict()["concat"][0]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert {row["high"] for row in rows(chart, "queue")} == {high}
    assert {low < row["low"] < row["ratio"] for row in rows(chart, "queue")} == {True}


def test_points_of_one_batch_size_stand_beside_it(tmp_path: Path) -> None:
    chart = drawn(*(point(model=f"a/{name}", max_batch_size=size) for name in "xyz" for size in (8, 64)))
    places = {row["run"]: row["place"] for row in rows(chart, "queue") if row["axis_value"] == 8}
    assert places["a/x"] < places["a/y"] < places["a/z"]
    assert places["a/y"] == pytest.approx(8)
    assert {"8", "64", "a/x", "a/y", "a/z"} <= set(texts(chart, tmp_path))


def test_what_is_overloaded_or_missing_is_said(tmp_path: Path) -> None:
    overloaded = point(max_batch_size=16, status="overloaded")
    short = point(max_batch_size=32, queue_energy_per_output_token_j=None)
    gone = point(max_batch_size=64, status="out_of_memory", verdict="invalid: out_of_memory")
    nothing = {"energy_per_output_token_j": None, "energy_per_response_j": None}
    found = texts(drawn(point(), overloaded, short, gone | nothing), tmp_path)
    assert "Hollow points: overloaded (memory, not the maximum, limits the batch)." in found
    assert "not drawn, without both windows' energy: 1 out_of_memory" in found
    assert "not drawn: 1 without a queue window, as after a start in equilibrium" in found
    found = texts(drawn(short), tmp_path)
    assert "No point of llm-chat has a queue window: after a start in equilibrium there is none." in found


def test_diffusion_has_no_queue_window(tmp_path: Path) -> None:
    image = point(task="text-to-image", energy_per_output_token_j=None, queue_energy_per_output_token_j=None)
    assert "text-to-image" not in texts(drawn(image, point()), tmp_path)
    found = texts(drawn(image), tmp_path)
    assert any(text.startswith("No text task is among the results") for text in found)
