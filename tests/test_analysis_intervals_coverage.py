"""Intervals hold the truth as often as they say: simulated recordings of known truth, few of them, wide bounds.

benchmarks/interval_coverage.py has many.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from building import fitted
from methods import TIMED, adjusted_by_length, at_once, by_rule, first
from served import times
from simulated import Recording, simulate

from joulebench.analysis import drift, intervals, metrics
from joulebench.analysis.keyed import Recorded
from joulebench.families import TEXT
from joulebench.records.files import write_parquet
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS

RUNS = 200


@pytest.fixture(scope="module", params=[8, 64])
def simulated(request: pytest.FixtureRequest) -> list[Recording]:
    return simulate(request.param, 45.0, RUNS, seed=3)


@pytest.mark.slow
def test_a_long_run_gives_the_energy_that_is_taken_for_true() -> None:
    for run in simulate(32, 400.0, 3, seed=1):
        blocks = run.blocks(run.turned_s, 400.0)
        assert blocks.energy_j.sum() / blocks.output_tokens.sum() == pytest.approx(run.true_j, rel=0.004)


@pytest.mark.slow
def test_twenty_seconds(simulated: list[Recording]) -> None:
    held: dict[str, list[bool]] = {name: [] for name in TIMED}
    bias = []
    for run in simulated:
        blocks = run.blocks(run.turned_s, 20.0)
        for name, figure in TIMED.items():
            found = figure(blocks, run)
            held[name].append(abs(found.value - run.true_j) <= found.half_width)
        bias.append(found.value / run.true_j - 1)
    assert 0.90 <= np.mean(held["plain"]) <= 0.995
    assert 0.90 <= np.mean(held["adjusted"]) <= 0.99
    # If blocks taken for independent did as well, nothing would have been tested.
    assert np.mean(held["adjusted, independent blocks"]) < np.mean(held["adjusted"]) - 0.05
    assert abs(np.mean(bias)) < 0.002


@pytest.mark.slow
def test_stopped_by_the_rule(simulated: list[Recording]) -> None:
    held, held_at_once, seconds = [], [], []
    for run in simulated:
        blocks = run.blocks(run.turned_s, 45.0)
        for kept, stop in ((held, by_rule(True, 0.02)), (held_at_once, at_once(TIMED["plain"], 0.01))):
            got = first(blocks, stop(blocks, run))
            found = TIMED["adjusted" if kept is held else "plain"](got, run)
            kept.append(abs(found.value - run.true_j) <= found.half_width)
            if kept is held:
                seconds.append(got.s.sum())
    assert 0.90 <= np.mean(held) <= 0.99
    assert np.mean(held_at_once) < 0.88
    assert np.mean(seconds) < 25


@pytest.mark.slow
def test_a_window_of_two_turnovers() -> None:
    """Of a large model: 105 s of it have 9 waves, of which the first three are as slow as the batch changes."""
    made = simulate(256, 105.0, RUNS, seed=6, server=times(10.0), requests=5000)
    held: dict[str, list[bool]] = {"adjusted": [], "by length": []}
    for run in made:
        blocks = run.blocks(run.turned_s, 105.0)
        for name, figure in (("adjusted", TIMED["adjusted"]), ("by length", adjusted_by_length)):
            found = figure(blocks, run)
            held[name].append(abs(found.value - run.true_j) <= found.half_width)
    assert np.mean(held["by length"]) < 0.85
    assert 0.88 <= np.mean(held["adjusted"]) <= 0.99


@pytest.mark.slow
def test_windows_that_begin_with_the_start_drift() -> None:
    made = simulate(256, 20.0, 100, seed=4)
    fired = []
    for start in ("filled_s", "turned_s"):
        cut = [run.blocks(getattr(run, start), 20.0 + run.turned_s - getattr(run, start)) for run in made]
        fired.append(np.mean([drift.geweke(one.energy_j, one.output_tokens) > drift.LIMIT for one in cut]))
    assert fired[0] > 0.95
    assert fired[1] < 0.05


def test_a_recording_is_cut_as_the_records_of_a_real_one_are(tmp_path: Path) -> None:
    [run] = simulate(64, 20.0, 1, seed=5)
    steps = run.end_s.size
    last = np.searchsorted(run.end_s, run.turned_s + 20.0)
    iterations = {
        "end_s": run.end_s,
        "running": np.where(run.end_s >= run.filled_s, 64, 0),
        "waiting": (np.arange(steps) <= last).astype(int),
        "prompt_tokens": run.prompt_tokens,
        "output_tokens": run.output_tokens,
        "first_tokens": np.zeros(steps),
        "finished": run.finished,
        "preempted": np.zeros(steps),
        "kv_cache_usage": np.zeros(steps),
        "point": np.zeros(steps),
        "iteration": np.arange(steps),
    }
    energy = pl.DataFrame({"time_s": run.update_s, "energy_j": run.update_j}).with_columns(
        device=pl.lit("gpu:0"), source=pl.lit("nvml_counter")
    )
    tables = {
        "iterations": fitted(pl.DataFrame(iterations), ITERATIONS),
        "requests": pl.DataFrame(schema=REQUESTS),
        "energy": fitted(energy, ENERGY),
    }
    for name, rows in tables.items():
        write_parquet(rows, tmp_path / f"{name}.parquet")
    sizes = pl.DataFrame(
        [{"key": 0, "load": "closed-loop"} | {"max_batch_size": 64, "run": "0", "sampled": 500}], schema=metrics.SIZES
    )
    row = metrics.text(Recorded.read({0: tmp_path}, TEXT), sizes).row(0, named=True)
    blocks = run.blocks(run.turned_s, 20.0)
    found = intervals.ratio(blocks.energy_j, blocks.output_tokens)
    assert blocks.s.size == 20
    assert row["plain_energy_per_output_token_j"] == pytest.approx(found.value, rel=1e-9)
    assert row["plain_energy_per_output_token_high_j"] == pytest.approx(found.value + found.half_width, rel=1e-9)
    assert row["drift_z"] == pytest.approx(drift.geweke(blocks.energy_j, blocks.output_tokens))
