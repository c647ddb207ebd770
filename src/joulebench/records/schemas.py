"""The columns of the tables among the raw records.

All times are seconds on the monotonic clock, from the start of the point's load.
"""

import polars as pl

PROMPTS = pl.Schema(
    {
        "request": pl.Int64,
        "source_id": pl.String,
        "prompt": pl.String,
        "reference": pl.String,
        "image": pl.Binary,
    }
)
"""results/prompts/{name}.parquet: one row a sampled prompt, in the order in which they are served.
`reference` is the dataset's own answer, null where it has none; `image` a whole JPEG, PNG or WebP file, null where the
task serves none."""

REQUESTS = pl.Schema(
    {
        "point": pl.Int32,
        "request": pl.Int64,
        "prompt_tokens": pl.Int32,
        "output_tokens": pl.Int32,
        "submitted_s": pl.Float64,
        "admitted_s": pl.Float64,
        "first_output_s": pl.Float64,
        "finished_s": pl.Float64,
        "status": pl.String,
        "asked_output_tokens": pl.Int32,
        "begun_output_tokens": pl.Int32,
    }
)
"""One row a request of a point. `asked_output_tokens` is the length that its answer was made to have (end of
sequence ignored), null where the model stops by itself. `begun_output_tokens`: of a request that a start in equilibrium
found in the middle of its answer, how much of it stood behind its prompt already; it is in prompt_tokens, and the other
counts are of the rest. Null for a whole request. `status`: finished, aborted (dropped when the point ended),
failed. Diffusion has no prompt or output tokens, and its first output is the whole one."""

ITERATIONS = pl.Schema(
    {  # type: ignore[arg-type]  # mypy takes what classes and List() have in common for object
        "point": pl.Int32,
        "iteration": pl.Int32,
        "end_s": pl.Float64,
        "running": pl.Int32,
        "waiting": pl.Int32,
        "prompt_tokens": pl.Int32,
        "output_tokens": pl.Int32,
        "first_tokens": pl.Int32,
        "finished": pl.Int32,
        "preempted": pl.Int32,
        "kv_cache_usage": pl.Float64,
        "token_gaps_s": pl.List(pl.Float32),
    }
)
"""One row an engine step of a text task. `waiting` counts every request not admitted yet, the load
generator's own queue included; `first_tokens` those of `output_tokens` that opened an answer;
`kv_cache_usage` is a share, 0 to 1. `token_gaps_s`: of a server, whose iterations nobody sees: for each token but an
answer's first the time since the one before it in its answer, within 1.2 %, in rising order. Null of other engines,
where each token took as long as its iteration."""

LENGTHS_OF_TIME = {"token_gaps_s"}
"""Columns of requests and iterations in seconds that are no moment."""

BATCHES = pl.Schema(
    {
        "point": pl.Int32,
        "iteration": pl.Int32,
        "start_s": pl.Float64,
        "end_s": pl.Float64,
        "outputs": pl.Int32,
        "denoising_steps": pl.Int32,
        "warmup": pl.Boolean,
    }
)
"""One row a batch of a diffusion task: its iterations.parquet."""

ENERGY = pl.Schema(
    {
        "device": pl.String,
        "source": pl.String,
        "time_s": pl.Float64,
        "energy_j": pl.Float64,
        "power_w": pl.Float64,
        "temperature_c": pl.Float64,
        "clock_mhz": pl.Float64,
        "memory_used_mb": pl.Float64,
        "throttled": pl.Boolean,
        "power_capped": pl.Boolean,
        "processes": pl.Int32,
        "others_busy_s": pl.Float64,
        "stolen_s": pl.Float64,
    }
)
"""One row a device and poll. `energy_j` is cumulative; null with its source where nothing measures.
`throttled`: slowed down for heat or by the hardware; `power_capped`: held at the power limit; `processes`: those with a
context on the device, the engine's among them. `others_busy_s`: for how long others than the measured processes have
kept the host's processors busy, `stolen_s`: for how long the hypervisor took them, means over the processors and
cumulative; about twice a second, on the row of whatever device was read then."""

ADDED = {"begun_output_tokens", "token_gaps_s", "power_capped", "processes", "others_busy_s", "stolen_s"}
"""Columns that records of an earlier version lack: read as null."""

POINT_FILES = ("requests.parquet", "iterations.parquet", "energy.parquet", "point.json")
"""What is in a point's folder."""

REQUEST_STATUSES = ("finished", "aborted", "failed")
