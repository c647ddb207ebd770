"""The tables that people read: their columns, and how they are written and read.

Numbers are written with six significant digits, so that the same raw records give the same bytes on any machine.
"""

from pathlib import Path

import polars as pl

from joulebench.errors import UserError
from joulebench.records import write_text

SIGNIFICANT_DIGITS = 6
QUANTILES = (50, 90, 95, 99)


def _interval(name: str) -> dict[str, type[pl.Float64]]:
    """A figure and its 95 % interval: x_j -> x_j, x_low_j, x_high_j."""
    stem, unit = name.rsplit("_", 1)
    return {name: pl.Float64, f"{stem}_low_{unit}": pl.Float64, f"{stem}_high_{unit}": pl.Float64}


def _quantiles(name: str) -> dict[str, type[pl.Float64]]:
    return {f"{name}_p{q}_s": pl.Float64 for q in QUANTILES}


_POINT: dict[str, type[pl.DataType]] = {
    "task": pl.String,
    "model": pl.String,
    "variant": pl.String,
    "parameters": pl.Int64,
    "weights": pl.String,
    "hardware": pl.String,
    "device": pl.String,
    "engine": pl.String,
    "dtype": pl.String,
    "max_batch_size": pl.Int64,
    "mean_batch_size": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
    "energy_source": pl.String,
    **_interval("energy_per_response_j"),
    **_interval("energy_per_output_token_j"),
    **_interval("energy_per_total_token_j"),
    "queue_energy_per_response_j": pl.Float64,
    "queue_energy_per_output_token_j": pl.Float64,
    "power_w": pl.Float64,
    "integrated_power_ratio": pl.Float64,
    "tdp_estimate_j": pl.Float64,
    "output_tokens_per_s": pl.Float64,
    "responses_per_s": pl.Float64,
    "mean_prompt_tokens": pl.Float64,
    "mean_output_tokens": pl.Float64,
    **_quantiles("ttft"),
    **_quantiles("submission_ttft"),
    **_quantiles("tpot"),
    **_quantiles("itl"),
    **_quantiles("latency"),
    "window": pl.String,
    "window_s": pl.Float64,
    "window_responses": pl.Int64,
    "peak_memory_mb": pl.Float64,
    "measured_on": pl.String,
}

POINTS = pl.Schema(_POINT)
"""points.csv: one row a point. Null where a figure does not apply or was not measured."""

_VERDICT: dict[str, type[pl.DataType]] = {
    "rank": pl.Int64,
    "meets_latency_target": pl.Boolean,
    "latency_target": pl.String,
}

LEADERBOARD = pl.Schema(_VERDICT | _POINT)
"""leaderboard.csv: one row a task and model, the best point of it. `rank` counts within a task."""

LEFT_OUT = pl.Schema({"task": pl.String, "run": pl.String, "reason": pl.String})
"""left_out.csv: the run folders that a table did not take, and why."""


def write_csv(frame: pl.DataFrame, schema: pl.Schema, path: Path) -> None:
    """Write `frame` with the columns and types of `schema`, whole or not at all."""
    columns = [pl.col(name).cast(dtype) for name, dtype in schema.items()]
    rounded = frame.select(columns).with_columns(pl.col(pl.Float64).round_sig_figs(SIGNIFICANT_DIGITS))
    write_text(rounded.write_csv(), path)


def read_csv(path: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read a table that `write_csv` wrote. Raises UserError where it is missing or is another table."""
    try:
        return pl.read_csv(path, schema=schema)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run snakemake for it") from None
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path}: not the expected table ({' '.join(str(error).split())[:200]})") from None
