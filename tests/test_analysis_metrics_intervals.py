"""Which intervals a point gets: those of its latencies, and the energy of prompt and decoded tokens."""

from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr

from joulebench.analysis import lengths, metrics
from joulebench.analysis.keyed import KEY, Recorded
from joulebench.analysis.latency import batch_latency, request_latency
from joulebench.families import DIFFUSION, TEXT
from joulebench.records.files import write_parquet
from joulebench.records.schemas import BATCHES, ENERGY, ITERATIONS, REQUESTS
from joulebench.tables.columns import BOUNDS
from joulebench.tables.point import LATENCIES
from joulebench.tables.schemas import LEADERBOARD, POINTS

T_OF_4 = 2.776445  # t(0.975) of 4 degrees of freedom, from a table


def window(end_s: float) -> pl.DataFrame:
    return pl.DataFrame({"key": [0], "start_s": [0.0], "end_s": [end_s]}).cast({"key": KEY})


def waits(first_s: list[float], waited_s: list[float]) -> pl.DataFrame:
    """Requests that were admitted so long before their first output, and aborted then."""
    rows = [
        (0, i, 9, None, first - waited, first - waited, first, None, "aborted", 9, None)
        for i, (first, waited) in enumerate(zip(first_s, waited_s, strict=True))
    ]
    return pl.DataFrame(rows, schema=REQUESTS, orient="row").with_columns(key=pl.lit(0, KEY))


def test_the_interval_of_a_quantile_is_that_of_five_sections() -> None:
    # Two requests in every 2 s of the 10: the median of two is the smaller. All in order: 1 1 2 2 3 3 3 4 5 6.
    sections = [(1.0, 3.0), (4.0, 2.0), (1.0, 5.0), (3.0, 3.0), (2.0, 6.0)]
    times = [2.0 * i + s for i in range(5) for s in (0.5, 1.5)]
    found = request_latency(waits(times, [one for pair in sections for one in pair]), window(10.0)).row(0, named=True)
    half = T_OF_4 * sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (1 - 3) ** 2 + 0 + (2 - 3) ** 2) / (5 * 4))
    assert found["ttft_p50_s"] == pytest.approx(3.0)
    assert found["ttft_p50_low_s"] == pytest.approx(3 - half, rel=1e-6)
    assert found["ttft_p50_high_s"] == pytest.approx(3 + half, rel=1e-6)
    # The 90th percentile of two is the larger of them, whatever it is: it has no interval.
    assert (found["ttft_p90_s"], found["ttft_p90_low_s"], found["ttft_p90_high_s"]) == (pytest.approx(5.0), None, None)


def test_a_section_in_which_nothing_ended_leaves_no_interval() -> None:
    found = request_latency(waits([0.1 * i for i in range(1, 80)], [1.0] * 79), window(10.0)).row(0, named=True)
    assert (found["ttft_p50_s"], found["ttft_p50_low_s"]) == (pytest.approx(1.0), None)


def batches(rows: list[tuple[float, int]]) -> pl.DataFrame:
    """Batches of (duration, outputs), one ending at every second."""
    full = [(0, i, i + 1 - duration, i + 1.0, outputs, 20, False) for i, (duration, outputs) in enumerate(rows)]
    return pl.DataFrame(full, schema=BATCHES, orient="row").with_columns(key=pl.lit(0, KEY))


def test_sections_are_weighted_as_the_whole_is() -> None:
    # Of four outputs a section, so many took 0.5 s: 1, 3, 2, 3, 0. Their medians: 1, 0.5, 0.5, 0.5, 1. Of all, 9 of 20.
    rows = [(0.5, 1), (1.0, 3), (0.5, 3), (1.0, 1), (0.5, 2), (1.0, 2), (0.5, 3), (1.0, 1), (1.0, 2), (1.0, 2)]
    found = batch_latency(batches(rows), window(10.0)).row(0, named=True)
    half = T_OF_4 * sqrt(3 * 0.5**2 / (5 * 4))
    assert found["latency_p50_s"] == 1.0
    assert found["latency_p50_low_s"] == pytest.approx(1 - half, rel=1e-6)
    # A batch of no outputs is no observation: the first section is left with one, where a median needs two.
    fewer = batch_latency(batches([(0.5, 0), *rows[1:]]), window(10.0)).row(0, named=True)
    assert (fewer["latency_p50_s"], fewer["latency_p50_low_s"]) == (1.0, None)


def test_intervals_of_quantiles_cover_dependent_latencies() -> None:
    """600 windows of 400 exponential latencies, AR(1) with 0.5 underneath: the truth is in about 95 % of them."""
    rng, shape = np.random.default_rng(5), (600, 400)
    waited = -np.log1p(-ndtr(lfilter([sqrt(0.75)], [1.0, -0.5], rng.normal(size=shape), axis=1)))
    first = np.sort(rng.uniform(0, 20, shape), axis=1)
    keys = np.repeat(np.arange(600), 400)
    rows = pl.DataFrame({"key": keys, "first_output_s": first.ravel(), "admitted_s": (first - waited).ravel()})
    rows = rows.with_columns(
        submitted_s="admitted_s",
        finished_s=pl.lit(None, pl.Float64),
        output_tokens=1,
        status=pl.lit("aborted"),
        begun_output_tokens=None,
    )
    bounds = pl.DataFrame({"key": np.arange(600)}).with_columns(start_s=0.0, end_s=20.0)
    found = request_latency(rows.cast({"key": KEY}), bounds.cast({"key": KEY}))
    for q in (50, 90):
        truth = -log(1 - q / 100)
        inside = found.select((pl.col(f"ttft_p{q}_low_s") <= truth) & (truth <= pl.col(f"ttft_p{q}_high_s")))
        assert 0.92 <= inside.to_series().mean() <= 0.98  # 600 windows tell 95 % to within 2 %


DECODED_J, PROMPT_J = 0.5, 0.02


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    """A point of 40 steps of 1 s, each of 8 output tokens and now and then a prompt, whose energy is exactly that."""
    prompts = [30 * (i % 3) + 7 * (i % 5) for i in range(40)]
    steps = [
        (0, i, i + 1.0, 2, 1 if i < 38 else 0, prompt, 8, 1 if prompt else 0, 2 if i == 2 else 0, 0, 0.1, None)
        for i, prompt in enumerate(prompts)
    ]
    served = [(10, 5), (30, 15), (100, 1)]  # the first two are the sample: 40 prompt tokens to 20 asked
    requests = [(0, i, p, None, 0.0, 0.0, None, None, "aborted", asked, None) for i, (p, asked) in enumerate(served)]
    drawn = np.cumsum([0.0, *(DECODED_J * 8 + PROMPT_J * prompt for prompt in prompts)])
    energy = [("gpu:0", "nvml_counter", float(i), float(joules), 5.0, *(None,) * 8) for i, joules in enumerate(drawn)]
    frames = {
        "iterations": pl.DataFrame(steps, schema=ITERATIONS, orient="row"),
        "requests": pl.DataFrame(requests, schema=REQUESTS, orient="row"),
        "energy": pl.DataFrame(energy, schema=ENERGY, orient="row"),
    }
    for name, frame in frames.items():
        write_parquet(frame, tmp_path / f"{name}.parquet")
    sizes = pl.DataFrame(
        [{"key": 0, "load": "closed-loop"} | {"max_batch_size": 2, "run": "a", "sampled": 2}], schema=metrics.SIZES
    )
    return metrics.text(Recorded.read({0: tmp_path}, TEXT), sizes).row(0, named=True)


def test_energy_of_prompt_and_decoded_tokens_is_told_apart(row: dict[str, Any]) -> None:
    expected = {
        "energy_per_decoded_token": DECODED_J,
        "energy_per_prompt_token": PROMPT_J,
        "energy_per_output_token": DECODED_J + 40 / 20 * PROMPT_J,
        "energy_per_response": 10 * DECODED_J + 20 * PROMPT_J,  # the two sampled: 40 prompt tokens, 20 asked
    }
    for name, joules in expected.items():
        assert [row[f"{name}{bound}_j"] for bound in BOUNDS] == pytest.approx([joules] * 3)
    assert row["estimate"] == "adjusted"
    # The window's own mix is another.
    assert row["plain_energy_per_output_token_j"] != pytest.approx(expected["energy_per_output_token"], rel=0.01)
    assert row["plain_energy_per_output_token_j"] * row["output_tokens_per_s"] == pytest.approx(row["power_w"])
    assert row["plain_energy_per_response_j"] * row["responses_per_s"] == pytest.approx(row["power_w"])


@pytest.mark.parametrize(("count", "known"), [(2, False), (3, True)])
def test_three_batches_are_enough_for_an_interval(tmp_path: Path, count: int, known: bool) -> None:
    # Four outputs and 100 J in every second, so that nothing varies.
    rows = batches([(1.0, 4)] * count).drop("key")
    joules = [("gpu:0", "nvml_counter", float(i), 100.0 * i, 100.0, *(None,) * 8) for i in range(count + 1)]
    write_parquet(rows, tmp_path / "iterations.parquet")
    write_parquet(pl.DataFrame(joules, schema=ENERGY, orient="row"), tmp_path / "energy.parquet")
    write_parquet(pl.DataFrame(schema=REQUESTS), tmp_path / "requests.parquet")
    recorded = Recorded.read({0: tmp_path}, DIFFUSION)
    row = metrics.diffusion(recorded, pl.DataFrame({"key": [0]}).cast({"key": KEY})).row(0, named=True)
    for name, unit, value in (("energy_per_response", "j", 25.0), ("power", "w", 100.0), ("responses", "per_s", 4.0)):
        figure, low, high = (row[f"{name}{bound}_{unit}"] for bound in BOUNDS)
        assert figure == pytest.approx(value)
        assert (low, high) == ((pytest.approx(value), pytest.approx(value)) if known else (None, None))


def samples(
    requests: list[tuple[int, int, int, int | None]],
    runs: list[str],
    sampled: int,
    ended: list[int | None] | None = None,
    **told: list[float | None],
) -> list[tuple[float | None, float | None]]:
    """Mean prompt and output tokens of each point's sample, of points 0, 1 .. of `runs`.

    `requests`: (key, request, prompt tokens, asked output tokens); `ended`: the output tokens of those that finished.
    """
    ended = [None] * len(requests) if ended is None else ended
    rows = pl.LazyFrame(requests, schema=["key", "request", "prompt_tokens", "asked_output_tokens"], orient="row")
    rows = rows.with_columns(begun_output_tokens=None, output_tokens=pl.Series(ended, dtype=pl.Int64))
    known = [{"key": key, "run": run, "sampled": sampled} for key, run in enumerate(runs)]
    sizes = pl.DataFrame(known, schema=metrics.SIZES).with_columns(
        pl.Series(name, values, pl.Float64) for name, values in told.items()
    )
    found = lengths.sample_lengths(rows.cast({"key": KEY}), sizes.lazy()).collect()
    assert found["key"].to_list() == list(range(len(runs)))
    return found.select("sample_prompt_tokens", "sample_output_tokens").rows()


def test_the_mix_of_a_run_is_that_of_its_whole_sample() -> None:
    # Point 1 alone came through the sample of 2, and began again: 30 prompt tokens to 10. Point 2 is another run's.
    served = [(0, 0, 10, 4), (1, 0, 10, 4), (1, 1, 20, 6), (1, 2, 10, 4), (2, 0, 10, 4)]
    assert samples(served, ["a", "a", "b"], 2) == [(15.0, 5.0), (15.0, 5.0), (None, None)]


def test_what_the_records_say_of_the_sample_needs_no_point_that_served_it() -> None:
    told = {"sample_prompt_tokens": [None, None, 7.0], "sample_output_tokens": [None, None, 3.5]}
    served = [(0, 0, 10, 4), (1, 0, 10, 4), (2, 0, 10, 4)]
    assert samples(served, ["a", "a", "b"], 2, **told) == [(None, None), (None, None), (7.0, 3.5)]


def test_answers_that_end_by_themselves_are_known_where_the_whole_sample_was_answered() -> None:
    free = [(0, 0, 10, None), (0, 1, 20, None), (1, 0, 10, None), (1, 1, 20, None), (1, 2, 10, None)]
    # Point 0 ended while its second answer was under way; in point 1 both came to their end, and a third was begun.
    assert samples(free, ["a", "a"], 2, [3, None, 3, 9, None]) == [(15.0, 6.0), (15.0, 6.0)]
    assert samples(free, ["a", "a"], 2, [3, None, None, 9, 3]) == [(None, None), (None, None)]
    assert samples([(0, 0, 10, 5), (0, 1, 20, None)], ["a"], 2) == [(None, None)]


def test_the_leaderboard_leaves_the_intervals_of_latencies_to_the_points() -> None:
    kept = [name for name in LEADERBOARD if name.startswith(tuple(LATENCIES)) and "_p" in name]
    assert kept == [f"{name}_p{q}_s" for name in LATENCIES for q in (50, 90, 95, 99)]
    assert {f"{name}_p{q}_{end}_s" for name in LATENCIES for q in (50, 99) for end in ("low", "high")} <= set(POINTS)
    assert {"power_low_w", "output_tokens_high_per_s", "energy_per_prompt_token_low_j"} <= set(LEADERBOARD)
