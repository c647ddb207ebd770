"""The frontier as a figure: staircases, the lowest of all models, ties, and what is said of the rest."""

from pathlib import Path
from typing import Any

import pytest
from building import interval, point_row, table_of
from drawn import texts

from joulebench import figures
from joulebench.analysis.frontier import frontier
from joulebench.config.services import LatencyTarget
from joulebench.figures import against_latency
from joulebench.tables.schemas import POINTS

TARGETS: dict[Any, Any] = {"llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.05)}
BAND = "Grey band: the least of all models, whose answers are not equally good."
DIAMONDS = "Diamonds: beaten by the estimates alone, not told apart by the intervals."
PALE = "Pale points: beaten by another of the same model, or left out by a check."


def point(model: str, batch: int, joules: float | None, tpot: float | None, half: float = 0.0, **more: Any) -> Any:
    ends = (1 - half, 1 + half) if half and joules is not None and tpot is not None else None
    figures = {"energy_per_response_j": joules, "tpot_p50_s": tpot}
    if ends is not None:
        figures = interval("energy_per_response_j", joules, *ends) | interval("tpot_p50_s", tpot, *ends)
    return point_row(**{"model": model, "max_batch_size": batch, "responses_per_s": 1.0} | figures | more)


TWO = [
    point("big", 8, 90.0, 0.020),
    point("big", 16, 50.0, 0.030),
    point("big", 32, 60.0, 0.040),
    point("small", 8, 40.0, 0.025),
    point("small", 16, 30.0, 0.035),
    point("small", 64, 20.0, 0.060),
]


def chart(rows: list[Any]) -> Any:
    points = table_of(POINTS, *rows)
    return figures.draw("time_energy_frontier", {"points": points, "pareto": frontier(points, TARGETS)}, TARGETS)


def texts_of(rows: list[Any], folder: Path) -> list[str]:
    return texts(chart(rows), folder)


def layers(rows: list[Any]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The mark and the rows of each layer of the one panel."""
    spec = chart(rows).to_dict()
    (panel,) = spec["concat"]
    found = []
    for layer in panel["layer"]:
        data = layer.get("data", {})
        found.append((layer["mark"], spec["datasets"][data["name"]] if "name" in data else data.get("values", [])))
    return found


def lines(rows: list[Any]) -> list[tuple[float, list[dict[str, Any]]]]:
    """Stroke width and rows of each staircase layer that has rows."""
    return [(mark["strokeWidth"], data) for mark, data in layers(rows) if mark["type"] == "line" and data]


def test_steps_go_down_along_each_frontier_and_on_to_the_end_of_the_axis() -> None:
    steps = next(data for width, data in lines(TWO) if width == 1.6)
    found = {
        name: [(row["latency"], row["energy"]) for row in steps if row["model"] == name] for name in ("big", "small")
    }
    assert found["big"][:2] == [(0.02, 90.0), (0.03, 50.0)]  # at 32 it draws more, and is slower
    assert found["small"][:3] == [(0.025, 40.0), (0.035, 30.0), (0.06, 20.0)]
    ends = [steps[-1] for steps in found.values()]
    assert [energy for _, energy in ends] == [50.0, 20.0]
    assert ends[0][0] == ends[1][0] > 0.06


def test_the_band_is_the_least_of_all_models() -> None:
    band = next(data for width, data in lines(TWO) if width > 5)
    # big alone is quick enough at first; from 25 ms on small draws less than big ever does.
    assert [(row["latency"], row["energy"]) for row in band[:-1]] == [
        (0.02, 90.0),
        (0.025, 40.0),
        (0.035, 30.0),
        (0.06, 20.0),
    ]


@pytest.mark.slow
def test_what_the_words_say(tmp_path: Path) -> None:
    found = texts_of(TWO, tmp_path)
    assert {"Least energy per response at each latency", "Median time per output token (s)", "big", "small"} <= set(
        found
    )
    assert {"target 0.05 s", "latency target: median time per output token at most 0.05 s", PALE} <= set(found)
    assert any(BAND in line for line in found)
    assert not any("Diamonds" in line or "95 %" in line for line in found)
    assert sorted(text for text in found if text in ("8", "16", "32", "64")) == ["16", "16", "64", "8", "8"]


@pytest.mark.slow
def test_one_model_has_no_band(tmp_path: Path) -> None:
    alone = [row for row in TWO if row["model"] == "small"]
    assert [width for width, _ in lines(alone)] == [1.6]
    found = texts_of(alone, tmp_path)
    assert not any("Grey band" in line for line in found)
    assert PALE not in found


@pytest.mark.slow
def test_a_tie_is_a_diamond_and_no_step(tmp_path: Path) -> None:
    rows = [point("a", 8, 10.0, 0.010, 0.2), point("a", 16, 10.5, 0.011, 0.2), point("a", 32, 5.0, 0.030, 0.02)]
    (diamonds,) = [data for mark, data in layers(rows) if mark.get("shape") == "diamond"]
    assert [row["at"] for row in diamonds] == ["B = 16"]
    ((_, steps),) = lines(rows)
    assert [row["energy"] for row in steps] == [10.0, 5.0, 5.0]
    assert any(DIAMONDS in line and "Thin lines: 95 % intervals." in line for line in texts_of(rows, tmp_path))


def test_variants_of_a_model_share_its_frontier(tmp_path: Path) -> None:
    rows = [point("a", 8, 10.0, 0.010, variant="tp2"), point("a", 8, 7.0, 0.015), point("a", 16, 5.0, 0.030)]
    found = texts_of(rows, tmp_path)
    assert {"8 +tp2", "8", "16"} <= set(found)
    assert found.count("a") == 1


@pytest.mark.slow
def test_of_many_models_those_that_draw_least_are_named(tmp_path: Path) -> None:
    rows = [point(f"m{k:02}", size, (k + 1) * 100.0 / size, 0.01 + 0.001 * size) for k in range(30) for size in (4, 8)]
    found = texts_of(rows, tmp_path)
    assert [f"m{k:02}" for k in range(30) if f"m{k:02}" in found] == [f"m{k:02}" for k in range(7)]
    assert "23 other models" in found
    assert [text for text in found if text in ("4", "8")] == ["4", "8"]  # those of m00, which draws least throughout


@pytest.mark.slow
def test_models_without_a_trusted_point_are_counted(tmp_path: Path) -> None:
    found = texts_of([*TWO, point("doubtful", 8, 1.0, 0.001, verdict="flagged: drift")], tmp_path)
    assert "not drawn, without a point that passed every check: 1 of 3 models" in found
    assert "doubtful" not in found


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([point("a", 8, None, 0.01)], "No energy was measured for llm-chat"),
        ([point("a", 8, 1.0, None)], "No latency was measured for llm-chat"),
        ([point("a", 8, 1.0, 0.01, verdict="flagged: drift")], "No point of llm-chat passed every check"),
    ],
)
def test_without_a_frontier_it_says_why(rows: list[Any], words: str, tmp_path: Path) -> None:
    assert f"{words}: there is no frontier to draw." in texts_of(rows, tmp_path)


def test_an_empty_table(tmp_path: Path) -> None:
    assert "No run has been measured yet: there is nothing to draw." in texts_of([], tmp_path)


@pytest.mark.parametrize(
    ("task", "column", "title"),
    [
        ("llm-chat", "tpot_p50_s", "Median time per output token (s)"),
        ("llm-chat", "submission_ttft_p99_s", "99th percentile of time from submission to first token (s)"),
        ("llm-chat", "latency_p90_s", "90th percentile of latency (s)"),
        ("text-to-image", "latency_p50_s", "Median latency of a batch (s)"),
    ],
)
def test_the_axis_is_named_for_what_the_target_is_about(task: str, column: str, title: str) -> None:
    assert against_latency.title(task, column) == title


@pytest.mark.parametrize(
    ("limit", "seconds", "words"),
    [(0.2, 0.2, ""), (0.5, None, " (right of what is drawn)"), (0.001, None, " (left of what is drawn)")],
)
def test_a_target_out_of_reach_is_told_and_not_drawn(limit: float, seconds: float | None, words: str) -> None:
    asked = LatencyTarget(metric="tpot", quantile=50, at_most_s=limit)
    found = against_latency.target(asked, "tpot_p50_s", [0.01, 0.1])
    assert found == (seconds, [f"latency target: median time per output token at most {limit} s{words}"])
    assert against_latency.target(None, "tpot_p50_s", [0.01]) == (None, [])
