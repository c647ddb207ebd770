"""What must hold for any recording."""

import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joulebench.analysis import metrics, windows
from joulebench.analysis.energy import Drawn, energy_at, updates
from joulebench.analysis.intervals import ratio as ratio_of
from joulebench.analysis.keyed import KEY, Recorded
from joulebench.families import TEXT
from joulebench.loads.stretch import inside, with_durations
from joulebench.records.files import write_parquet
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS

counts, durations = st.integers(0, 4), st.floats(0.001, 3.0)


@st.composite
def loads(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Iterations, requests and energy of a point that is polled for longer than it runs."""
    steps = draw(st.lists(st.tuples(durations, counts, counts, counts, counts), min_size=4, max_size=14))
    end, rows = 0.0, []
    for index, (duration, running, waiting, tokens, finished) in enumerate(steps):
        end += duration
        rows.append((0, index, end, running, waiting, 3 * tokens, 1 + tokens, tokens, finished, 0, 0.0, None))
    iterations = pl.DataFrame(rows, schema=ITERATIONS, orient="row")
    lengths = draw(st.lists(st.integers(1, 50), min_size=1, max_size=5))
    served = [(0, i, 7, length, 0.0, 0.0, 0.5 * end, end, "finished", None, None) for i, length in enumerate(lengths)]
    requests = pl.DataFrame(served, schema=REQUESTS, orient="row")
    return iterations, requests, draw(counters(end))


@st.composite
def counters(draw: st.DrawFn, end: float) -> pl.DataFrame:
    """A counter that rises by fits and starts, polled every half second from -1 s to `end` + 2 s."""
    count = int((end + 3) / 0.5) + 1
    rises = draw(st.lists(st.floats(0, 500), min_size=count, max_size=count))
    total, rows = 0.0, []
    for index, rise in enumerate(rises):
        # The first and the last poll bring news, so that the whole point lies within the updates.
        total += rise + (1.0 if index in (0, count - 1) else 0.0)
        rows.append(("gpu:0", "nvml_counter", -1 + 0.5 * index, total, 2 * rise, *(None,) * 8))
    return pl.DataFrame(rows, schema=ENERGY, orient="row")


def figures(folder: Path, load: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], batch: int) -> dict[str, float]:
    for name, rows in zip(("iterations", "requests", "energy"), load, strict=True):
        write_parquet(rows, folder / f"{name}.parquet")
    sizes = pl.DataFrame(
        [{"key": 0, "load": "closed-loop"} | {"max_batch_size": batch, "run": "a", "sampled": 3}], schema=metrics.SIZES
    )
    return metrics.text(Recorded.read({0: folder}, TEXT), sizes).row(0, named=True)


@pytest.mark.slow
@given(load=loads(), batch=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_figures_of_a_point_agree_with_each_other(
    tmp_path_factory: pytest.TempPathFactory, load: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], batch: int
) -> None:
    row = figures(tmp_path_factory.mktemp("any", numbered=True), load, batch)
    if row["window"] is None:
        assert row["missing"].startswith("no stationary window: ")
        assert row["energy_j"] is None
        assert row["energy_per_output_token_j"] is None
        return
    assert row["missing"] is None
    assert row["energy_j"] >= 0
    assert row["queue_energy_j"] >= row["energy_j"] * (1 - 1e-12)
    if row["estimate"] == "plain":  # mostly: few blocks do not tell prompts from outputs
        assert row["plain_energy_per_output_token_j"] == row["energy_per_output_token_j"]
    token_j, tokens_per_s = row["plain_energy_per_output_token_j"], row["output_tokens_per_s"]
    length, response_j = row["response_output_tokens"], row["plain_energy_per_response_j"]
    assert row["power_w"] == pytest.approx(token_j * tokens_per_s, rel=1e-12, abs=1e-12)
    assert response_j == pytest.approx(token_j * length, rel=1e-12)
    assert row["energy_per_response_j"] == pytest.approx(row["energy_per_output_token_j"] * length, rel=1e-12)
    assert row["power_w"] == pytest.approx(response_j * row["responses_per_s"], rel=1e-12, abs=1e-12)
    assert row["energy_per_total_token_j"] <= token_j
    assert row["itl_p50_s"] is None or row["itl_p50_s"] <= row["itl_p90_s"] <= row["itl_p99_s"]


@pytest.mark.slow
@given(data=st.data(), end=st.floats(0.5, 5), fraction=st.floats(0, 1))
@settings(deadline=None, max_examples=120)
def test_energies_of_two_halves_add_up_and_none_is_negative(data: st.DataObject, end: float, fraction: float) -> None:
    polls = data.draw(counters(end)).with_columns(key=pl.lit(0, KEY))
    times = pl.DataFrame({"key": [0] * 3, "time_s": [0.0, fraction * end, end], "row": [0, 1, 2]}).cast({"key": KEY})
    counted = energy_at(updates(polls), times).sort("row")["value"]
    for start, cut, stop in (counted, Drawn(polls).integrated_power_j(times, "time_s")):
        assert cut - start >= 0
        assert stop - cut >= 0
        assert (cut - start) + (stop - cut) == pytest.approx(stop - start, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@given(load=loads(), fraction=st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_tokens_of_two_halves_add_up(load: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], fraction: float) -> None:
    rows = with_durations(load[0].with_columns(key=pl.lit(0, KEY)).lazy()).collect()
    last = float(load[0]["end_s"][-1])

    def tokens(start: float, end: float) -> int:
        bounds = pl.DataFrame({"key": [0], "start_s": [start], "end_s": [end]}).cast({"key": KEY})
        return int(inside(rows, bounds)["output_tokens"].sum())

    assert tokens(0.0, fraction * last) + tokens(fraction * last, last) == load[0]["output_tokens"].sum()


@pytest.mark.slow
@given(load=loads(), batch=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_blocks_hold_the_window_exactly_once(load: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], batch: int) -> None:
    rows = with_durations(load[0].with_columns(key=pl.lit(0, KEY)).lazy()).collect()
    found = windows.text_windows(rows.lazy(), windows.one_size(batch)).collect()
    start, end = found.select("start_s", "end_s").row(0)
    served = inside(rows, found)
    blocks = windows.blocks(served)
    assert blocks["output_tokens"].sum() == served["output_tokens"].sum()
    if start is not None:
        assert blocks["end_s"][-1] == end
        assert blocks["duration_s"].sum() == pytest.approx(end - start)
        assert blocks["block"].is_unique().all()
        assert blocks["block"].max() < max(20, end - start)


@given(ratio=st.floats(0.01, 100), amounts=st.lists(st.integers(1, 99), min_size=5, max_size=30))
@settings(deadline=None, max_examples=60)
def test_an_energy_in_proportion_has_no_interval(ratio: float, amounts: list[int]) -> None:
    joules = [ratio * amount for amount in amounts]
    found = ratio_of(joules, amounts)
    assert found.value == pytest.approx(ratio)
    assert found.half_width == pytest.approx(0.0, abs=1e-9 * ratio)
    assert math.isnan(ratio_of(joules[:2], amounts[:2]).half_width)
