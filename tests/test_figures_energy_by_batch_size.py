"""Energy per output token by batch size: what stands in which cell, and on which axis."""

import json
from typing import Any

import pytest
from building import interval, point_row, table_of

from joulebench.figures import energy_by_batch_size
from joulebench.tables.schemas import POINTS

SMALL, LARGE = "owner/small", "owner/large"
TITLES = [
    "Energy per output token (J)",
    "Throughput (output tokens/s)",
    "Power (W)",
    "Inter-token latency, median (s)",
    "Inter-token latency, p99 (s)",
]


def point(model: str, batch: int, energy_j: float | None, **changes: object) -> dict[str, object]:
    """A point at 500 W, of 500 / energy_j tokens/s."""
    known = {"model": model, "max_batch_size": batch, "gpus": 1, "tdp_w": 700.0}
    figures = (
        {}
        if energy_j is None
        else {
            "energy_per_response_j": 100 * energy_j,
            **interval("energy_per_output_token_j", energy_j),
            "output_tokens_per_s": 500 / energy_j,
            "power_w": 500.0,
            "itl_p50_s": 0.01 * batch,
            "itl_p99_s": 0.04 * batch,
        }
    )
    return point_row(**known | figures | changes)


def drawn(*points: dict[str, object]) -> dict[str, Any]:
    chart: dict[str, Any] = energy_by_batch_size.draw(table_of(POINTS, *points)).to_dict()
    return chart


def cell(chart: dict[str, Any], column: int, row: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = chart["concat"][row]["hconcat"][column]
    return found


def rows_of(chart: dict[str, Any], column: int, mark: str) -> list[dict[str, Any]]:
    """The data of the layers of a cell that have a mark."""
    whole = cell(chart, column)
    data = [layer.get("data") or whole["data"] for layer in whole["layer"] if layer["mark"]["type"] == mark]
    return [row for one in data for row in chart["datasets"][one["name"]]]


def text_of(chart: dict[str, Any], column: int) -> list[str]:
    """The words inside a cell."""
    return [row.get("label") or row["text"] for row in rows_of(chart, column, "text")]


def domain(chart: dict[str, Any], column: int) -> list[float]:
    found = [
        layer["encoding"]["y"]["scale"]["domain"]
        for layer in cell(chart, column)["layer"]
        if "scale" in layer["encoding"].get("y", {})
    ]
    assert all(one == found[0] for one in found)
    low, high = found[0]
    return [low, high]


def words(chart: dict[str, Any]) -> str:
    return json.dumps([chart["title"], [row.get("title") for row in chart["concat"]]])


@pytest.mark.slow
def test_each_metric_has_its_column_and_each_model_its_line() -> None:
    chart = drawn(point(LARGE, 1, 2.0), point(LARGE, 2, 1.0), point(SMALL, 1, 0.5), point(SMALL, 2, 0.25))
    assert [cell(chart, column)["title"]["text"] for column in range(5)] == TITLES
    expected = ([2, 1, 0.5, 0.25], [250, 500, 1000, 2000], [500] * 4, [0.01, 0.02] * 2, [0.04, 0.08] * 2)
    for column, values in enumerate(expected):
        lines = rows_of(chart, column, "line")
        assert [row["run"] for row in lines] == [LARGE, LARGE, SMALL, SMALL]
        assert [row["value"] for row in lines] == values
    assert next((row["low"], row["high"]) for row in rows_of(chart, 0, "rule")) == (
        pytest.approx(1.8),
        pytest.approx(2.2),
    )


@pytest.mark.slow
def test_both_latencies_share_an_axis_and_power_begins_at_zero_with_room_for_the_tdp() -> None:
    chart = drawn(point(LARGE, 1, 2.0), point(LARGE, 2, 1.0))
    assert domain(chart, 3) == domain(chart, 4)
    low, high = domain(chart, 3)
    assert 0 < low < 0.01 < 0.08 < high
    assert domain(chart, 2)[0] == 0
    assert domain(chart, 2)[1] > 700
    assert text_of(chart, 2) == ["TDP 700 W"]
    two = drawn(point(LARGE, 1, 2.0, gpus=2))
    assert text_of(two, 2) == ["TDP 1,400 W"]
    mixed = drawn(point(LARGE, 1, 2.0), point(LARGE, 1, 2.0, gpus=2, variant="tp2"))
    assert text_of(mixed, 2) == []


@pytest.mark.slow
def test_rows_of_tasks_share_the_axis_of_batch_sizes() -> None:
    chart = drawn(point(LARGE, 8, 2.0), point(SMALL, 64, 1.0, task="llm-code"))
    assert [row["title"]["text"] for row in chart["concat"]] == ["llm-chat", "llm-code"]
    scales = {json.dumps(cell(chart, 0, row)["layer"][0]["encoding"]["x"]["scale"]) for row in (0, 1)}
    assert len(scales) == 1
    scale = json.loads(scales.pop())
    assert (scale["type"], scale["base"]) == ("log", 2)
    assert scale["domain"] == [pytest.approx(8 / 2**0.5), pytest.approx(64 * 2**0.5)]


@pytest.mark.slow
def test_overloaded_points_are_hollow_and_memory_that_ran_out_is_a_cross_at_the_top() -> None:
    chart = drawn(
        point(LARGE, 1, 2.0),
        point(LARGE, 2, 1.0, status="overloaded"),
        point(LARGE, 4, None, status="out_of_memory", verdict="invalid: out_of_memory: no"),
        point(SMALL, 4, None, status="out_of_memory", verdict="invalid: out_of_memory: no"),
    )
    marks = [layer for layer in cell(chart, 0)["layer"] if layer["mark"]["type"] == "point"]
    data = [[(row["run"], row["axis_value"]) for row in chart["datasets"][mark["data"]["name"]]] for mark in marks]
    assert data == [[(LARGE, 1), (LARGE, 2)], [(LARGE, 2)], [(LARGE, 4), (SMALL, 4)]]
    assert marks[1]["mark"]["color"] == "white"
    high = domain(chart, 0)[1]
    first, second = [row["value"] for row in chart["datasets"][marks[2]["data"]["name"]]]
    assert high > first > second > 2.0 * 0.9
    said = words(chart)
    assert "Hollow points: overloaded" in said
    assert "Crosses at the top: the batch size at which a model ran out of memory" in said
    assert "Crosses" not in words(drawn(point(LARGE, 1, 2.0)))


@pytest.mark.slow
def test_repeats_are_pooled_and_what_is_invalid_is_counted_and_not_drawn() -> None:
    chart = drawn(
        point(LARGE, 1, 2.0),
        point(LARGE, 1, 4.0, repeat=2),
        point(LARGE, 1, 90.0, repeat=3, verdict="flagged: drift"),
        point(LARGE, 2, 50.0, verdict="invalid: clock step"),
        point(LARGE, 4, None, status="failed", verdict="invalid: failed: no"),
    )
    assert [(row["axis_value"], row["value"]) for row in rows_of(chart, 0, "line")] == [(1, 3.0)]
    said = words(chart)
    assert "not drawn: 1 failed, 1 invalid" in said
    assert "Means of 2 repeats" in said


@pytest.mark.slow
def test_without_energy_the_rest_is_drawn_and_an_estimate_is_named_one() -> None:
    gone = {"energy_source": None, "energy_per_response_j": None, "energy_per_output_token_j": None, "power_w": None}
    chart = drawn(point(LARGE, 1, 2.0, **gone))
    assert "No energy was measured for llm-chat." in words(chart)
    assert text_of(chart, 0) == ["not measured"]
    assert [row["value"] for row in rows_of(chart, 1, "line")] == [250]
    estimated = drawn(point(LARGE, 1, 2.0, energy_source="codecarbon_estimate"))
    assert [cell(estimated, column)["title"]["text"] for column in (0, 1, 2)] == [
        "Energy per output token (J), estimated",
        "Throughput (output tokens/s)",
        "Power (W), estimated",
    ]


def test_without_a_text_task_a_sentence_says_so() -> None:
    chart = drawn(point(LARGE, 1, 2.0, task="text-to-image"))
    assert "No text task is among the results" in json.dumps(chart)
    assert "hconcat" not in json.dumps(chart)
