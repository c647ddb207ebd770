"""Two small recordings whose figures were worked out by hand."""

from collections.abc import Mapping
from math import cos, radians, sqrt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import example_spec, machine, point_record, sources_of, table_of, write_point, write_run

from joulebench.analysis import lengths
from joulebench.analysis.energy import energy_at, updates
from joulebench.analysis.keyed import KEY
from joulebench.analysis.latency import inter_token_latency
from joulebench.analysis.points import WantedRun, points
from joulebench.config.spec import RunSpec
from joulebench.loads.closed_loop import overloaded
from joulebench.records.schemas import BATCHES, ENERGY, ITERATIONS, REQUESTS
from joulebench.tables.schemas import POINTS

TEXT = example_spec()
DIFFUSION = example_spec(task="text-to-image", output_length=None)

# B = 2, an iteration every 0.5 s but for those that prefill (1.0 s). The batch is full from the first iteration on;
# the last with requests waiting is the tenth.
#   end_s  running  waiting  prompt  output  first  finished
STEPS = [
    (1.0, 2, 4, 20, 2, 2, 0),  # queue window opens: the batch is full
    (1.5, 2, 4, 0, 2, 0, 1),
    (2.5, 2, 3, 10, 2, 1, 0),
    (3.0, 2, 3, 0, 2, 0, 1),  # 2 finished, one turnover: the stationary window opens
    (4.0, 2, 2, 10, 2, 1, 0),
    (4.5, 2, 2, 0, 2, 0, 0),
    (5.0, 1, 2, 0, 2, 0, 1),
    (6.0, 2, 1, 30, 3, 2, 0),
    (6.5, 2, 1, 0, 2, 0, 2),
    (7.0, 2, 1, 0, 2, 0, 0),  # the last with a request waiting: both windows close
    (8.0, 2, 0, 10, 2, 1, 0),
    (8.5, 2, 0, 0, 8, 0, 1),  # the answers' tokens that the windows need not hold
]
# Request: prompt, output, submitted, admitted, first output, finished, status. Mean output (4+5+6+2+9+4) / 6 = 5.
ASKED = [
    (10, 4, 0.0, 0.0, 1.0, 1.5, "finished"),
    (10, 5, 0.0, 0.0, 1.0, 3.0, "finished"),
    (10, 6, 0.0, 1.5, 2.5, 5.0, "finished"),  # in the window: its finish, not its first output
    (10, 2, 0.0, 3.0, 4.0, 6.5, "finished"),
    (10, 9, 0.0, 5.0, 6.0, 6.5, "finished"),
    (22, 4, 1.0, 7.0, 8.0, 8.5, "finished"),
    (99, None, 1.0, 5.5, 6.0, None, "aborted"),
]
# Polled every 0.25 s, the counter moves every 0.5 s, at .25 and .75: 100 W until 3.25 s, then 200 W.
COUNTED = {0.25 + 0.5 * i: (100.0 * 0.5 * i if i <= 6 else 300 + 200 * 0.5 * (i - 6)) for i in range(18)}


def power_w(time_s: float) -> float:
    return 100.0 if time_s <= 3.0 else 200.0


def polls() -> list[dict[str, Any]]:
    times = [0.25 * i for i in range(1, 36)]
    return [
        {
            "device": "gpu:0",
            "source": "nvml_counter",
            "time_s": time,
            "energy_j": COUNTED[time] if time in COUNTED else COUNTED[time - 0.25],
            "power_w": power_w(time),
            "memory_used_mb": 5000.0 + (10.0 if time == 4.0 else 0.0),
        }
        for time in times
    ]


def frame(rows: Any, schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def steps(rows: list[tuple[float, int, int, int, int, int, int]] = STEPS) -> pl.DataFrame:
    full = [(0, i, *row, 0, 0.5, None) for i, row in enumerate(rows)]
    return frame(full, ITERATIONS)


def asked() -> pl.DataFrame:
    return frame([(0, i, *row, None, None) for i, row in enumerate(ASKED)], REQUESTS)


def write(folder: Path, spec: RunSpec, loads: Mapping[int, Mapping[str, pl.DataFrame]], **changes: Any) -> WantedRun:
    """A run folder with one measured point a batch size of `loads`."""
    spec = spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"batch_sizes": tuple(loads)})})
    ended = []
    for number, (batch, frames) in enumerate(loads.items()):
        lasted_s = frames["iterations"]["end_s"][-1]
        ended.append(point_record(batch, point=number, duration_s=lasted_s))
        of_point = {
            name: rows.with_columns(point=pl.lit(number, pl.Int32)) if "point" in rows.columns else rows
            for name, rows in frames.items()
        }
        write_point(folder, ended[-1], of_point)
    sources = sources_of(next(iter(loads.values()))["energy"])
    used = machine(device="Example GPU", tdp_w=250.0, energy_sources=sources)
    return write_run(folder, spec, *ended, machine=used, parameters=123, **changes)


@pytest.fixture
def text_row(tmp_path: Path) -> dict[str, Any]:
    energy = frame(polls(), ENERGY)
    wanted = write(tmp_path, TEXT, {2: {"iterations": steps(), "requests": asked(), "energy": energy}})
    table, left_out = points([wanted])
    assert left_out.is_empty()
    return table.row(0, named=True)


def test_energy_and_speed_of_the_stationary_window(text_row: dict[str, Any]) -> None:
    # Counter at 3.0: halfway in 2.75 -> 3.25 (250 -> 300): 275 J. At 7.0: 6.75 -> 7.25 (1000 -> 1100): 1050 J.
    # Tokens after 3.0 up to 7.0: 2 + 2 + 2 + 3 + 2 + 2 = 13; prompts 10 + 30 = 40. Six iterations in 4 s.
    assert text_row["window"] == "stationary"
    assert text_row["window_s"] == pytest.approx(4.0)
    assert text_row["power_w"] == pytest.approx(775 / 4)
    assert text_row["energy_per_output_token_j"] == pytest.approx(775 / 13)
    assert text_row["energy_per_total_token_j"] == pytest.approx(775 / 53)
    assert text_row["output_tokens_per_s"] == pytest.approx(13 / 4)
    assert text_row["mean_output_tokens"] == 5.0
    assert text_row["mean_prompt_tokens"] == 12.0  # 72 / 6
    assert text_row["energy_per_response_j"] == pytest.approx(775 / 13 * 5)
    assert text_row["responses_per_s"] == pytest.approx(13 / 4 / 5)
    assert text_row["window_responses"] == 3
    assert text_row["turnovers"] == pytest.approx(3 / 2)
    # 2 running but for the half second that ended at 5.0, with 1: (3.5 x 2 + 0.5 x 1) / 4.
    assert text_row["mean_batch_size"] == pytest.approx(7.5 / 4)
    # 250 W over 0.65 responses a second.
    assert text_row["tdp_estimate_j"] == pytest.approx(250 / 0.65)


def test_power_is_integrated_up_to_the_bounds(text_row: dict[str, Any]) -> None:
    # 100 W at 3.0 rising to 200 W at the poll of 3.25, then 200 W to 7.0: 37.5 + 3.75 x 200 = 787.5 J.
    assert text_row["integrated_power_ratio"] == pytest.approx(775 / 787.5)


def test_energy_of_the_queue_window(text_row: dict[str, Any]) -> None:
    # From 1.0 (75 J) to 7.0 (1050 J); tokens after 1.0: 3 x 2, then the 13 above.
    assert text_row["queue_energy_per_output_token_j"] == pytest.approx(975 / 19)
    assert text_row["queue_energy_per_response_j"] == pytest.approx(975 / 19 * 5)


def test_inter_token_latency_is_weighted_by_tokens_that_are_not_first(text_row: dict[str, Any]) -> None:
    # In the window: 1.0 s with weight 1 (2 - 1), 0.5 s with 2, 2, then 1.0 s with 1 (3 - 2), 0.5 s with 2, 2.
    # Sorted: 0.5 s has weight 8 of 10, 1.0 s the other 2. p50 -> 0.5; p90, p95, p99 -> 1.0.
    assert text_row["itl_p50_s"] == pytest.approx(0.5)
    assert [text_row[f"itl_p{q}_s"] for q in (90, 95, 99)] == pytest.approx([1.0, 1.0, 1.0])


def test_request_latencies_of_the_window(text_row: dict[str, Any]) -> None:
    # First outputs in (3, 7]: three requests. From admission 4 - 3, 6 - 5, 6 - 5.5 = 1, 1, 0.5;
    # from submission 4, 6, 5. Nearest rank of p50 of three is the second, of p90 the third.
    assert (text_row["ttft_p50_s"], text_row["ttft_p90_s"]) == pytest.approx((1.0, 1.0))
    assert (text_row["submission_ttft_p50_s"], text_row["submission_ttft_p90_s"]) == pytest.approx((5.0, 6.0))
    # Finished in (3, 7]: (5 - 2.5) / 5, (6.5 - 4) / 1, (6.5 - 6) / 8 = 0.5, 2.5, 0.0625. The finish at 3.0 is outside.
    assert (text_row["tpot_p50_s"], text_row["tpot_p99_s"]) == pytest.approx((0.5, 2.5))
    # From submission at 0: 5, 6.5, 6.5.
    assert (text_row["latency_p50_s"], text_row["latency_p95_s"]) == pytest.approx((6.5, 6.5))


def slow_waves(moves: list[float]) -> float:
    """So few blocks have two cosines, half a turn and a whole one; 4.302653 is t(0.975) of 2 degrees of freedom."""
    one = sum(cos(radians(180 * (i + 0.5) / len(moves))) * move for i, move in enumerate(moves))
    two = sum(cos(radians(360 * (i + 0.5) / len(moves))) * move for i, move in enumerate(moves))
    return 4.302653 * sqrt(2 * (one**2 + two**2) / 2)


def test_interval_of_the_ratio(text_row: dict[str, Any]) -> None:
    # Blocks of 0.4 s, a tenth of 4 s, cut at iteration ends: each of the six is a block.
    # Joules between 3.0, 4.0, 4.5, 5.0, 6.0, 6.5, 7.0: the counter is at 275, 450, 550, 650, 850, 950, 1050.
    joules, tokens, total = [175, 100, 100, 200, 100, 100], [2, 2, 2, 3, 2, 2], [12, 2, 2, 33, 2, 2]
    for name, amounts in (("output_token", tokens), ("total_token", total)):
        ratio = 775 / sum(amounts)
        half = slow_waves([e - ratio * t for e, t in zip(joules, amounts, strict=True)]) / sum(amounts)
        assert text_row[f"energy_per_{name}_low_j"] == pytest.approx(ratio - half, rel=1e-6)
        assert text_row[f"energy_per_{name}_high_j"] == pytest.approx(ratio + half, rel=1e-6)
    assert text_row["energy_per_response_high_j"] == pytest.approx(5 * text_row["energy_per_output_token_high_j"])


def test_intervals_of_power_and_throughput(text_row: dict[str, Any]) -> None:
    # The same six blocks, of 1.0, 0.5, 0.5, 1.0, 0.5, 0.5 s.
    joules, tokens, seconds = [175, 100, 100, 200, 100, 100], [2, 2, 2, 3, 2, 2], [1.0, 0.5, 0.5, 1.0, 0.5, 0.5]
    for name, unit, amounts in (("power", "w", joules), ("output_tokens", "per_s", tokens)):
        rate = sum(amounts) / 4
        half = slow_waves([a - rate * s for a, s in zip(amounts, seconds, strict=True)]) / 4
        assert text_row[f"{name}_{unit}"] == pytest.approx(rate)
        assert text_row[f"{name}_low_{unit}"] == pytest.approx(rate - half, rel=1e-6)
        assert text_row[f"{name}_high_{unit}"] == pytest.approx(rate + half, rel=1e-6)
    for bound in ("", "_low", "_high"):
        assert text_row[f"responses{bound}_per_s"] == pytest.approx(text_row[f"output_tokens{bound}_per_s"] / 5)


def test_facts_of_a_point(text_row: dict[str, Any]) -> None:
    facts = {name: text_row[name] for name in ("model", "device", "parameters", "measured_on", "status", "reason")}
    assert facts == {
        "model": "example/one",
        "device": "Example GPU",
        "parameters": 123,
        "measured_on": "2026-03-04",
        "status": "measured",
        "reason": None,
    }
    assert text_row["peak_memory_mb"] == 5010.0
    assert text_row["energy_source"] == "nvml_counter"
    assert list(text_row) == POINTS.names()


def test_points_do_not_mix(tmp_path: Path) -> None:
    # The same load in a second run, on two devices that each draw what the one drew.
    one = frame(polls(), ENERGY)
    other = one.with_columns(device=pl.lit("gpu:1"))
    host = one.with_columns(device=pl.lit("host"), source=pl.lit("codecarbon_estimate"))
    two = pl.concat([one, other, host]).sort("time_s", maintain_order=True)
    served = {"iterations": steps(), "requests": asked()}
    loads = {"a": {2: {**served, "energy": one}}, "b": {3: {**served, "energy": two}}}
    runs = [write(tmp_path / name, TEXT, load) for name, load in loads.items()]
    first, second = points(runs)[0].iter_rows(named=True)
    # B = 3: only 2 ever ran, so the batch filled at 2, and the windows are the same.
    assert second["energy_per_output_token_j"] == pytest.approx(2 * 775 / 13)
    assert first["energy_per_output_token_j"] == pytest.approx(775 / 13)
    assert second["tdp_estimate_j"] == pytest.approx(2 * first["tdp_estimate_j"])
    assert second["peak_memory_mb"] == 10020.0
    assert second["energy_source"] == "nvml_counter"  # the host's estimate is no headline beside a GPU


def test_diffusion(tmp_path: Path) -> None:
    # One warm-up batch, then five; a pause of 1 s before the last. Window 2 to 9 s.
    batches = [
        (0, 0, 0.0, 2.0, 4, 20, True),
        (0, 1, 2.0, 3.0, 4, 20, False),
        (0, 2, 3.0, 4.0, 4, 20, False),
        (0, 3, 4.0, 6.0, 4, 20, False),
        (0, 4, 6.0, 7.0, 4, 20, False),
        (0, 5, 8.0, 9.0, 2, 20, False),
    ]
    # 100 W, then 200 W from 5 s on, in updates of a second: 100 t up to 5 s, then 500 + 200 (t - 5).
    counter = [(t, 100.0 * t if t <= 5 else 500 + 200.0 * (t - 5)) for t in range(11)]
    energy = table_of(
        ENERGY,
        *({"device": "gpu:0", "source": "nvml_counter", "time_s": float(t), "energy_j": float(j)} for t, j in counter),
    )
    times = [(start, start, end, end) for _, _, start, end, outputs, *_ in batches for _ in range(outputs)]
    requests = frame(
        [(0, i, None, None, *of, "finished", None, None) for i, of in enumerate(times)],
        REQUESTS,
    )
    loads = {4: {"iterations": frame(batches, BATCHES), "requests": requests, "energy": energy}}
    row = points([write(tmp_path, DIFFUSION, loads)])[0].row(0, named=True)
    # 200 J at 2 s, 1300 J at 9 s; 18 outputs in 7 s.
    assert row["energy_per_response_j"] == pytest.approx(1100 / 18)
    assert row["power_w"] == pytest.approx(1100 / 7)
    assert row["responses_per_s"] == pytest.approx(18 / 7)
    assert row["mean_batch_size"] == pytest.approx(18 / 5)
    assert (row["window"], row["window_s"], row["window_responses"]) == ("batches", 7.0, 18)
    # 1 s has weight 14 of 18 (78 %), 2 s the other 4.
    assert (row["latency_p50_s"], row["latency_p90_s"]) == pytest.approx((1.0, 2.0))
    # Blocks between the ends 2, 3, 4, 6, 7, 9.
    ratio, joules, outputs = 1100 / 18, [100, 100, 300, 200, 400], [4, 4, 4, 4, 2]
    half = slow_waves([e - ratio * n for e, n in zip(joules, outputs, strict=True)]) / 18
    assert row["energy_per_response_high_j"] == pytest.approx(ratio + half, rel=1e-6)
    for name in ("energy_per_output_token_j", "queue_energy_per_response_j", "ttft_p50_s", "integrated_power_ratio"):
        assert row[name] is None


def test_overloaded_is_told_by_the_time_weighted_mean_of_running() -> None:
    # Queue window of STEPS: 1.0 to 7.0 s, 2 running but for half a second with 1.
    assert overloaded(steps(), 2) == (False, pytest.approx(11.5 / 6))
    assert overloaded(steps(), 3) == (True, pytest.approx(11.5 / 6))


def test_a_batch_that_no_request_waits_for_is_not_overloaded() -> None:
    rows = [(1.0, 1, 1, 5, 1, 1, 0), (2.0, 2, 0, 5, 2, 1, 0), (3.0, 1, 0, 0, 2, 0, 1)]
    assert overloaded(steps(rows), 8) == (False, pytest.approx(4 / 3))


def served(
    durations: list[float], tokens: list[int], first: list[int], gaps: list[list[float] | None] | None = None
) -> pl.DataFrame:
    """Iterations that follow each other, all of them inside the window; `gaps` of a server's ticks."""
    gaps = [None] * len(durations) if gaps is None else gaps
    rows = pl.DataFrame({"duration_s": durations, "output_tokens": tokens, "first_tokens": first})
    rows = rows.with_columns(token_gaps_s=pl.Series(gaps, dtype=pl.List(pl.Float32)))
    return rows.with_columns(key=pl.lit(0, KEY), end_s=pl.col("duration_s").cum_sum(), w0=0.0, w1=sum(durations))


def test_iterations_weigh_as_many_tokens_as_were_not_first() -> None:
    # Weights 1, 2, 2: 0.5 s has four of five, 1.0 s the fifth; by all output tokens 1.0 s would have 10 of 14.
    found = inter_token_latency(served([1.0, 0.5, 0.5], [10, 2, 2], [9, 0, 0])).row(0, named=True)
    assert [found[f"itl_p{q}_s"] for q in (50, 90, 95, 99)] == [0.5, 1.0, 1.0, 1.0]
    assert found["itl_p50_low_s"] is None  # three iterations are no five sections


def test_a_quantile_is_the_smallest_duration_that_reaches_its_share() -> None:
    # 0.1 s has exactly half of the tokens.
    found = inter_token_latency(served([0.2, 0.1], [5, 5], [0, 0])).row(0, named=True)
    assert (found["itl_p50_s"], found["itl_p90_s"]) == (0.1, 0.2)


def test_interpolation_does_not_round_above_the_next_update() -> None:
    # In floating point 2.3 + 8.8 / 0.7 x (0.9999999999999999 - 0.3) is 11.100000000000001, above the 11.1 J of 1.0 s.
    polls = pl.DataFrame({"time_s": [0.3, 1.0], "energy_j": [2.3, 11.1]}).with_columns(key=pl.lit(0, KEY))
    asked = pl.DataFrame({"time_s": [0.9999999999999999], "row": [0]}).with_columns(key=pl.lit(0, KEY))
    assert energy_at(updates(polls), asked)["value"].item() == 11.1


def test_a_point_that_was_cut_off_does_not_lose_its_long_answers() -> None:
    """Lengths 2, 3 and 10 were asked for; the long one was in flight at the end. Mean 15 / 3 = 5, not 5 / 2."""
    rows = [
        (0, 0, 10, 2, 0.0, 0.0, 1.0, 2.0, "finished", 2, None),
        (0, 1, 20, 3, 0.0, 0.0, 1.0, 3.0, "finished", 3, None),
        (0, 2, 60, None, 0.0, 0.0, 1.0, None, "aborted", 10, None),
    ]
    known = lengths.mean_lengths(frame(rows, REQUESTS).lazy().with_columns(key=0)).collect()
    assert known.row(0, named=True) == {"key": 0, "mean_prompt_tokens": 30.0, "mean_output_tokens": 5.0}
    stops_by_itself = frame([(*row[:-2], None, None) for row in rows], REQUESTS)
    known = lengths.mean_lengths(stops_by_itself.lazy().with_columns(key=0)).collect()
    assert known.row(0, named=True) == {"key": 0, "mean_prompt_tokens": 15.0, "mean_output_tokens": 2.5}
