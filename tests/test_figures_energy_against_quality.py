"""Energy against quality: who is on the frontier, which panels there are, and what is said where there is none."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import best_row, interval, table_of
from drawn import texts

from joulebench import figures
from joulebench.figures.energy_against_quality import on_frontier, stairs
from joulebench.tables.schemas import LEADERBOARD


def judged(model: str, share: float, joules: float, width: float = 0.01, **changes: Any) -> dict[str, Any]:
    """A ranked row: its share of right answers is known to `width` to either side, its energy to 1 %."""
    row = best_row(task="llm-code", model=model, rank=1, setting="b8", measured_on="2026-11-26")
    row |= {
        "quality_metric": "pass-at-1",
        "quality": share,
        "quality_low": share - width,
        "quality_high": share + width,
    }
    row |= {"energy_per_right_answer_j": joules / share if share else None}
    return row | interval("energy_per_response_j", joules, 0.99, 1.01) | changes


def published(model: str, score: float, joules: float, **changes: Any) -> dict[str, Any]:
    facts = {
        "published_score_name": "a board",
        "published_score_source": "others",
        "published_score_date": "2025-03-13",
    }
    row = best_row(model=model, rank=1, weights="synthetic", published_score=score, **facts)
    return row | interval("energy_per_response_j", joules, 0.99, 1.01) | changes


def drawn(*rows: dict[str, Any]) -> Any:
    return figures.draw("energy_against_quality", {"leaderboard": table_of(LEADERBOARD, *rows)}, {})


def said(folder: Path, *rows: dict[str, Any]) -> list[str]:
    return texts(drawn(*rows), folder)


def plane(*rows: dict[str, Any]) -> pl.DataFrame:
    table = table_of(LEADERBOARD, *rows)
    bounds = {"x": "quality", "x_low": "quality_low", "x_high": "quality_high"}
    return table.with_columns(run="model", y="energy_per_response_j", **{to: pl.col(of) for to, of in bounds.items()})


def test_the_frontier_is_who_no_other_beats_in_both() -> None:
    # b is as good as c for more energy, d is worse than e and takes more.
    known = {"a": (0.9, 50.0), "b": (0.7, 20.0), "c": (0.7, 10.0), "d": (0.3, 8.0), "e": (0.4, 2.0)}
    rows = plane(*(judged(model, share, joules) for model, (share, joules) in known.items()))
    assert on_frontier(rows) == ["a", "c", "e"]
    assert stairs(rows)["run"].to_list() == ["e", "c", "a"]


def test_who_is_beaten_by_the_estimates_alone_is_not_told_apart() -> None:
    # b is beaten by a in both, within the intervals of both; c's energy is told apart from a's, d's quality is.
    a = judged("a", 0.70, 10.0, 0.05)
    b = judged("b", 0.68, 10.1, 0.05)
    c = judged("c", 0.68, 11.0, 0.05)
    d = judged("d", 0.50, 10.1, 0.05)
    assert on_frontier(plane(a, b, c, d)) == ["a", "b"]
    assert stairs(plane(a, b, c, d))["run"].to_list() == ["a"]
    # Cards that differ: the leaderboard says that c's energy is not told apart from theirs.
    assert on_frontier(plane(a, b, c | {"tied_with": "a; b"}, d)) == ["a", "b", "c"]


def test_a_score_without_an_interval_stands_for_itself() -> None:
    none = {"quality_low": None, "quality_high": None}
    assert on_frontier(plane(judged("a", 0.7, 10.0, **none), judged("b", 0.6999, 10.0, **none))) == ["a"]


@pytest.mark.slow
def test_each_metric_and_each_published_score_of_a_task_has_its_panel(tmp_path: Path) -> None:
    found = said(
        tmp_path,
        judged("o/code", 0.75, 6.0),
        judged("o/numbers", 0.5, 10.0, task="llm-chat", quality_metric="exact-match"),
        published("o/shape", 17.0, 6.3),
        published("o/other", 3.0, 5.0, published_score_name="another board", published_score_unit="points"),
        best_row(task="llm-chat", model="o/unknown", rank=4, energy_per_response_j=1.0),
    )
    titles = [text for text in found if text.startswith("llm-")]
    assert titles == ["llm-chat: exact match", "llm-code: pass@1", "llm-chat: a board", "llm-chat: another board"]
    assert {"exact match (%)", "pass@1 (%)", "a board", "another board (points)"} <= set(found)
    assert {"75.0 %, 8.00 J per right answer", "50.0 %, 20.0 J per right answer"} <= set(found)
    assert {"17.00, 6.30 J", "3.000 points, 5.00 J"} <= set(found)
    assert "published by others: others, 2025-03-13" in found
    assert "left out, without this score: 3 of 4 models" in found
    assert "Hollow: drawn weights of the model's shape; the score is of the published weights." in found


def test_drawn_weights_are_hollow_and_published_ones_are_not() -> None:
    chart = drawn(published("o/shape", 17.0, 6.3), published("o/whole", 20.0, 9.0, weights="checkpoint")).to_dict()
    layers = chart["concat"][0]["layer"]
    hollow = next(layer for layer in layers if layer["mark"].get("color") == "white")
    assert [row["run"] for row in chart["datasets"][hollow["data"]["name"]]] == ["o/shape"]


def test_the_line_takes_the_least_energy_of_who_is_at_least_so_good() -> None:
    chart = drawn(judged("a", 0.9, 50.0), judged("b", 0.6, 10.0), judged("c", 0.5, 30.0)).to_dict()
    [panel] = chart["concat"]
    layers = panel["vconcat"][0]["layer"] if "vconcat" in panel else panel["layer"]
    line = next(layer for layer in layers if layer["mark"]["type"] == "line")
    corners = [(row["x"], row["y"]) for row in chart["datasets"][line["data"]["name"]]]
    assert corners[1:] == [(pytest.approx(60.0), 10.0), (pytest.approx(60.0), 50.0), (pytest.approx(90.0), 50.0)]
    assert corners[0][1] == 10.0
    assert corners[0][0] < 49.0


@pytest.mark.slow
def test_who_has_no_rank_is_counted_and_nothing_right_is_drawn(tmp_path: Path) -> None:
    late = judged("o/late", 0.8, 4.0, rank=None, meets_latency_target=False)
    found = said(tmp_path, judged("o/wrong", 0.0, 6.0), late)
    assert "left out, without an energy within the latency target: 1 of 2 with a score" in found
    assert "0 %, nothing right" in found
    assert "o/late" not in found
    alone = said(tmp_path, late | {"energy_per_response_j": None})
    assert "No energy was measured for llm-code: there is nothing to set against this score." in alone


@pytest.mark.slow
def test_without_a_score_it_says_how_to_ask_for_one(tmp_path: Path) -> None:
    found = said(tmp_path, best_row(model="a/b", rank=1, energy_per_response_j=3.0))
    assert "No answer was judged, and no published score is known: there is nothing to set energy against." in found
    assert any(text.startswith("How to ask, in config.yaml: quality has") for text in found)
    assert "a/b" not in found


def test_the_quality_of_a_metric_that_is_no_share_is_drawn_as_it_stands(tmp_path: Path) -> None:
    image = judged(
        "o/image", 31.5, 266.0, task="text-to-image", quality_metric="a-score", energy_per_right_answer_j=None
    )
    found = said(tmp_path, image)
    assert {"text-to-image: a-score", "a-score", "31.5, 266 J", "judged here"} <= set(found)
