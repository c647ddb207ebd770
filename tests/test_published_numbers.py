"""Published figures, recomputed from their raw records by arithmetic that shares nothing with joulebench.analysis."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from building import RESULTS

from joulebench.tables.files import read_csv
from joulebench.tables.schemas import POINTS

LLAMA, GEMMA = "meta-llama/Llama-3.1-8B-Instruct", "google/gemma-2-2b-it"
MISTRAL, QWEN = "mistralai/Mistral-7B-Instruct-v0.3", "Qwen/Qwen3-8B"
CODE_LLAMA = "codellama/CodeLlama-7b-hf"

RIGHT = {
    ("h100", "llm-chat", LLAMA, 16): 62.67,
    ("h100", "llm-chat", GEMMA, 8): 47.73,
    ("h100", "llm-chat", MISTRAL, 16): 59.24,
    ("h100", "llm-chat", QWEN, 16): 64.86,
    ("h100", "llm-code", CODE_LLAMA, 64): 6.867,
    ("h200", "llm-chat", GEMMA, 8): 42.46,
    ("h200", "llm-chat", LLAMA, 8): 102.28,
    ("h200", "llm-chat", LLAMA, 16): 56.56,
    ("h200", "llm-chat", LLAMA, 32): 33.25,
}
"""Plain J per response of the sample's mean answer, as an independent recomputation found it."""
MEAN_ANSWER = {"llm-chat": 308.232, "llm-code": 56.60366}
"""Output tokens of the 500 and of the 164 sampled answers."""


@cache
def published(hardware: str) -> pl.DataFrame:
    return read_csv(RESULTS / hardware / "points.csv", POINTS)


def row_of(hardware: str, task: str, model: str, batch: int) -> dict[str, Any]:
    found = published(hardware).filter(pl.col("variant").is_null(), task=task, model=model, max_batch_size=batch)
    return found.row(0, named=True)


def run_of(hardware: str, task: str, model: str) -> Path:
    return RESULTS / hardware / "runs" / task / model.replace("/", "--")


def energy_at(folder: Path, times: np.ndarray) -> np.ndarray:
    """The counter at `times`, J: known where it moved, linear between."""
    polls = pl.read_parquet(folder / "energy.parquet")
    time_s, energy_j = polls["time_s"].to_numpy(), polls["energy_j"].to_numpy()
    moved = np.concatenate([[True], np.diff(energy_j) != 0])
    return np.interp(times, time_s[moved], energy_j[moved])


def window_of(folder: Path, batch: int) -> tuple[np.ndarray, int, int]:
    """The ends of a point's iterations, and the places of those that bound its stationary window.

    It opens when B requests have finished; after a start in equilibrium, when B have got their first token.
    """
    steps = pl.read_parquet(folder / "iterations.parquet")
    told = json.loads((folder / "point.json").read_text()).get("start") == "equilibrium"
    waits = np.flatnonzero(steps["waiting"].to_numpy() > 0)
    filled = np.flatnonzero(steps["running"].to_numpy() >= batch)
    turned = np.flatnonzero(np.cumsum(steps["first_tokens" if told else "finished"].to_numpy()) >= batch)
    return steps["end_s"].to_numpy(), max(int(filled[0]), int(turned[0])), int(waits[-1])


@pytest.mark.parametrize(("hardware", "task", "model", "batch"), RIGHT)
def test_energy_of_the_samples_mean_response(hardware: str, task: str, model: str, batch: int) -> None:
    row, run = row_of(hardware, task, model, batch), run_of(hardware, task, model)
    record = json.loads((run / "run.json").read_text())
    index = next(one["point"] for one in record["points"] if one["max_batch_size"] == batch)
    folder = run / "points" / f"{index:02d}-b{batch}"
    ends, first, last = window_of(folder, batch)
    tokens = pl.read_parquet(folder / "iterations.parquet")["output_tokens"].to_numpy()[first + 1 : last + 1].sum()
    start_j, end_j = energy_at(folder, ends[[first, last]])
    each_j = (end_j - start_j) / tokens
    assert row["plain_energy_per_output_token_j"] == pytest.approx(each_j, rel=1e-5)
    assert row["power_w"] == pytest.approx((end_j - start_j) / (ends[last] - ends[first]), rel=1e-5)
    right = RIGHT[hardware, task, model, batch]
    assert each_j * MEAN_ANSWER[task] == pytest.approx(right, rel=1e-3)
    assert row["plain_energy_per_response_j"] == pytest.approx(right, rel=1e-3)
    assert row["response_output_tokens"] == pytest.approx(MEAN_ANSWER[task], rel=1e-6)
    # The headline is the adjusted estimate, which lies beside it.
    assert row["estimate"] == "adjusted"
    assert row["energy_per_response_j"] == pytest.approx(right, rel=5e-3)
    assert row["energy_per_response_low_j"] < right < row["energy_per_response_high_j"]


def test_the_adjusted_estimate_of_a_published_point() -> None:
    """Llama at B = 16: a regression of each second's energy on its output and prompt tokens, at the sample's mix."""
    row = row_of("h100", "llm-chat", LLAMA, 16)
    run = run_of("h100", "llm-chat", LLAMA)
    folder = run / "points" / "01-b16"
    ends, first, last = window_of(folder, 16)
    steps = pl.read_parquet(folder / "iterations.parquet")[first + 1 : last + 1]
    second = np.minimum(np.floor(steps["end_s"].to_numpy() - ends[first]), np.floor(ends[last] - ends[first]) - 1)
    cuts = [np.flatnonzero(second == block)[-1] for block in np.unique(second)]
    joules = np.diff(
        np.concatenate([energy_at(folder, ends[[first]]), energy_at(folder, steps["end_s"].to_numpy()[cuts])])
    )
    outputs, prompts = (
        np.array([steps[name].to_numpy()[second == block].sum() for block in np.unique(second)], dtype=float)
        for name in ("output_tokens", "prompt_tokens")
    )
    # Least squares under the constraint that the residuals sum to nothing: b on what exceeds the window's own mix.
    excess = prompts - prompts.sum() / outputs.sum() * outputs
    prompt_j = float(excess @ (joules - joules.sum() / outputs.sum() * outputs) / (excess @ excess))
    decoded_j = float((joules.sum() - prompt_j * prompts.sum()) / outputs.sum())
    requests = pl.read_parquet(run / "points" / "06-b512" / "requests.parquet")
    if "begun_output_tokens" in requests.columns:
        requests = requests.filter(pl.col("begun_output_tokens").is_null())
    sample = requests.sort("request").head(500)
    asked, given = sample["asked_output_tokens"].sum(), sample["prompt_tokens"].sum()
    each_j = decoded_j + prompt_j * given / asked
    assert row["energy_per_output_token_j"] == pytest.approx(each_j, rel=1e-5)
    assert row["energy_per_response_j"] == pytest.approx(each_j * asked / 500, rel=1e-5)


@pytest.mark.parametrize("hardware", ["h100", "h200"])
def test_every_row_of_a_task_is_about_the_same_responses(hardware: str) -> None:
    text = published(hardware).filter(pl.col("response_output_tokens").is_not_null())
    spread = text.group_by("task", "answers").agg(pl.col("response_output_tokens").n_unique())
    assert set(spread["response_output_tokens"]) == {1}
    each = text.select(pl.col("energy_per_output_token_j") * pl.col("response_output_tokens")).to_series()
    assert each.to_list() == pytest.approx(text["energy_per_response_j"].to_list(), rel=2e-5)
    power = text.select(pl.col("plain_energy_per_response_j") * pl.col("responses_per_s")).to_series()
    assert power.to_list() == pytest.approx(text["power_w"].to_list(), rel=2e-5)


@pytest.mark.parametrize("hardware", ["h100", "h200"])
def test_net_of_idle_is_above_the_loaded_card_of_the_run_itself(hardware: str) -> None:
    served = published(hardware).filter(pl.col("energy_per_response_j").is_not_null())
    known = served.filter(pl.col("loaded_idle_power_w").is_not_null())
    each_w = known.select(pl.col("loaded_idle_power_w") / pl.col("gpus")).to_series()
    assert each_w.is_between(110, 135).all()  # with a context on it; 69 to 79 W without
    net = known.select(pl.col("energy_per_response_j") * (1 - pl.col("loaded_idle_power_w") / pl.col("power_w")))
    assert net.to_series().to_list() == pytest.approx(known["net_energy_per_response_j"].to_list(), rel=2e-5)
    unknown = served.filter(pl.col("loaded_idle_power_w").is_null())
    assert unknown["net_energy_per_response_j"].null_count() == unknown.height
