"""Which point of a model stands on the leaderboard, and where."""

from typing import Any

from building import point_row, table_of

from joulebench.analysis.leaderboard import leaderboard
from joulebench.config.services import LatencyTarget
from joulebench.tables.schemas import LEADERBOARD, POINTS

TARGET = {"llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.2)}


def point(model: str, batch: int, joules: float | None, tpot: float | None, **more: Any) -> dict[str, Any]:
    figures = {"energy_per_response_j": joules, "tpot_p50_s": tpot, "responses_per_s": 1.0}
    return point_row(**{"model": model, "max_batch_size": batch} | figures | more)


def best(rows: list[dict[str, Any]], targets: Any = TARGET) -> list[tuple[Any, ...]]:
    table = leaderboard(table_of(POINTS, *rows), targets)
    assert table.schema == LEADERBOARD
    return table.select("rank", "meets_latency_target", "model", "max_batch_size", "variant").rows()


def test_least_energy_that_meets_the_target() -> None:
    rows = [
        point("a", 1, 9.0, 0.1),
        point("a", 2, 5.0, 0.2),
        point("a", 4, 3.0, 0.21),
        point("a", 8, 1.0, 0.1, status="failed"),
        point("b", 2, 4.0, 0.1),
        point("b", 4, 3.5, 0.15, variant="half", status="overloaded"),
    ]
    assert best(rows) == [(1, True, "b", 4, "half"), (2, True, "a", 2, None)]
    assert best(rows, {}) == [(1, True, "a", 4, None), (2, True, "b", 4, "half")]


def test_target_as_text() -> None:
    table = leaderboard(table_of(POINTS, point("a", 1, 9.0, 0.1)), TARGET)
    assert table["latency_target"].to_list() == ["tpot_p50_s <= 0.2"]


def test_none_meets_the_target() -> None:
    rows = [
        point("slow", 1, 9.0, 0.4),
        point("slow", 2, 1.0, 0.6),
        point("slow", 4, 1.0, None),
        point("quick", 1, 50.0, 0.1),
    ]
    assert best(rows) == [(1, True, "quick", 1, None), (None, False, "slow", 1, None)]


def test_without_energy_the_most_responses_and_no_rank() -> None:
    rows = [
        point("a", 1, None, 0.1, responses_per_s=2.0),
        point("a", 2, None, 0.1, responses_per_s=3.0),
        point("a", 4, None, 0.3, responses_per_s=9.0),
    ]
    assert best(rows) == [(None, True, "a", 2, None)]


def test_a_model_that_failed_keeps_a_row() -> None:
    rows = [
        point("a", 2, None, None, status="failed", responses_per_s=None, reason="second"),
        point("a", 1, None, None, status="out_of_memory", responses_per_s=None, reason="first"),
    ]
    table = leaderboard(table_of(POINTS, *rows), TARGET)
    assert table.select("rank", "meets_latency_target", "reason").rows() == [(None, None, "first")]


def test_ties_go_to_the_smaller_batch_then_the_variants_name() -> None:
    rows = [
        point("a", 4, 5.0, 0.1),
        point("a", 2, 5.0, 0.1, variant="y"),
        point("a", 2, 5.0, 0.1, variant="x"),
        point("b", 1, 5.0, 0.1),
        point("c", 1, 6.0, 0.1),
    ]
    expected = [(1, True, "a", 2, "x"), (1, True, "b", 1, None), (3, True, "c", 1, None)]
    assert best(rows) == expected
    assert best(rows[::-1]) == expected


def test_ranks_count_within_a_task() -> None:
    rows = [
        point("a", 1, 5.0, 0.1),
        point("b", 1, 4.0, 0.1),
        point("c", 1, 900.0, None, task="text-to-image"),
    ]
    assert best(rows) == [(1, True, "b", 1, None), (2, True, "a", 1, None), (1, True, "c", 1, None)]


def test_an_empty_table() -> None:
    assert best([]) == []


def test_answers_that_end_otherwise_are_other_work() -> None:
    rows = [
        point("a", 1, 5.0, 0.1, answers="reference"),
        point("a", 1, 2.0, 0.1, answers="natural"),
        point("a", 2, 3.0, 0.1, answers="natural", variant="half"),
        point("b", 1, 4.0, 0.1, answers="reference"),
    ]
    assert best(rows) == [(1, True, "b", 1, None), (2, True, "a", 1, None), (1, True, "a", 1, None)]
    table = leaderboard(table_of(POINTS, *rows), TARGET)
    assert table.select("answers", "model", "energy_per_response_j").rows() == [
        ("reference", "b", 4.0),
        ("reference", "a", 5.0),
        ("natural", "a", 2.0),
    ]
