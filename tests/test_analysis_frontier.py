"""Which points of a model are on its frontier, and which of them are not told apart."""

from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from building import point_row, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from joulebench.analysis.frontier import frontier
from joulebench.config.services import LatencyTarget
from joulebench.tables.schemas import PARETO, POINTS

TARGETS: dict[Any, Any] = {"llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.2)}


def point(
    batch: int, joules: float | None, tpot: float | None, half_j: float = 0.0, half_s: float = 0.0, **more: Any
) -> dict[str, Any]:
    """A point whose intervals reach `half_j` and `half_s` to either side; none where they are 0."""
    figures = {"energy_per_response_j": joules, "tpot_p50_s": tpot}
    if half_j and joules is not None:
        figures |= {"energy_per_response_low_j": joules - half_j, "energy_per_response_high_j": joules + half_j}
    if half_s and tpot is not None:
        figures |= {"tpot_p50_low_s": tpot - half_s, "tpot_p50_high_s": tpot + half_s}
    return point_row(**{"model": "a", "max_batch_size": batch, "responses_per_s": 1.0} | figures | more)


def table(*rows: dict[str, Any], targets: Any = None, **options: Any) -> pl.DataFrame:
    found = frontier(table_of(POINTS, *rows), TARGETS if targets is None else targets, **options)
    assert found.schema == PARETO
    return found


def batches(*rows: dict[str, Any], **options: Any) -> list[int]:
    return table(*rows, **options)["max_batch_size"].to_list()


def ties(*rows: dict[str, Any]) -> dict[int, str | None]:
    return dict(table(*rows).select("max_batch_size", "tied_with").rows())


def test_points_that_none_beats_in_both_by_latency() -> None:
    rows = [point(4, 5.0, 0.2), point(1, 9.0, 0.1), point(8, 6.0, 0.3), point(2, 9.5, 0.15), point(16, 1.0, 0.9)]
    # 8 draws more than 4 and is slower; 2 draws more than 1 and is slower.
    assert batches(*rows) == [1, 4, 16]
    found = table(*rows)
    assert found["latency_metric"].unique().to_list() == ["tpot_p50_s"]
    assert found["latency_s"].to_list() == [0.1, 0.2, 0.9]
    assert found["tied_with"].null_count() == 3


def test_equal_in_one_and_worse_in_the_other_is_beaten() -> None:
    assert batches(point(1, 5.0, 0.1), point(2, 5.0, 0.2), point(4, 4.0, 0.3), point(8, 4.5, 0.3)) == [1, 4]


def test_equal_in_both_stay_both_and_say_so() -> None:
    assert ties(point(1, 5.0, 0.1), point(2, 5.0, 0.1)) == {1: "B = 2", 2: "B = 1"}


def test_beaten_by_the_estimates_but_with_both_intervals_overlapping() -> None:
    # 5 +- 0.4 and 5.6 +- 0.4 overlap, 0.10 +- 0.02 and 0.13 +- 0.02 too.
    both = [point(1, 5.0, 0.1, 0.4, 0.02), point(2, 5.6, 0.13, 0.4, 0.02)]
    assert ties(*both) == {1: "B = 2", 2: "B = 1"}
    # The energies apart, the latencies apart, and a latency that has no interval.
    assert batches(both[0], point(2, 5.9, 0.13, 0.4, 0.02)) == [1]
    assert batches(both[0], point(2, 5.6, 0.15, 0.4, 0.02)) == [1]
    assert batches(both[0], point(2, 5.6, 0.13, 0.4)) == [1]
    # Without an interval the estimate alone has to lie in the other's.
    assert ties(both[0], point(2, 5.3, 0.11)) == {1: "B = 2", 2: "B = 1"}


def test_tied_with_one_but_clearly_beaten_by_another() -> None:
    wide, sharp = point(1, 5.0, 0.1, 3.0, 0.1), point(2, 5.2, 0.11, 0.05, 0.001)
    worse = point(4, 7.0, 0.15, 0.05, 0.001)
    assert batches(wide, worse) == [1, 4]
    assert ties(wide, sharp, worse) == {1: "B = 2", 2: "B = 1"}


def test_what_was_left_out_has_no_say() -> None:
    # 2 is clearly beaten by 1, and beats 4, which is tied with 1 alone.
    best, beaten = point(1, 5.0, 0.1, 0.3, 0.1), point(2, 6.0, 0.12, 0.1, 0.01)
    tied = point(4, 6.2, 0.16, 1.0, 0.02)
    assert ties(best, tied) == {1: "B = 4", 4: "B = 1"}
    assert ties(best, beaten, tied) == {1: "B = 4", 4: "B = 1"}


def test_variants_and_parallelism_of_a_model_compete_and_models_do_not() -> None:
    rows = [
        point(8, 5.0, 0.1, gpus=1),
        point(8, 9.0, 0.05, variant="tp4", gpus=4),
        point(8, 4.0, 0.1, variant="fp8"),
        point(8, 50.0, 0.5, model="b"),
        point(8, 40.0, 0.6, model="b", task="llm-code"),
    ]
    found = table(*rows).select("task", "model", "variant", "gpus").rows()
    assert found == [
        ("llm-chat", "a", "tp4", 4),
        ("llm-chat", "a", "fp8", None),
        ("llm-chat", "b", None, None),
        ("llm-code", "b", None, None),
    ]


def test_ties_name_the_variant_where_it_differs() -> None:
    rows = [
        point(8, 5.0, 0.10, 1.0, 0.05, variant="fp8"),
        point(16, 5.1, 0.11, 1.0, 0.05, variant="fp8"),
        point(8, 5.2, 0.12, 1.0, 0.05),
        point(8, 5.3, 0.13, 1.0, 0.05, variant="tp4"),
    ]
    found = {
        (batch, variant): tie
        for batch, variant, tie in table(*rows).select("max_batch_size", "variant", "tied_with").iter_rows()
    }
    assert found[8, "fp8"] == "B = 16; B = 8 plain; B = 8 +tp4"
    assert found[8, None] == "B = 8 +fp8; B = 16 +fp8; B = 8 +tp4"


def test_the_latency_is_the_targets_or_the_tasks_usual_one() -> None:
    rows = [
        point(1, 5.0, 0.1, ttft_p99_s=0.9),
        point(2, 6.0, 0.2, ttft_p99_s=0.1, ttft_p99_low_s=0.05, ttft_p99_high_s=0.15),
        point(1, 9.0, None, task="text-to-image", latency_p50_s=3.0),
    ]
    slow: dict[Any, Any] = {"llm-chat": LatencyTarget(metric="ttft", quantile=99, at_most_s=1.0)}
    chosen = ["task", "max_batch_size", "latency_metric", "latency_s", "latency_low_s"]
    assert table(*rows, targets=slow).select(chosen).rows() == [
        ("llm-chat", 2, "ttft_p99_s", 0.1, 0.05),
        ("llm-chat", 1, "ttft_p99_s", 0.9, None),
        ("text-to-image", 1, "latency_p50_s", 3.0, None),
    ]
    assert table(*rows, targets={}).select(chosen).rows() == [
        ("llm-chat", 1, "tpot_p50_s", 0.1, None),
        ("text-to-image", 1, "latency_p50_s", 3.0, None),
    ]


def test_only_points_that_may_be_published_compete() -> None:
    rows = [
        point(1, 9.0, 0.1),
        point(2, 1.0, 0.05, status="failed"),
        point(4, 1.0, 0.05, verdict="invalid: no"),
        point(8, 2.0, 0.06, verdict="flagged: drift"),
        point(16, None, 0.01),
        point(32, 0.1, None),
        point(64, 0.1, 0.01, verdict=None),
    ]
    assert batches(*rows) == [1]
    flagged = table(*rows, publish_flagged=True)
    assert flagged.select("max_batch_size", "verdict").rows() == [(8, "flagged: drift")]


def test_repeats_compete_as_one_point_of_their_mean() -> None:
    # At 1, 1 J and 11 J: 6 J on average, which 4 J at 2 beats; alone the first would have won.
    rows = [point(1, 1.0, 0.2, repeat=1), point(1, 11.0, 0.2, repeat=2), point(2, 4.0, 0.1)]
    assert table(*rows).select("max_batch_size", "repeats").rows() == [(2, 1)]


@pytest.mark.parametrize("rows", [[], [point(1, None, 0.1)], [point(1, 1.0, None)]])
def test_nothing_to_choose(rows: list[dict[str, Any]]) -> None:
    assert table(*rows).is_empty()


small = st.integers(1, 6).map(float)
widths = st.sampled_from([0.0, 0.4, 1.2, 3.0])
sweeps = st.lists(st.tuples(small, small, widths, widths), min_size=1, max_size=9).map(
    lambda drawn: [point(size, *figures) for size, figures in enumerate(drawn, 1)]
)


def beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    (e, s), (f, t) = ((row["energy_per_response_j"], row["tpot_p50_s"]) for row in (one, other))
    return e <= f and s <= t and (e < f or s < t)


def apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the intervals of the energies, or those of the latencies, have nothing in common."""
    for name, unit in (("energy_per_response", "j"), ("tpot_p50", "s")):
        lows, highs = (
            [row.get(f"{name}_{end}_{unit}", row[f"{name}_{unit}"]) for row in (one, other)] for end in ("low", "high")
        )
        if max(lows) > min(highs):
            return True
    return False


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(sweeps)
def test_no_point_of_the_frontier_clearly_beats_another_and_each_left_out_is_clearly_beaten(
    rows: list[dict[str, Any]],
) -> None:
    named = ties(*rows)
    on, off = ([row for row in rows if (row["max_batch_size"] in named) == there] for there in (True, False))
    assert not any(beats(one, other) and apart(one, other) for one in on for other in on)
    assert all(any(beats(one, other) and apart(one, other) for one in on) for other in off)
    for row in on:
        tied = {f"B = {other['max_batch_size']}" for other in on if other is not row and not apart(row, other)}
        assert set((named[row["max_batch_size"]] or "").split("; ")) == (tied or {""})


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(sweeps, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(rows: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert table(*rows).equals(table(*shuffled))


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(sweeps)
def test_a_point_that_is_left_out_changes_nothing(rows: list[dict[str, Any]]) -> None:
    found = table(*rows)
    kept = [row for row in rows if row["max_batch_size"] in found["max_batch_size"].to_list()]
    assert table(*kept).equals(found)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(sweeps)
def test_without_intervals_the_frontier_falls_as_the_latency_rises(rows: list[dict[str, Any]]) -> None:
    bare = [
        {name: value for name, value in row.items() if not name.endswith(("low_j", "high_j", "low_s", "high_s"))}
        for row in rows
    ]
    found = table(*bare)
    steps = list(dict.fromkeys(found.select("latency_s", "energy_per_response_j").rows()))
    assert all(s < t and e > f for (s, e), (t, f) in pairwise(steps))


def test_answers_that_end_otherwise_have_a_frontier_of_their_own() -> None:
    rows = [point(1, 5.0, 0.1, answers="reference"), point(2, 4.0, 0.09, answers="natural")]
    assert table(*rows).select("answers", "max_batch_size").rows() == [("natural", 2), ("reference", 1)]
    assert batches(rows[0], rows[1] | {"answers": "reference"}) == [2]
