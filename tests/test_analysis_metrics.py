"""Two real recordings of an H100 serving Llama-3.1-8B's shape, against the table of a first, separate analysis."""

from pathlib import Path

import polars as pl
import pytest
from building import SHARED, fitted

from joulebench.analysis import metrics
from joulebench.analysis.keyed import Recorded
from joulebench.families import TEXT
from joulebench.records.files import write_parquet
from joulebench.records.models import point_folder
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS

ORIGINALS = SHARED / "recordings"
ONCE, SWEEP = ORIGINALS / "h100-llama-3.1-8b-shape", ORIGINALS / "h100-llama-3.1-8b-shape-sweep"
pytestmark = pytest.mark.skipif(not ORIGINALS.exists(), reason="the recordings lie beside the checkout, in shared/")

# Point -> J per output token of the queue window, of the stationary one, and seconds of both.
ONCE_TABLE = {
    0: (0.05002, 11.1, 0.05214, 5.3),
    1: (0.05128, 11.9, 0.05430, 6.0),
    2: (0.05124, 11.5, 0.05366, 5.6),
    3: (0.05133, 11.5, 0.05385, 5.6),
}
# Batch size -> J per output token, tokens/s, W, mean running, ITL p50 and p99 in ms, counter / integrated power,
# half-width of the interval in %.
SWEEP_TABLE = {
    8: (0.4009, 1149, 461, 7.93, 6.7, 14.1, 1.004, 1.6),
    16: (0.2231, 2170, 484, 15.89, 7.0, 17.9, 1.004, 1.3),
    32: (0.1346, 3973, 535, 31.76, 7.4, 27.3, 1.005, 1.8),
    64: (0.0912, 6688, 610, 63.53, 8.4, 34.6, 1.002, 2.5),
    128: (0.0657, 10160, 668, 127.1, 10.3, 40.4, 1.002, 2.6),
    256: (0.0531, 12620, 670, 254.2, 16.2, 60.3, 1.002, 3.8),
    512: (0.0507, 12997, 659, 507.5, 38.2, 87.9, 1.001, 3.6),
}


def write_point(run: Path, point: int, batch: int, **frames: pl.DataFrame) -> None:
    place = run / "points" / point_folder(point, f"b{batch}")
    schemas = {"iterations": ITERATIONS, "requests": REQUESTS, "energy": ENERGY}
    for name, schema in schemas.items():
        write_parquet(fitted(frames[name], schema), place / f"{name}.parquet")


def figures(run: Path, batches: list[int]) -> pl.DataFrame:
    """The figures of the points alone: the recordings are older than the records, and lack what belongs with them."""
    folders = {i: run / "points" / point_folder(i, f"b{batch}") for i, batch in enumerate(batches)}
    known = [(i, "closed-loop", batch, "run", 768, None, None, None) for i, batch in enumerate(batches)]
    sizes = pl.DataFrame(known, schema=metrics.SIZES, orient="row")
    found = metrics.text(Recorded.read(folders, TEXT), sizes)
    return found.join(sizes.select("key", "max_batch_size"), on="key")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Four repeats of 768 requests submitted at once; of a request only the lengths were kept."""
    run = tmp_path_factory.mktemp("once")
    iterations, energy = (pl.read_parquet(ONCE / f"{name}.parquet") for name in ("iterations", "energy"))
    requests = pl.read_parquet(ONCE / "requests.parquet").with_columns(status=pl.lit("finished"))
    for point in range(4):
        mine = pl.col("point") == point
        write_point(run, point, 256, iterations=iterations.filter(mine), requests=requests, energy=energy.filter(mine))
    return figures(run, [256] * 4)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Closed loop: the generator's queue never emptied, but `waiting` counts the engine's own queue alone."""
    run = tmp_path_factory.mktemp("sweep")
    iterations, energy = (pl.read_parquet(SWEEP / f"{name}.parquet") for name in ("iterations", "energy"))
    for point, batch in enumerate(SWEEP_TABLE):
        mine = iterations.filter(pl.col("point") == point).with_columns(pl.col("waiting") + 1)
        write_point(run, point, batch, iterations=mine, requests=pl.DataFrame(), energy=energy)
    return figures(run, list(SWEEP_TABLE))


def test_energy_of_both_windows_of_four_repeats(once: pl.DataFrame) -> None:
    for row, (queue_j, _, stationary_j, seconds) in zip(once.iter_rows(named=True), ONCE_TABLE.values(), strict=True):
        assert row["queue_energy_per_output_token_j"] == pytest.approx(queue_j, rel=0.001)
        assert row["energy_per_output_token_j"] == pytest.approx(stationary_j, rel=0.001)
        assert row["window_s"] == pytest.approx(seconds, abs=0.05)
        assert row["window_responses"] == 256  # 768 requests: 256 in the first turnover, 256 in the drain


def test_what_was_not_recorded_is_null(once: pl.DataFrame, sweep: pl.DataFrame) -> None:
    unknown = [name for name in once.columns if name.startswith(("itl", "ttft", "submission_ttft", "tpot", "latency"))]
    assert len(unknown) == 61  # four quantiles of five, each with an interval; and ttft_share
    assert once.select(unknown).null_count().sum_horizontal().item() == 244
    assert sweep["energy_per_response_j"].null_count() == 7  # no lengths of requests were recorded
    assert sweep["itl_p50_s"].null_count() == 0


def test_response_is_a_mean_response(once: pl.DataFrame) -> None:
    tokens = pl.read_parquet(ONCE / "requests.parquet")["output_tokens"]
    assert once["mean_output_tokens"].to_list() == [sum(tokens) / 768] * 4
    assert once["energy_per_response_j"][0] == pytest.approx(0.05214 * sum(tokens) / 768, rel=0.001)


def test_sweep(sweep: pl.DataFrame) -> None:
    for row, (batch, expected) in zip(sweep.iter_rows(named=True), SWEEP_TABLE.items(), strict=True):
        token_j, tokens_per_s, watts, running, p50_ms, p99_ms, ratio, half_width = expected
        assert row["max_batch_size"] == batch
        assert row["energy_per_output_token_j"] == pytest.approx(token_j, rel=0.003)
        assert row["output_tokens_per_s"] == pytest.approx(tokens_per_s, rel=0.001)
        assert row["power_w"] == pytest.approx(watts, rel=0.002)
        assert row["mean_batch_size"] == pytest.approx(running, rel=0.002)
        assert row["itl_p50_s"] == pytest.approx(p50_ms / 1000, rel=0.01)
        # The table's p99 is not weighted by tokens: 14.1 ms at B = 8, where the weighted one is 13.4.
        assert row["itl_p99_s"] == pytest.approx(p99_ms / 1000, rel=0.06)
        # The table integrates between the polls inside the window, without the pieces at its ends.
        assert row["integrated_power_ratio"] == pytest.approx(ratio, abs=0.005)
        half = row["energy_per_output_token_high_j"] - row["energy_per_output_token_j"]
        # The table takes seconds for independent: 19 degrees of freedom, t = 2.1. Slow waves have 3, t = 3.2.
        assert half_width < 100 * half / row["energy_per_output_token_j"] < 2.3 * half_width
        assert row["window_s"] == pytest.approx(20.0, abs=0.1)
        assert row["window"] == "stationary"
        assert row["energy_source"] == "nvml_counter"
