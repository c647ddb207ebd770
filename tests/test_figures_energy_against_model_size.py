"""Energy against model size: what is set against what, names or numbers, and the line of proportional energy."""

import json
import math
from typing import Any

import pytest
from building import best_row, interval, table_of

from joulebench.figures import energy_against_model_size
from joulebench.tables.schemas import LEADERBOARD


def best(model: str, billions: float | None, energy_j: float | None, **changes: object) -> dict[str, object]:
    """A best point with 200 output tokens."""
    known = {
        "model": model,
        "parameters": None if billions is None else round(billions * 1e9),
        "max_batch_size": 64,
        "energy_per_response_j": energy_j,
    }
    each = interval("energy_per_output_token_j", energy_j and energy_j / 200, 0.8, 1.2)
    return best_row(**known | each | changes)


def drawn(*rows: dict[str, object]) -> dict[str, Any]:
    chart: dict[str, Any] = energy_against_model_size.draw(table_of(LEADERBOARD, *rows)).to_dict()
    return chart


def layers(panel: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (panel["vconcat"][0] if "vconcat" in panel else panel)["layer"]
    return found


def values(chart: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chart["datasets"][layer["data"]["name"]]
    return found


def points_of(chart: dict[str, Any], panel: dict[str, Any]) -> list[dict[str, Any]]:
    first = next(layer for layer in layers(panel) if layer["mark"]["type"] == "point")
    return values(chart, first)


def test_text_is_per_token_and_the_rest_per_response() -> None:
    image = best("o/i", 2.0, 300.0, task="text-to-image", energy_per_output_token_j=None)
    video = best("o/v", 3.0, 900.0, task="image-to-video", energy_per_output_token_j=None)
    chart = drawn(best("o/t", 8.0, 10.0), image, video)
    assert [panel["title"]["text"] for panel in chart["concat"]] == ["Text", "Images", "Videos"]
    found = [[(row["run"], row["x"], row["y"]) for row in points_of(chart, panel)] for panel in chart["concat"]]
    assert found == [[("o/t", 8.0, 0.05)], [("o/i", 2.0, 300.0)], [("o/v", 3.0, 900.0)]]
    titles = [
        next(layer for layer in layers(panel) if layer["mark"]["type"] == "point")["encoding"]["y"]["title"]
        for panel in chart["concat"]
    ]
    assert titles == ["Energy per output token (J)", "Energy per image (J)", "Energy per video (J)"]
    assert "10.0 J per response, B = 64" in json.dumps(chart)


def test_axes_are_logarithmic_and_span_a_factor_of_four_at_least() -> None:
    chart = drawn(best("o/a", 8.0, 10.0), best("o/b", 8.1, 10.1))
    encoding = next(layer for layer in layers(chart["concat"][0]) if layer["mark"]["type"] == "point")["encoding"]
    for axis in ("x", "y"):
        low, high = encoding[axis]["scale"]["domain"]
        assert encoding[axis]["scale"]["type"] == "log"
        assert high / low >= 4


def test_the_dashed_line_is_in_proportion_through_the_geometric_mean() -> None:
    # 0.02 J at 2 billion and 0.32 J at 8: geometric means 0.08 and 4, so 0.02 J a billion.
    chart = drawn(best("o/a", 2.0, 4.0), best("o/b", 8.0, 64.0))
    [line] = values(chart, next(layer for layer in layers(chart["concat"][0]) if layer["mark"].get("strokeDash")))
    assert line["y"] / line["x"] == pytest.approx(0.02)
    assert line["y2"] / line["x2"] == pytest.approx(0.02)
    assert "Dashed: energy in proportion" in json.dumps(chart["title"])
    for alone in (drawn(best("o/a", 2.0, 4.0)), drawn(best("o/a", 2.0, 4.0), best("o/b", 8.0, 64.0, task="llm-code"))):
        assert "Dashed" not in json.dumps(alone["title"])
        assert not any(layer["mark"].get("strokeDash") for layer in layers(alone["concat"][0]))


def test_names_stand_at_the_points_while_there_is_room_and_then_numbers_with_a_list() -> None:
    few = drawn(best("o/a", 2.0, 4.0), best("o/b", 30.0, 64.0))
    assert "vconcat" not in few["concat"][0]
    texts = [layer for layer in layers(few["concat"][0]) if layer["mark"]["type"] == "text"]
    assert [value["label"].split("\n")[0] for value in values(few, texts[-1])] == ["o/a", "o/b"]

    many = drawn(*(best(f"owner/model-{k:02}", 2.0 + 0.1 * k, 4.0 + 0.05 * k) for k in range(30)))
    plane, key = many["concat"][0]["vconcat"]
    texts = [layer for layer in plane["layer"] if layer["mark"]["type"] == "text"]
    numbers = values(many, texts[-1])
    listed = [value["label"] for value in values(many, key)]
    assert len(listed) == 30
    assert {number["label"] for number in numbers} == {
        entry.split("  ")[0] for entry in listed if not entry.startswith("(no room)")
    }
    assert len(numbers) > 20
    assert listed[0].startswith("1  owner/model-00: 4.00 J per response")
    places = [(value["x"], value["y"]) for value in values(many, key)]
    assert len(set(places)) == 30


def test_what_is_left_out_is_said_and_a_missed_target_is_hollow() -> None:
    chart = drawn(
        best("o/a", 2.0, 4.0),
        best("o/b", 8.0, 64.0, meets_latency_target=False),
        best("o/c", None, 5.0),
        best("o/d", 7.0, None, task="vlm-chat", verdict="flagged: wide interval", meets_latency_target=None),
    )
    panel = chart["concat"][0]
    assert panel["title"]["subtitle"] == [
        "not drawn, without energy or what it is set against: 1 of 3 of llm-chat",
        "No point of vlm-chat passed every check.",
    ]
    hollow = [layer for layer in layers(panel) if layer["mark"].get("color") == "white"]
    assert [row["run"] for row in values(chart, hollow[0])] == ["o/b"]
    assert "Hollow points: miss the latency target." in json.dumps(chart["title"])


def test_an_interval_below_zero_stays_on_the_logarithmic_axis() -> None:
    wide = best("o/a", 2.0, 4.0, energy_per_output_token_low_j=-1.0)
    chart = drawn(wide)
    bars = [layer for layer in layers(chart["concat"][0]) if layer["mark"]["type"] == "rule"]
    [row] = [row for layer in bars for row in values(chart, layer) if "low" in row]
    assert 0 < row["low"] < row["y"] < row["high"]
    assert math.isfinite(row["low"])
