"""The figures of points: what was served and drawn over a window, divided.

Per response of text: energy per output token x mean output tokens of the point's requests. Hence
energy per token x tokens per second = power, and energy per response = energy per token x mean length, exactly.
The interval per response is that per output token x the same mean length, the lengths taken as given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from joulebench.analysis import latency, windows
from joulebench.analysis.energy import Headline
from joulebench.analysis.intervals import half_widths
from joulebench.analysis.keyed import check_order, read_keyed, whole_sum
from joulebench.records import BATCHES, ITERATIONS, REQUESTS

_ITERATION = ("end_s", "running", "waiting", "prompt_tokens", "output_tokens", "first_tokens", "finished")
_REQUEST = (
    "prompt_tokens",
    "output_tokens",
    "submitted_s",
    "admitted_s",
    "first_output_s",
    "finished_s",
    "status",
    "asked_output_tokens",
)
_BATCH = ("start_s", "end_s", "outputs", "warmup")


@dataclass(frozen=True)
class Files:
    """Key -> the record files of points of one kind of task."""

    iterations: Mapping[int, Path]
    requests: Mapping[int, Path]
    energy: Mapping[int, Path]


def text(files: Files, sizes: pl.DataFrame) -> pl.DataFrame:
    """Figures of text points: one row a key of `sizes` (key, max_batch_size), columns as in tables.POINTS.

    Beside them `gpus`, how many GPUs drew the energy, and `missing`, why there are figures that are null.
    Raises RecordError where a file is missing, damaged or out of order.
    """
    iterations = read_keyed(files.iterations, ITERATIONS, _ITERATION)
    check_order(iterations, "end_s", files.iterations)
    found = windows.text_windows(iterations.lazy(), sizes.lazy()).collect()
    served = windows.inside(windows.with_durations(iterations.lazy()), found.lazy()).collect()
    blocks = windows.blocks(served.lazy()).collect()
    blocks = blocks.with_columns(total_tokens=pl.col("output_tokens") + pl.col("prompt_tokens"))
    sums = blocks.group_by("key").agg(
        whole_sum(name) for name in ("output_tokens", "total_tokens", "finished", "running_s", "duration_s")
    )
    requests = read_keyed(files.requests, REQUESTS, _REQUEST)
    parts = [
        sums.lazy(),
        windows.queue_tokens(iterations.lazy(), found.lazy()),
        latency.inter_token_latency(served.lazy()),
        latency.request_latency(requests.lazy(), found.lazy()),
        _mean_lengths(requests.lazy()),
    ]
    table = _with_energy(found, blocks, ["output_tokens", "total_tokens"], files.energy)
    for part in pl.collect_all(parts):
        table = table.join(part, on="key", how="left", maintain_order="left")
    length = pl.col("mean_output_tokens")
    return (
        table.with_columns(
            *_with_interval("energy_per_output_token", "output_tokens"),
            *_with_interval("energy_per_total_token", "total_tokens"),
            queue_energy_per_output_token_j=_ratio("queue_energy_j", "queue_output_tokens"),
            output_tokens_per_s=_ratio("output_tokens", "window_s"),
            mean_batch_size=_ratio("running_s", "duration_s"),
            window_responses=pl.col("finished"),
            window=pl.when(pl.col("start_s").is_not_null()).then(pl.lit("stationary")),
        )
        .with_columns(
            *(
                (pl.col(f"energy_per_output_token{bound}_j") * length).alias(f"energy_per_response{bound}_j")
                for bound in ("", "_low", "_high")
            ),
            queue_energy_per_response_j=pl.col("queue_energy_per_output_token_j") * length,
            responses_per_s=pl.col("output_tokens_per_s") / length,
        )
        .drop("output_tokens", "finished")
    )


def diffusion(files: Files, keys: pl.DataFrame) -> pl.DataFrame:
    """Figures of diffusion points, as `text` gives them: one row a key of `keys`."""
    batches = read_keyed(files.iterations, BATCHES, _BATCH)
    check_order(batches, "end_s", files.iterations)
    found = windows.batch_windows(batches.lazy(), keys.lazy()).collect()
    blocks = windows.batch_blocks(batches.lazy()).collect()
    sums = blocks.group_by("key").agg(whole_sum("outputs"), batches=pl.len())
    table = _with_energy(found, blocks, ["outputs"], files.energy).join(sums, on="key", how="left")
    waits = latency.batch_latency(batches.lazy()).collect()
    return (
        table.join(waits, on="key", how="left", maintain_order="left")
        .with_columns(
            *_with_interval("energy_per_response", "outputs"),
            responses_per_s=_ratio("outputs", "window_s"),
            mean_batch_size=_ratio("outputs", "batches"),
            window_responses=pl.col("outputs"),
            window=pl.when(pl.col("start_s").is_not_null()).then(pl.lit("batches")),
        )
        .drop("outputs", "batches")
    )


def _mean_lengths(requests: pl.LazyFrame) -> pl.LazyFrame:
    """key, mean_prompt_tokens, mean_output_tokens, over every request of the whole point whose length is known.

    Where the answers are made to have a length, that is all of them, the last ones in flight too: taken over the
    finished alone, the mean would be too short in a point that was cut off, since long answers are in flight longer
    (the inspection paradox; with the unfinished counted in, Wald's equation makes it unbiased). Where the model stops
    by itself, it is the finished ones.
    """
    finished = pl.when(pl.col("status") == "finished").then("output_tokens")
    return (
        requests.with_columns(output_tokens=pl.coalesce("asked_output_tokens", finished))
        .filter(pl.col("output_tokens").is_not_null())
        .group_by("key", maintain_order=True)
        .agg((whole_sum(name) / pl.len()).alias(f"mean_{name}") for name in ("prompt_tokens", "output_tokens"))
    )


def _with_energy(
    found: pl.DataFrame, blocks: pl.DataFrame, amounts: list[str], files: Mapping[int, Path]
) -> pl.DataFrame:
    """`found` (the windows) with what was drawn over them, and the half-widths of it over `amounts` of `blocks`."""
    meters = Headline(files)
    columns = found.columns
    if "queue_start_s" not in columns:
        found = found.with_columns(queue_start_s=pl.lit(None, pl.Float64))
    start_j, end_j = meters.energy_j(found, "start_s"), meters.energy_j(found, "end_s")
    integrated_j = meters.integrated_power_j(found, "end_s") - meters.integrated_power_j(found, "start_s")
    table = found.with_columns(
        window_s=pl.col("end_s") - pl.col("start_s"),
        counter_start_j=start_j,
        energy_j=end_j - start_j,
        queue_energy_j=end_j - meters.energy_j(found, "queue_start_s"),
        integrated_j=integrated_j,
    ).join(meters.points(), on="key", how="left", maintain_order="left")
    cut = blocks.with_columns(counter_j=meters.energy_j(blocks, "end_s")).join(
        table.select("key", "counter_start_j"), on="key", how="left", maintain_order="left"
    )
    before = pl.when(pl.col("key") == pl.col("key").shift()).then(pl.col("counter_j").shift())
    cut = cut.with_columns(energy_j=pl.col("counter_j") - before.fill_null(pl.col("counter_start_j")))
    return (
        table.join(half_widths(cut, amounts), on="key", how="left", maintain_order="left")
        .with_columns(
            power_w=_ratio("energy_j", "window_s"),
            integrated_power_ratio=_ratio("energy_j", "integrated_j"),
            missing=pl.concat_str("no_window", _no_energy(), separator="; ", ignore_nulls=True).replace("", None),
        )
        .drop("no_window", "counter_start_j", "integrated_j")
    )


def _no_energy() -> pl.Expr:
    """Why the energy of a window that is there is null; null where it is not."""
    window = pl.when(pl.col("start_s").is_not_null())
    what = window.then(pl.lit("no energy")).otherwise(pl.lit("no queue energy"))
    start = pl.coalesce("start_s", "queue_start_s")
    lost = (pl.col("start_s").is_not_null() & pl.col("energy_j").is_null()) | (
        pl.col("queue_start_s").is_not_null() & pl.col("queue_energy_j").is_null()
    )
    why = (
        pl.when(pl.col("gpus").is_null())
        .then(pl.lit("nothing was polled"))
        .when(pl.col("unmeasured").is_not_null())
        .then(pl.format("nothing measures {}", pl.col("unmeasured")))
        .when(pl.col("reset").is_not_null())
        .then(pl.format("the counter went back on {}", pl.col("reset")))
        .when(pl.col("first_s").is_null())
        .then(pl.lit("no counter was read"))
        .otherwise(
            pl.format(
                "the window, {} to {} s, is not within the counters' updates, {} to {} s",
                *(value.round(3) for value in (start, pl.col("end_s"), pl.col("first_s"), pl.col("last_s"))),
            )
        )
    )
    return pl.when(lost).then(pl.format("{}: {}", what, why))


def _with_interval(name: str, amount: str) -> list[pl.Expr]:
    """`{name}_j` = energy / amount, with its `{name}_low_j` and `{name}_high_j`."""
    figure, half = _ratio("energy_j", amount), pl.col(f"{amount}_half_width")
    return [
        figure.alias(f"{name}_j"),
        (figure - half).alias(f"{name}_low_j"),
        (figure + half).alias(f"{name}_high_j"),
    ]


def _ratio(numerator: str, denominator: str) -> pl.Expr:
    """Null, not infinite, over nothing."""
    return pl.when(pl.col(denominator) > 0).then(pl.col(numerator) / pl.col(denominator))
