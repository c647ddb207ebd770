"""Output length and its part in energy."""

import json
from typing import Any

import pytest
from building import best_row, table_of

from joulebench.figures import output_length
from joulebench.tables.schemas import LEADERBOARD


def best(model: str, tokens: float | None, energy_j: float | None, task: str = "llm-chat") -> dict[str, object]:
    figures = {"energy_per_response_j": energy_j, "response_output_tokens": tokens}
    return best_row(task=task, model=model, max_batch_size=64, **figures)


def drawn(*rows: dict[str, object]) -> dict[str, Any]:
    chart: dict[str, Any] = output_length.draw(table_of(LEADERBOARD, *rows)).to_dict()
    return chart


def plane(chart: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = chart["concat"][0]
    return first["vconcat"][0] if "vconcat" in first else first


def bars(chart: dict[str, Any], panel: int) -> dict[str, Any]:
    """The factors of each part, from the top."""
    found = {}
    for layer in chart["concat"][panel]["layer"]:
        if layer["mark"]["type"] == "bar":
            rows = chart["datasets"][layer["data"]["name"]]
            found[rows[0]["part"]] = [(row["run"], row["factor"]) for row in rows]
    return found


def test_points_are_tokens_against_energy_and_lines_are_of_equal_energy_per_token() -> None:
    chart = drawn(best("o/a", 100, 10.0), best("o/b", 400, 20.0), best("o/c", 50, 2.0, "llm-code"))
    layers = plane(chart)["layer"]
    points = next(layer for layer in layers if layer["mark"]["type"] == "point")
    assert [(row["run"], row["x"], row["y"]) for row in chart["datasets"][points["data"]["name"]]] == [
        ("o/c", 50, 2.0),
        ("o/a", 100, 10.0),
        ("o/b", 400, 20.0),
    ]
    dashed = next(layer for layer in layers if layer["mark"].get("strokeDash"))
    turned = next(layer for layer in layers if layer["mark"].get("angle") is not None)
    rules, labels = (chart["datasets"][layer["data"]["name"]] for layer in (dashed, turned))
    assert len(rules) == len(labels) >= 3
    for rule, label in zip(rules, labels, strict=True):
        each = float(label["label"].removesuffix(" J/token"))
        assert rule["y"] / rule["x"] == pytest.approx(each)
        assert rule["y2"] / rule["x2"] == pytest.approx(each)
        assert label["y"] / label["x"] == pytest.approx(each)


def test_the_factors_are_over_the_geometric_means_and_multiply_to_that_of_energy() -> None:
    # Lengths 100 and 400, mean 200; per token 0.1 and 0.025, mean 0.05; energies 10 both.
    chart = drawn(best("o/a", 100, 10.0), best("o/b", 400, 10.0))
    assert chart["concat"][1]["title"]["text"] == "llm-chat"
    found = bars(chart, 1)
    assert found == {
        "output tokens": [("o/a", pytest.approx(0.5)), ("o/b", pytest.approx(2.0))],
        "energy per output token": [("o/a", pytest.approx(2.0)), ("o/b", pytest.approx(0.5))],
    }
    text = json.dumps(chart)
    assert "greatest factor between two models: 4.00 in output tokens, 4.00 in the energy of each" in text
    assert "100 tokens \\u00d7 0.100 J = 10.0 J" in text
    axis = chart["concat"][1]["layer"][0]["encoding"]["x"]
    low, high = axis["scale"]["domain"]
    assert low < 0.5 < 2.0 < high
    assert {0.5, 1.0, 2.0} <= set(axis["axis"]["values"])


def test_models_are_sorted_by_energy_and_a_lone_one_has_no_mean_to_differ_from() -> None:
    chart = drawn(best("o/a", 100, 30.0), best("o/b", 100, 20.0), best("o/c", 50, 2.0, "llm-code"))
    assert len(chart["concat"]) == 2
    assert [run for run, _ in bars(chart, 1)["output tokens"]] == ["o/b", "o/a"]


def test_what_is_left_out_is_said() -> None:
    chart = drawn(best("o/a", 100, 30.0), best("o/b", 100, None), best("o/c", None, None, "vlm-chat"))
    assert plane(chart)["title"]["subtitle"] == [
        "not drawn, without energy or what it is set against: 1 of 2 of llm-chat",
        "No energy was measured for vlm-chat.",
    ]
    nothing = json.dumps(drawn(best("o/b", 100, None)))
    assert "There is no energy to set against a length." in nothing
    assert "tokenizer" not in nothing
    images = json.dumps(drawn(best("o/i", None, 300.0, "text-to-image")))
    assert "No text task is among the results: only answers of tokens have a length." in images
