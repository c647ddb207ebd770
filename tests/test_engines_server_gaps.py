"""ITL of a server, by hand: from what comes of each answer to the table's quantiles."""

from itertools import pairwise

import polars as pl
import pytest

from joulebench.analysis.keyed import KEY
from joulebench.analysis.latency import inter_token_latency
from joulebench.engines.server_client import Arrival
from joulebench.engines.server_stream import Ask
from joulebench.engines.server_ticks import token_gaps_s
from joulebench.records.schemas import ITERATIONS

GRID = 0.0117
"""Gaps are recorded on 100 steps a factor of ten: half a step is 10^0.005 = 1.0116."""
ASK = Ask(0, b"", "m", 99)


def came(gap_s: float | None, tokens: int = 1) -> Arrival:
    """Tokens of an answer, so long after those before them; its first ones without a gap."""
    return Arrival(ASK, tokens, gap_s is None, False, gap_s)


def quantiles(ticks: dict[float, list[Arrival]]) -> dict[int, float]:
    """ITL of a point's ticks, their end -> what came in them; nothing where it has none."""
    ends = sorted(ticks)
    rows = pl.DataFrame(
        {
            "key": 0,
            "end_s": ends,
            "duration_s": [after - before for before, after in pairwise([0.0, *ends])],
            "output_tokens": [sum(one.tokens for one in ticks[end]) for end in ends],
            "first_tokens": [sum(one.is_first for one in ticks[end]) for end in ends],
            "token_gaps_s": [token_gaps_s(ticks[end]) for end in ends],
            "w0": 0.0,
            "w1": ends[-1],
        },
        schema_overrides={"key": KEY, "token_gaps_s": ITERATIONS["token_gaps_s"]},
    )
    return {q: row[f"itl_p{q}_s"] for row in inter_token_latency(rows).iter_rows(named=True) for q in (50, 90, 95, 99)}


def test_answers_out_of_step_have_their_own_pace() -> None:
    """Three answers get a token every 50 ms, at phases 0, 17 and 34 ms: ticks of 17, 17 and 16 ms, a token in each."""
    ticks = {0.05 * turn + phase: [came(0.05)] for turn in range(1, 40) for phase in (0.0, 0.017, 0.034)}
    assert quantiles(ticks) == pytest.approx(dict.fromkeys((50, 90, 95, 99), 0.05), rel=GRID)


def test_answers_in_step_have_the_ticks_pace() -> None:
    ticks = {0.05 * turn: [came(0.05)] * 3 for turn in range(1, 40)}
    assert quantiles(ticks) == pytest.approx(dict.fromkeys((50, 90, 95, 99), 0.05), rel=GRID)


def test_tokens_that_come_together_share_their_time() -> None:
    # Four tokens after 0.2 s are four at 0.05; two after 0.2 s two at 0.1: they are a third of all.
    ticks = {0.2 * turn: [came(0.2, tokens=4), came(0.2, tokens=2)] for turn in range(1, 11)}
    found = quantiles(ticks)
    assert (found[50], found[90]) == pytest.approx((0.05, 0.1), rel=GRID)


def test_one_answer_that_stalls_among_others_is_no_mean_with_them() -> None:
    """Three answers get ten tokens each, 50 ms apart; then one waits 1 s for its last, which comes with the others'."""
    ticks = {0.05 * turn: [came(0.05)] * 3 for turn in range(1, 11)} | {1.5: [came(1.0), came(0.05), came(0.05)]}
    # 32 of 33 tokens took 0.05 s, 97 %. The mean of the last tick, 0.37 s, would be that of three: 0.37 at p95.
    assert quantiles(ticks) == pytest.approx({50: 0.05, 90: 0.05, 95: 0.05, 99: 1.0}, rel=GRID)


def test_what_comes_with_an_answers_first_token_has_no_gap() -> None:
    assert token_gaps_s([came(None, tokens=3)]) == []
    # As 0 s they would be 4 of 7 tokens, and the median.
    ticks = {1.0: [came(None, tokens=3)], 2.0: [came(None, tokens=3)], 2.5: [came(1.5, tokens=3)]}
    assert quantiles(ticks)[50] == pytest.approx(0.5, rel=GRID)


def test_answers_that_come_whole_have_no_inter_token_latency() -> None:
    assert quantiles({1.0: [came(None, tokens=8)], 2.0: [came(None, tokens=8)]}) == {}


def test_tokens_that_are_taken_off_bring_no_gap() -> None:
    assert token_gaps_s([Arrival(ASK, -2, False, False), Arrival(ASK, 0, False, True)]) == []


@pytest.mark.parametrize("gap_s", [0.0003, 0.00831, 0.0503, 0.1, 2.345])
def test_gaps_are_recorded_within_a_hundredth_or_so(gap_s: float) -> None:
    assert token_gaps_s([came(gap_s)]) == pytest.approx([gap_s], rel=GRID)


def test_gaps_of_a_tick_are_in_rising_order() -> None:
    found = token_gaps_s([came(0.3), came(0.1), came(0.0), came(0.4, tokens=2)])
    assert found == sorted(found)
    assert found == pytest.approx([1e-6, 0.1, 0.2, 0.2, 0.3], rel=GRID)
