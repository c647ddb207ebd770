"""Static batches from the records on: their windows and figures worked out by hand, and a small run measured whole."""

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import prepare_tiny, table_of, tiny_spec

from joulebench.analysis import metrics
from joulebench.analysis.keyed import Recorded
from joulebench.analysis.points import WantedRun, points
from joulebench.config import sweeps
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import OutputLength
from joulebench.engines import open_engine
from joulebench.families import TEXT
from joulebench.loads.closed_loop import overloaded
from joulebench.measure.run import measure
from joulebench.records.files import read_parquet, read_run, write_parquet
from joulebench.records.models import EngineStart
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS

BATCHES = 4


def steps(left: tuple[int, ...]) -> pl.DataFrame:
    """Four batches of 2 s: 1 s of prefill, then two steps of 0.5 s; answers of 3 and 2 tokens; `left` wait."""
    rows: list[tuple[Any, ...]] = []
    for batch, waiting in enumerate(left):
        at = 2.0 * batch
        rows.append((0, len(rows), at + 1.0, 2, waiting, 20, 2, 2, 0, 0, None, None))
        rows.append((0, len(rows), at + 1.5, 2, waiting, 0, 2, 0, 0, 0, None, None))
        rows.append((0, len(rows), at + 2.0, 2, waiting, 0, 1, 0, 2, 0, None, None))
    return pl.DataFrame(rows, schema=ITERATIONS, orient="row")


ENDED = ("finished", None, None)


def requests() -> pl.DataFrame:
    rows = [
        (0, 2 * batch + place, 10, tokens, *(2.0 * batch, 2.0 * batch, 2 * batch + 1.0, 2 * batch + 2.0), *ENDED)
        for batch in range(BATCHES)
        for place, tokens in enumerate((3, 2))
    ]
    return pl.DataFrame(rows, schema=REQUESTS, orient="row")


def energy() -> pl.DataFrame:
    """A counter that moves every 0.5 s: 100 W in a prefill, 40 W in a decode; 140 J a batch."""
    drawn, rows = 0.0, []
    for half in range(20):
        rows.append({"time_s": half / 2, "energy_j": drawn, "power_w": None})
        drawn += 50.0 if half % 4 in (0, 1) else 20.0
    return table_of(ENERGY, *({"device": "gpu:0", "source": "nvml_counter"} | row for row in rows))


def figures(folder: Path, iterations: pl.DataFrame) -> dict[str, Any]:
    tables = {"iterations": iterations, "requests": requests(), "energy": energy()}
    for name, table in tables.items():
        write_parquet(table, folder / f"{name}.parquet")
    sizes = pl.DataFrame(
        [{"key": 0, "load": "closed-loop"} | {"max_batch_size": 2, "run": "0", "sampled": 8}], schema=metrics.SIZES
    )
    return metrics.text(Recorded.read({0: folder}, TEXT), sizes).row(0, named=True)


@pytest.mark.parametrize(("left", "batches"), [((9, 9, 9, 9), 3), ((6, 4, 2, 0), 2)])
def test_the_stationary_window_holds_whole_batches(tmp_path: Path, left: tuple[int, ...], batches: int) -> None:
    """Without the first batch, the turnover, and without the last where nothing waits for it."""
    row = figures(tmp_path, steps(left))
    assert (row["start_s"], row["end_s"]) == (2.0, 2.0 + 2 * batches)
    # 140 J for 5 tokens of answers to 20 tokens of prompts, whatever the number of batches.
    assert row["energy_per_output_token_j"] == pytest.approx(140 / 5)
    assert row["energy_per_total_token_j"] == pytest.approx(140 / 25)
    assert row["energy_per_response_j"] == pytest.approx(140 / 2)
    # Each batch is alike, and so the interval has no width, though its seconds are not: of two batches nothing is told.
    bounds = [row["energy_per_output_token_low_j"], row["energy_per_output_token_high_j"]]
    assert bounds == ([pytest.approx(140 / 5)] * 2 if batches == 3 else [None, None])
    assert row["power_w"] == pytest.approx(70.0)
    assert row["output_tokens_per_s"] == pytest.approx(2.5)
    assert row["mean_batch_size"] == pytest.approx(2.0)
    assert row["window_responses"] == 2 * batches
    assert overloaded(steps(left), 2) == (False, pytest.approx(2.0))


def test_latencies_of_static_batches(tmp_path: Path) -> None:
    row = figures(tmp_path, steps((9, 9, 9, 9)))
    # A prefill gives first tokens alone: it has no weight. The first token is there after 1 s.
    assert [row[f"itl_p{q}_s"] for q in (50, 90, 95, 99)] == pytest.approx([0.5] * 4)
    assert row["ttft_p99_s"] == pytest.approx(1.0)
    # Both answers are returned 1 s after their first tokens, one of 2 further tokens and one of 1.
    assert (row["tpot_p50_s"], row["tpot_p90_s"]) == pytest.approx((0.5, 1.0))
    assert row["latency_p50_s"] == pytest.approx(2.0)


@pytest.mark.slow
def test_a_small_run_with_images_is_measured_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_tiny("vlm-chat", tmp_path / "asked.parquet", tmp_path / "model")
    sweep = sweeps.Sweep(batch_sizes=(1, 4), protocol=sweeps.Timed(kind="timed", seconds=0.5))
    spec = tiny_spec("vlm-chat", sweep=sweep, output_length=OutputLength(kind="fixed", tokens=8))
    start = EngineStart(process="fork", compile_cache="cold")

    def opened(spec: RunSpec, *given: Any) -> Any:
        engine: Any = open_engine(spec, *given)
        engine.start = start
        return engine

    monkeypatch.setattr("joulebench.measure.run.engines.open_engine", opened)
    run = measure(spec, tmp_path / "asked.parquet", tmp_path / "model", tmp_path / "run")
    assert read_run(tmp_path / "run") == run
    assert run.engine_start == start
    assert run.points_sha256 == {
        folder.name: {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        for folder in (tmp_path / "run" / "points").iterdir()
    }
    assert [(one.status, one.max_batch_size) for one in run.points] == [("measured", 1), ("measured", 4)]
    for batch, folder in zip((1, 4), sorted((tmp_path / "run" / "points").iterdir()), strict=True):
        iterations = read_parquet(folder / "iterations.parquet", ITERATIONS)
        served = read_parquet(folder / "requests.parquet", REQUESTS)
        # Eight tokens an answer: a prefill, then seven steps, and so on to the end of a batch.
        assert iterations.height % 8 == 0
        place = pl.int_range(pl.len()) % 8
        prefills, decodes = iterations.filter(place == 0), iterations.filter(place > 0)
        assert (prefills["prompt_tokens"] > 64 * batch).all()  # 8 x 8 patches an image, and the words
        assert (prefills["first_tokens"] == batch).all()
        assert decodes.select(pl.col("prompt_tokens", "first_tokens").sum()).row(0) == (0, 0)
        assert (iterations["output_tokens"] == batch).all()
        assert (iterations["running"] == batch).all()
        assert served["status"].unique().to_list() == ["finished"]
        assert served["output_tokens"].unique().to_list() == [8]
        assert prefills["prompt_tokens"].sum() == served["prompt_tokens"].sum()
    table, left_out = points([WantedRun(tmp_path / "run", spec, None)])
    assert left_out.is_empty()
    assert table["mean_batch_size"].to_list() == pytest.approx([1.0, 4.0])
    assert table["mean_output_tokens"].to_list() == [8.0, 8.0]
