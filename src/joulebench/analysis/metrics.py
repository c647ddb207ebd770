"""The figures of points: what was served and drawn over a window, divided.

Per response of text: energy per output token x mean output tokens of the point's requests. Hence
energy per token x tokens per second = power, and energy per response = energy per token x mean length, exactly.
The intervals per response, of energy and of throughput, take that mean length as given.

The adjusted energy per output token is that of the mix of prompt and output tokens in the whole sample of requests,
where the window's own mix is a matter of chance. It tells the energy of a prompt token and of a decoded token apart.
"""

import polars as pl

from joulebench.analysis import latency, windows
from joulebench.analysis.conditions import drifts
from joulebench.analysis.energy import Headline
from joulebench.analysis.keyed import whole_sum
from joulebench.analysis.recorded import Recorded
from joulebench.analysis.uncertainty import Figure, adjusted_energy, ratios
from joulebench.tables import BOUNDS

_TEXT_RATIOS: dict[Figure, tuple[str, str]] = {
    ("energy_per_output_token", "j"): ("energy_j", "output_tokens"),
    ("energy_per_total_token", "j"): ("energy_j", "total_tokens"),
    ("power", "w"): ("energy_j", "duration_s"),
    ("output_tokens", "per_s"): ("output_tokens", "duration_s"),
}
_DIFFUSION_RATIOS: dict[Figure, tuple[str, str]] = {
    ("energy_per_response", "j"): ("energy_j", "outputs"),
    ("power", "w"): ("energy_j", "duration_s"),
    ("responses", "per_s"): ("outputs", "duration_s"),
}


def text(recorded: Recorded, sizes: pl.DataFrame) -> pl.DataFrame:
    """Figures of text points: one row a key of `sizes`, columns as in tables.POINTS.

    `sizes`: key, max_batch_size, run (the points of one run share it), sampled (how many requests a run may serve).
    Beside the figures `gpus`, how many GPUs drew the energy, and `missing`, why there are figures that are null.
    """
    iterations, requests = recorded.iterations, recorded.requests
    found = windows.text_windows(iterations.lazy(), sizes.lazy()).collect()
    served = windows.inside(windows.with_durations(iterations.lazy()), found.lazy()).collect()
    blocks = windows.blocks(served.lazy()).collect()
    blocks = blocks.with_columns(total_tokens=pl.col("output_tokens") + pl.col("prompt_tokens"))
    sums = blocks.group_by("key").agg(whole_sum(name) for name in ("finished", "running_s", "duration_s"))
    mixes = _prompt_per_output(requests.lazy(), sizes.lazy()).collect().join(found.select("key", "filled"), on="key")
    table, drawn = _with_energy(found, blocks, recorded.energy)
    parts = [
        sums,
        windows.queue_tokens(iterations.lazy(), found.lazy()).collect(),
        latency.inter_token_latency(served),
        latency.request_latency(requests, found),
        _mean_lengths(requests.lazy()).collect(),
        ratios(drawn, _TEXT_RATIOS),
        adjusted_energy(drawn, mixes),
        drifts(drawn, "output_tokens"),
    ]
    for part in parts:
        table = table.join(part, on="key", how="left", maintain_order="left")
    length = pl.col("mean_output_tokens")
    return (
        table.with_columns(
            queue_energy_per_output_token_j=_ratio("queue_energy_j", "queue_output_tokens"),
            mean_batch_size=_ratio("running_s", "duration_s"),
            window_responses=pl.col("finished"),
            turnovers=_ratio("finished", "filled"),
            window=pl.when(pl.col("start_s").is_not_null()).then(pl.lit("stationary")),
        )
        .with_columns(
            *(
                (pl.col(f"energy_per_output_token{bound}_j") * length).alias(f"energy_per_response{bound}_j")
                for bound in BOUNDS
            ),
            *((pl.col(f"output_tokens{bound}_per_s") / length).alias(f"responses{bound}_per_s") for bound in BOUNDS),
            queue_energy_per_response_j=pl.col("queue_energy_per_output_token_j") * length,
        )
        .drop("finished", "filled")
    )


def diffusion(recorded: Recorded, keys: pl.DataFrame) -> pl.DataFrame:
    """Figures of diffusion points, as `text` gives them: one row a key of `keys`."""
    batches = recorded.iterations
    found = windows.batch_windows(batches.lazy(), keys.lazy()).collect()
    blocks = windows.batch_blocks(batches.lazy()).collect()
    sums = blocks.group_by("key").agg(whole_sum("outputs"), batches=pl.len())
    table, drawn = _with_energy(found, blocks, recorded.energy)
    waits = latency.batch_latency(batches, found)
    for part in (sums, waits, ratios(drawn, _DIFFUSION_RATIOS), drifts(drawn, "outputs")):
        table = table.join(part, on="key", how="left", maintain_order="left")
    return table.with_columns(
        mean_batch_size=_ratio("outputs", "batches"),
        window_responses=pl.col("outputs"),
        window=pl.when(pl.col("start_s").is_not_null()).then(pl.lit("batches")),
    ).drop("outputs", "batches")


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


def _prompt_per_output(requests: pl.LazyFrame, sizes: pl.LazyFrame) -> pl.LazyFrame:
    """key, prompt_per_output: prompt tokens over asked output tokens of the whole sample that the run serves.

    A point serves all `sampled` requests once before it repeats any (measure/order.py), so that its first `sampled` are
    the whole sample. Null where no point of the run came so far, or where the model ends its answers itself.
    """
    asked = ("prompt_tokens", "asked_output_tokens")
    tokens = (
        requests.select("key", "request", pl.col(asked).cast(pl.Int64))
        .join(sizes.select("key", "run", "sampled"), on="key")
        .filter(pl.col("request") < pl.col("sampled"))
        .group_by("run", "key", "sampled", maintain_order=True)
        .agg(pl.len(), *(whole_sum(name) for name in asked))
        .filter((pl.col("len") == pl.col("sampled")) & (pl.col("asked_output_tokens") > 0))
        .group_by("run", maintain_order=True)
        .first()
    )
    mix = pl.col("prompt_tokens") / pl.col("asked_output_tokens")
    return (
        sizes.select("key", "run").join(tokens.select("run", prompt_per_output=mix), on="run", how="left").drop("run")
    )


def _with_energy(found: pl.DataFrame, blocks: pl.DataFrame, energy: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`found` (the windows) with what was drawn over them; and `blocks` with their own energy_j and duration_s."""
    meters = Headline(energy)
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
        table.select("key", "start_s", "counter_start_j"), on="key", how="left", maintain_order="left"
    )
    drawn = cut.with_columns(energy_j=_risen("counter_j", "counter_start_j"), duration_s=_risen("end_s", "start_s"))
    table = table.with_columns(
        integrated_power_ratio=_ratio("energy_j", "integrated_j"),
        missing=pl.concat_str("no_window", _no_energy(), separator="; ", ignore_nulls=True).replace("", None),
    )
    return table.drop("no_window", "counter_start_j", "integrated_j"), drawn


def _risen(column: str, start: str) -> pl.Expr:
    """By how much `column` rose since the key's row before, or since `start` in its first."""
    before = pl.when(pl.col("key") == pl.col("key").shift()).then(pl.col(column).shift()).otherwise(pl.col(start))
    return pl.col(column) - before


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


def _ratio(numerator: str, denominator: str) -> pl.Expr:
    """Null, not infinite, over nothing."""
    return pl.when(pl.col(denominator) > 0).then(pl.col(numerator) / pl.col(denominator))
