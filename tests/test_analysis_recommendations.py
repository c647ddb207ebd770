"""What is recommended for a service, and what it saves."""

from typing import Any

import polars as pl
import pytest
from building import point_row, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from joulebench.analysis.leaderboard import leaderboard
from joulebench.analysis.recommendations import recommendations
from joulebench.config.services import LatencyTarget, Service
from joulebench.tables.schemas import POINTS, RECOMMENDATIONS

TPOT = LatencyTarget(metric="tpot", quantile=50, at_most_s=0.2)
TARGETS: dict[Any, Any] = {"llm-chat": TPOT}
BOTH = Service(
    tasks=("llm-chat",),
    at_most=(
        LatencyTarget(metric="submission_ttft", quantile=99, at_most_s=2),
        LatencyTarget(metric="tpot", quantile=99, at_most_s=0.1),
    ),
)


def point(batch: int, joules: float | None, tpot: float | None, half: float | None = None, **more: Any) -> Any:
    figures = {"energy_per_response_j": joules, "tpot_p50_s": tpot}
    if half is not None and joules is not None:
        figures |= {"energy_per_response_low_j": joules - half, "energy_per_response_high_j": joules + half}
    return point_row(**{"model": "a", "max_batch_size": batch, "responses_per_s": 1.0} | figures | more)


def both(batch: int, joules: float, ttft: float | None, tpot: float | None, **more: Any) -> Any:
    medians = {"submission_ttft_p50_s": ttft}
    return point(batch, joules, 0.01, **{**medians, "submission_ttft_p99_s": ttft, "tpot_p99_s": tpot, **more})


def advice(*rows: Any, targets: Any = None, services: Any = None, **options: Any) -> list[dict[str, Any]]:
    points = table_of(POINTS, *rows)
    found = recommendations(points, TARGETS if targets is None else targets, services or {}, **options)
    assert found.schema == RECOMMENDATIONS
    return found.to_dicts()


def one(*rows: Any, **options: Any) -> dict[str, Any]:
    return next(row for row in advice(*rows, **options) if row["service"] == "config")


def of_both(*rows: Any) -> dict[str, Any]:
    return next(row for row in advice(*rows, services={"chat": BOTH}) if row["service"] == "chat")


def test_least_energy_under_the_target_and_what_it_saves() -> None:
    found = one(point(1, 10.0, 0.1), point(2, 8.0, 0.15), point(4, 5.0, 0.2), point(8, 4.0, 0.3))
    assert (found["max_batch_size"], found["energy_per_response_j"]) == (4, 5.0)
    assert found["saves_against_least_latency_percent"] == pytest.approx(50.0)  # 5 J instead of 10 J
    assert found["saves_against_largest_batch_percent"] == pytest.approx(-25.0)  # 5 J instead of 4 J
    assert (found["least_latency_batch_size"], found["largest_batch_size"]) == (1, 8)
    assert (found["latency_target"], found["latency"]) == ("tpot_p50_s <= 0.2", "tpot_p50_s = 0.2")
    assert (found["tied_with"], found["undecided"], found["reason"]) == (None, None, None)


def test_the_interval_of_a_saving_puts_both_energies_at_opposite_ends() -> None:
    found = one(point(1, 10.0, 0.1, 2.0), point(2, 5.0, 0.15, 1.0), point(4, 5.5, 0.3))
    assert found["saves_against_least_latency_percent"] == pytest.approx(50.0)
    assert found["saves_against_least_latency_low_percent"] == pytest.approx(25.0)  # 6 J instead of 8 J
    assert found["saves_against_least_latency_high_percent"] == pytest.approx(100 - 100 / 3)  # 4 J instead of 12 J
    # The largest batch has no interval.
    assert found["saves_against_largest_batch_percent"] == pytest.approx(100 / 11)
    assert found["saves_against_largest_batch_low_percent"] is None


def test_a_point_compared_with_itself_saves_nothing_for_certain() -> None:
    found = one(point(1, 10.0, 0.1), point(2, 5.0, 0.15, 1.0))
    assert [found[f"saves_against_largest_batch{end}_percent"] for end in ("", "_low", "_high")] == [0.0, 0.0, 0.0]


def test_other_eligible_points_with_overlapping_energies_are_tied() -> None:
    rows = [
        point(8, 10.0, 0.10, 0.5),
        point(16, 5.3, 0.12, 0.2),
        point(32, 5.0, 0.15, 0.2),
        point(32, 5.4, 0.11, 0.2, variant="tp2"),
        point(64, 4.9, 0.3, 0.2),
    ]
    found = one(*rows)
    assert (found["max_batch_size"], found["variant"], found["tied_with"]) == (32, None, "B = 16; B = 32 +tp2")
    assert (found["largest_batch_size"], found["largest_variant"]) == (64, None)


def test_equal_energies_go_to_the_smaller_batch_then_the_variant() -> None:
    rows = [point(4, 5.0, 0.1), point(2, 5.0, 0.1, variant="y"), point(2, 5.0, 0.1, variant="x")]
    found = one(*rows)
    assert (found["max_batch_size"], found["variant"]) == (2, "x")
    assert found["tied_with"] == "B = 2 +y; B = 4 plain"


def test_every_latency_of_a_service_has_to_be_kept() -> None:
    rows = [both(1, 9.0, 0.5, 0.02), both(8, 7.0, 1.9, 0.09), both(16, 5.0, 2.1, 0.09), both(32, 4.0, 1.0, 0.11)]
    found = of_both(*rows)
    assert (found["max_batch_size"], found["least_latency_batch_size"]) == (8, 1)
    assert found["latency_target"] == "submission_ttft_p99_s <= 2; tpot_p99_s <= 0.1"
    assert found["latency"] == "submission_ttft_p99_s = 1.9; tpot_p99_s = 0.09"


def test_the_least_latency_is_the_median_of_the_services_first_metric() -> None:
    """Of the 99th percentiles B = 4 has the least: three requests that were lucky."""
    rows = [
        both(1, 9.0, 0.5, 0.01, submission_ttft_p50_s=0.20),
        both(2, 8.0, 0.4, 0.02, submission_ttft_p50_s=0.10),
        both(4, 8.5, 0.3, 0.03, submission_ttft_p50_s=0.15),
    ]
    found = of_both(*rows)
    assert (found["least_latency_batch_size"], found["least_latency_tied_with"]) == (2, None)
    assert found["saves_against_least_latency_percent"] == 0.0


def test_points_whose_median_latency_is_not_told_apart_from_the_least_are_named() -> None:
    spread = {"tpot_p50_low_s": 0.08, "tpot_p50_high_s": 0.13}
    rows = [point(1, 10.0, 0.1, **spread), point(2, 8.0, 0.12, tpot_p50_low_s=0.11, tpot_p50_high_s=0.14)]
    found = one(*rows, point(4, 5.0, 0.15))
    assert (found["least_latency_batch_size"], found["least_latency_tied_with"]) == (1, "B = 2")


def test_points_of_different_cards_are_tied_within_what_cards_differ_by() -> None:
    """5.00 and 5.10 J are 2 % apart, 5.25 J 5 %."""
    rows = [point(8, 5.0, 0.1, card="aa"), point(16, 5.1, 0.1, card="bb"), point(32, 5.25, 0.1, card="bb")]
    assert one(*rows)["tied_with"] is None
    assert one(*rows, card_spread=0.03)["tied_with"] == "B = 16"
    same = [{**row, "card": "aa"} for row in rows]
    assert one(*same, card_spread=0.03)["tied_with"] is None


def test_what_none_meets_is_told_by_the_nearest() -> None:
    found = of_both(both(8, 9.0, 2.3, 0.05), both(16, 5.0, 2.0, 0.3), both(32, 4.0, 9.0, 0.05))
    assert found["reason"] == "submission_ttft_p99_s is 2.3 s at B = 8, wanted 2"
    assert (found["max_batch_size"], found["energy_per_response_j"], found["tied_with"]) == (None, None, None)
    assert (found["task"], found["model"], found["hardware"]) == ("llm-chat", "a", "h100")
    twice = of_both(both(8, 9.0, 3.0, 0.12, variant="fp8"))
    assert twice["reason"] == "submission_ttft_p99_s is 3 s at B = 8 +fp8, wanted 2; tpot_p99_s is 0.12 s, wanted 0.1"


def test_a_latency_that_was_not_measured_is_not_kept() -> None:
    assert of_both(both(8, 9.0, None, 0.05), both(16, 5.0, None, 0.01))["reason"] == (
        "not measured: submission_ttft_p99_s"
    )
    assert of_both(both(8, 9.0, None, 0.05), both(16, 5.0, 1.0, None))["reason"] == (
        "no point has all the latencies that are asked"
    )
    assert of_both(both(8, 9.0, None, 0.05), both(16, 10.0, 1.0, 0.01))["max_batch_size"] == 16


def test_points_whose_latency_may_be_on_either_side_are_undecided() -> None:
    def near(batch: int, joules: float, tpot: float) -> Any:
        return point(batch, joules, tpot, tpot_p50_low_s=tpot - 0.01, tpot_p50_high_s=tpot + 0.01)

    found = one(near(1, 9.0, 0.1), near(2, 8.0, 0.195), near(4, 7.0, 0.205), near(8, 6.0, 0.22))
    assert (found["max_batch_size"], found["undecided"]) == (2, "B = 2; B = 4")
    # Those that draw more than the recommended point are none of its concern.
    assert one(near(1, 9.0, 0.195), near(2, 8.0, 0.1))["undecided"] is None
    none = one(near(4, 7.0, 0.205), near(8, 6.0, 0.22))
    assert (none["reason"], none["undecided"]) == ("tpot_p50_s is 0.205 s at B = 4, wanted 0.2", "B = 4")


def test_without_a_target_every_point_is_eligible() -> None:
    found = one(point(1, 9.0, 0.1), point(2, 5.0, 7.0), targets={})
    assert (found["max_batch_size"], found["latency_target"], found["latency"]) == (2, None, "tpot_p50_s = 7")
    video = one(point(1, 9.0, None, task="text-to-video", latency_p50_s=4.0), targets={})
    assert video["latency"] == "latency_p50_s = 4"
    unknown = one(point(1, 9.0, None), targets={})
    assert (unknown["max_batch_size"], unknown["latency"], unknown["least_latency_batch_size"]) == (1, None, None)
    assert unknown["saves_against_least_latency_percent"] is None


def test_models_without_a_point_to_choose_say_why() -> None:
    rows = [
        point(1, None, 0.1, model="no-energy"),
        point(8, 5.0, 0.1, model="flagged", verdict="flagged: drift (5, at most 3)"),
        point(1, None, None, model="broken", status="out_of_memory", reason="too large", responses_per_s=None),
    ]
    assert {row["model"]: row["reason"] for row in advice(*rows)} == {
        "no-energy": "no energy was measured",
        "flagged": "B = 8: flagged: drift (5, at most 3)",
        "broken": "B = 1: too large",
    }
    assert one(rows[1], publish_flagged=True)["max_batch_size"] == 8


def test_one_row_a_task_model_and_service_in_order() -> None:
    picture = Service(tasks=("text-to-image",), at_most=(LatencyTarget(metric="latency", at_most_s=20),))
    rows = [
        point(1, 5.0, None, task="text-to-image", model="z", latency_p50_s=3.0),
        point(1, 5.0, 0.1, model="b"),
        point(1, 5.0, 0.1, model="a"),
    ]
    found = advice(*rows, services={"zeta": BOTH, "alpha": picture})
    assert [(row["task"], row["model"], row["service"]) for row in found] == [
        ("llm-chat", "a", "config"),
        ("llm-chat", "a", "zeta"),
        ("llm-chat", "b", "config"),
        ("llm-chat", "b", "zeta"),
        ("text-to-image", "z", "config"),
        ("text-to-image", "z", "alpha"),
    ]
    assert advice(*rows[::-1], services={"zeta": BOTH, "alpha": picture}) == found


def test_no_points() -> None:
    assert advice() == []


def test_an_overloaded_point_may_be_recommended_without_its_own_reason() -> None:
    found = one(point(8, 5.0, 0.1, status="overloaded", reason="5 of 8 running"))
    assert (found["max_batch_size"], found["status"], found["reason"]) == (8, "overloaded", None)


sweeps = st.lists(
    st.tuples(st.integers(1, 9).map(float), st.sampled_from([0.1, 0.15, 0.2, 0.25, None])), min_size=1, max_size=8
).map(lambda drawn: [point(size, *figures) for size, figures in enumerate(drawn, 1)])


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(sweeps)
def test_it_is_the_leaderboards_point_for_the_tasks_own_target(rows: list[Any]) -> None:
    best = leaderboard(pl.DataFrame(rows, schema=POINTS), TARGETS).row(0, named=True)
    found = one(*rows)
    assert (found["max_batch_size"] is not None) == best["meets_latency_target"]
    if best["meets_latency_target"]:
        assert (found["max_batch_size"], found["energy_per_response_j"]) == (
            best["max_batch_size"],
            best["energy_per_response_j"],
        )
        assert found["saves_against_least_latency_percent"] >= 0  # the quickest point is eligible too
    else:
        assert found["reason"]


def test_points_of_arrivals_are_named_and_ordered_by_their_rate() -> None:
    rate = {"axis": "rate_per_s", "load": "poisson", "requests": 100}
    found = one(*(point(64, joules, 0.1, 1.0, **rate, rate_per_s=each) for each, joules in ((8.0, 5.0), (0.5, 5.0))))
    assert (found["max_batch_size"], found["tied_with"]) == (64, "8 requests/s")
