"""The tables that people read: their columns."""

import polars as pl

QUANTILES = (50, 90, 95, 99)
LATENCIES = ("ttft", "submission_ttft", "tpot", "itl", "latency")
BOUNDS = ("", "_low", "_high")
"""A figure x of unit j and its 95 % interval: x_j, x_low_j, x_high_j."""


def _interval(name: str, unit: str) -> dict[str, type[pl.Float64]]:
    return {f"{name}{bound}_{unit}": pl.Float64 for bound in BOUNDS}


def _quantiles(name: str) -> dict[str, type[pl.Float64]]:
    return {column: dtype for q in QUANTILES for column, dtype in _interval(f"{name}_p{q}", "s").items()}


def _floats(*names: str) -> dict[str, type[pl.DataType]]:
    return dict.fromkeys(names, pl.Float64)


_CONDITIONS: dict[str, type[pl.DataType]] = {
    "throttled_share": pl.Float64,
    "power_capped_share": pl.Float64,
    "processes": pl.Int64,
    "temperature_start_c": pl.Float64,
    "temperature_end_c": pl.Float64,
    "clock_mean_mhz": pl.Float64,
    "clock_min_mhz": pl.Float64,
    "others_share": pl.Float64,
    "stolen_share": pl.Float64,
    "poll_gap_s": pl.Float64,
    "update_gap_s": pl.Float64,
    "counter_updates": pl.Int64,
    "turnovers": pl.Float64,
    "preemptions": pl.Int64,
    "requests_failed": pl.Int64,
    "answers_cut": pl.Int64,
    "clock_step_s": pl.Float64,
    "drift_z": pl.Float64,
}

AT: dict[str, type[pl.DataType]] = {"max_batch_size": pl.Int64, "setting": pl.String}
"""Which point of its run a row is of."""

SETTING: dict[str, type[pl.DataType]] = {
    "load": pl.String,
    "axis": pl.String,
    **AT,
    "requests": pl.Int64,
    "rate_per_s": pl.Float64,
    "burstiness": pl.Float64,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
}

_POINT: dict[str, type[pl.DataType]] = {
    "task": pl.String,
    "dataset": pl.String,
    "model": pl.String,
    "variant": pl.String,
    "parameters": pl.Int64,
    "weights": pl.String,
    "hardware": pl.String,
    "device": pl.String,
    "card": pl.String,
    "engine": pl.String,
    "dtype": pl.String,
    "quantization": pl.String,
    "attention": pl.String,
    "gpus": pl.Int64,
    "tdp_w": pl.Float64,
    **SETTING,
    "repeat": pl.Int64,
    "mean_batch_size": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
    "ended_by": pl.String,
    "start": pl.String,
    "verdict": pl.String,
    "unchecked": pl.String,
    "energy_source": pl.String,
    "estimate": pl.String,
    **_interval("energy_per_response", "j"),
    **_interval("energy_per_output_token", "j"),
    **_interval("plain_energy_per_response", "j"),
    **_interval("plain_energy_per_output_token", "j"),
    **_interval("energy_per_total_token", "j"),
    **_interval("energy_per_prompt_token", "j"),
    **_interval("energy_per_decoded_token", "j"),
    "queue_energy_per_response_j": pl.Float64,
    "queue_energy_per_output_token_j": pl.Float64,
    "net_energy_per_response_j": pl.Float64,
    "net_energy_per_output_token_j": pl.Float64,
    "idle_power_w": pl.Float64,
    "loaded_idle_power_w": pl.Float64,
    "host_energy_per_response_j": pl.Float64,
    "host_energy_source": pl.String,
    **_interval("power", "w"),
    "integrated_power_ratio": pl.Float64,
    "tdp_estimate_j": pl.Float64,
    **_interval("output_tokens", "per_s"),
    **_interval("responses", "per_s"),
    "response_prompt_tokens": pl.Float64,
    "response_output_tokens": pl.Float64,
    "mean_prompt_tokens": pl.Float64,
    "mean_output_tokens": pl.Float64,
    **{column: dtype for name in LATENCIES for column, dtype in _quantiles(name).items()},
    "ttft_share": pl.Float64,
    "window": pl.String,
    "window_s": pl.Float64,
    "window_responses": pl.Int64,
    "peak_memory_mb": pl.Float64,
    **_CONDITIONS,
    "measured_on": pl.String,
}

POINTS = pl.Schema(_POINT)
"""points.csv: one row a point and repeat. Null where a figure does not apply or was not measured."""

_VERDICT: dict[str, type[pl.DataType]] = {
    "rank": pl.Int64,
    "meets_latency_target": pl.Boolean,
    "latency_target": pl.String,
}

_POINTS_ONLY = {
    "repeat",
    "ended_by",
    "start",
    "unchecked",
    "ttft_share",
    *_CONDITIONS,
    *(f"{name}_p{q}{bound}_s" for name in LATENCIES for q in QUANTILES for bound in BOUNDS if bound),
}

_TIED: dict[str, type[pl.DataType]] = {"tied_with": pl.String}

_POOLED: dict[str, type[pl.DataType]] = {
    "repeats": pl.Int64,
    "between_run_sd_j": pl.Float64,
    "within_run_sd_j": pl.Float64,
}

LEADERBOARD = pl.Schema(
    _VERDICT | {name: dtype for name, dtype in _POINT.items() if name not in _POINTS_ONLY} | _POOLED | _TIED
)
"""leaderboard.csv: one row a task and model, the best point of it, its repeats pooled (analysis.repeats).
`rank` counts within a task. The intervals of the latencies, and what the checks look at, are in points.csv alone."""

CHECKS = pl.Schema(
    {
        "task": pl.String,
        "model": pl.String,
        "variant": pl.String,
    }
    | AT
    | {
        "repeat": pl.Int64,
        "check": pl.String,
        "severity": pl.String,
        "fact": pl.String,
        "found": pl.Float64,
        "limit": pl.Float64,
        "source": pl.String,
    }
)
"""checks.csv: one row for each point and check that fired."""

LEFT_OUT = pl.Schema({"task": pl.String, "run": pl.String, "reason": pl.String})
"""left_out.csv: the run folders that a table did not take, and why."""


_CHOICE: dict[str, type[pl.DataType]] = {
    "task": pl.String,
    "dataset": pl.String,
    "model": pl.String,
    "variant": pl.String,
    "hardware": pl.String,
    "card": pl.String,
    "engine": pl.String,
    "dtype": pl.String,
    "gpus": pl.Int64,
    **AT,
    "repeats": pl.Int64,
    "status": pl.String,
    "verdict": pl.String,
    "energy_source": pl.String,
    **_interval("energy_per_response", "j"),
    "responses_per_s": pl.Float64,
    "output_tokens_per_s": pl.Float64,
}
"""A pooled point that a table offers for choice."""

PARETO = pl.Schema(
    _CHOICE | {"latency_metric": pl.String} | _interval("latency", "s") | {"tied_with": pl.String},
)
"""pareto.csv: one row a point on the frontier of energy per response and latency of its task and model.
`latency_metric` is the column of POINTS that `latency_s` is. `tied_with`: see analysis.frontier."""

RECOMMENDATIONS = pl.Schema(
    {
        "service": pl.String,
        "latency_target": pl.String,
    }
    | _CHOICE
    | {
        "latency": pl.String,
        **_interval("saves_against_least_latency", "percent"),
        "least_latency_batch_size": pl.Int64,
        "least_latency_variant": pl.String,
        "least_latency_tied_with": pl.String,
        **_interval("saves_against_largest_batch", "percent"),
        "largest_batch_size": pl.Int64,
        "largest_variant": pl.String,
        "tied_with": pl.String,
        "undecided": pl.String,
        "reason": pl.String,
    }
)
"""recommendations.csv: one row a task, model and service: its point of least energy that keeps the service's latency.
`latency` has what the target asks for as it was found. Where no point keeps it, the columns of the point are null and
`reason` says what was nearest. See analysis.recommendations."""

FOOTPRINT = pl.Schema(
    {
        "task": pl.String,
        "model": pl.String,
        "variant": pl.String,
    }
    | AT
    | {
        "repeat": pl.Int64,
        "energy_source": pl.String,
        "pue": pl.Float64,
    }
    | _interval("energy_with_pue_per_response", "j")
    | {"carbon_g_per_kwh": pl.Float64, "carbon_source": pl.String}
    | _interval("carbon_per_response", "g")
    | {
        "currency": pl.String,
        "electricity_cost_per_response": pl.Float64,
        "gpu_cost_per_response": pl.Float64,
        "cost_per_response": pl.Float64,
        "reason": pl.String,
    }
)
"""footprint.csv: one row a row of points.csv. `reason` says why a figure is null."""

TRACE = pl.Schema(
    {
        "task": pl.String,
        "model": pl.String,
        "variant": pl.String,
        "hardware": pl.String,
    }
    | AT
    | {
        "device": pl.String,
        "energy_source": pl.String,
        "start_s": pl.Float64,
        "end_s": pl.Float64,
        "power_w": pl.Float64,
        "running": pl.Float64,
        "window": pl.String,
        "tdp_w": pl.Float64,
    }
)
"""trace.csv: the power of one point over its time (analysis.trace), one row a device and stretch from `start_s` to
`end_s`, counted from the point's start. `running`: the mean number of requests served at once. `window`: what the
stretch lies in (ramp, queue, stationary, drain; warm-up, batches), null before the load and after it."""

STUDY = pl.Schema(
    _POINT
    | _floats("whole_s", "whole_energy_j", "whole_energy_per_response_j", "ramp_s", "ramp_energy_j", "steady_s")
    | _floats("steady_energy_j", "steady_energy_per_response_j", "drain_s", "drain_energy_j")
    | _floats("study_energy_per_response_j", "knee", "knee_low", "knee_high")
)
"""studies/{study}.csv: one row a point of a study (analysis.study), with the columns of points.csv and its own."""

TABLES: dict[str, pl.Schema] = {
    "points": POINTS,
    "leaderboard": LEADERBOARD,
    "pareto": PARETO,
    "recommendations": RECOMMENDATIONS,
    "footprint": FOOTPRINT,
    "trace": TRACE,
    "checks": CHECKS,
    "left_out": LEFT_OUT,
}
"""results/{hardware}/{name}.csv, by name."""
