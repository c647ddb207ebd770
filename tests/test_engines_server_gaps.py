"""ITL of a server, by hand: from what comes of each answer to the table's quantiles."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from joulebench.analysis.keyed import KEY, read_keyed
from joulebench.analysis.latency import inter_token_latency
from joulebench.engines.server_client import Arrival
from joulebench.engines.server_stream import Ask
from joulebench.engines.server_ticks import token_gaps_s
from joulebench.files import RecordError
from joulebench.records.files import read_parquet, write_parquet
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


def test_records_of_an_earlier_version_have_no_gaps(tmp_path: Path) -> None:
    """Read beside records that have them; a column that always was is still missed, by the file's name."""
    row = (0, 0, 0.5, 2, 0, 0, 2, 0, 0, 0, None, [0.25, 0.5])
    new = pl.DataFrame([row], schema=ITERATIONS, orient="row")
    files = {key: tmp_path / f"{key}.parquet" for key in range(2)}
    write_parquet(new.drop("token_gaps_s"), files[0])
    write_parquet(new, files[1])
    assert read_parquet(files[0], ITERATIONS)["token_gaps_s"].to_list() == [None]
    read = read_keyed(files, ITERATIONS, ["end_s", "token_gaps_s"])
    assert read.rows() == [(0, 0.5, None), (1, 0.5, [0.25, 0.5])]
    write_parquet(new.drop("finished"), files[0])
    with pytest.raises(RecordError, match=r"0\.parquet: no column finished"):
        read_keyed(files, ITERATIONS, ["end_s"])


def test_an_engine_of_its_own_iterations_stands_beside_a_server() -> None:
    """One table of both: durations that weigh their tokens, and gaps that weigh one each."""
    rows = pl.DataFrame(
        {
            "key": [0, 0, 1, 1, 1],
            "end_s": [1.0, 3.0, 1.0, 2.0, 3.0],
            "duration_s": [1.0, 2.0, 1.0, 1.0, 1.0],
            "output_tokens": [3, 9, 2, 4, 0],
            "first_tokens": [0, 8, 2, 0, 0],
            "token_gaps_s": [None, None, [], [0.25, 0.25, 0.25, 0.5], None],  # nothing was in flight in the last
            "w0": 0.0,
            "w1": 3.0,
        },
        schema_overrides={"key": KEY, "token_gaps_s": ITERATIONS["token_gaps_s"]},
    )
    found = inter_token_latency(rows).select("key", "itl_p50_s", "itl_p90_s").rows()
    assert found == [(0, 1.0, 2.0), (1, 0.25, 0.5)]
