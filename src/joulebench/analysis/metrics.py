"""The figures of points: what was served and drawn over a window, divided.

A response of text is the sample's mean one, of L output tokens (analysis.lengths); then

    plain J per output token    = energy / output tokens of the window
    adjusted J per output token = the same at the mix of prompt and output tokens that the whole sample has
    J per output token          = the adjusted one where it is known, else the plain one (`estimate` says which)
    J per response              = J per output token x L
    responses per s             = output tokens per s / L

The plain figures keep the identity power = plain J per output token x output tokens per s = plain J per response x
responses per s, exactly: all of them are of one window. The adjusted ones are of the sample's mix, which a window has
only by chance. The intervals per response, of energy and of throughput, take L as given, which it is.
"""

import polars as pl

from joulebench.analysis import latency, lengths, windows
from joulebench.analysis.conditions import drifts
from joulebench.analysis.energy import Drawn, at_each, headline, host
from joulebench.analysis.intervals import Figure, adjusted_energy, ratios
from joulebench.analysis.keyed import KEY, Recorded, known_of, whole_sum
from joulebench.loads.base import SIZES as LOAD_SIZES
from joulebench.loads.base import WHOLE
from joulebench.loads.stretch import inside, with_durations
from joulebench.tables.columns import BOUNDS

SIZES = pl.Schema(
    {
        "key": KEY,
        "load": pl.String,
        "max_batch_size": pl.Int64,
        "run": pl.String,
        "sampled": pl.Int64,
        "sample_prompt_tokens": pl.Float64,
        "sample_output_tokens": pl.Float64,
        "limit": pl.Int64,
    }
)
"""What is known of a text point: `run`, which the points of one run and of the same lengths share; `sampled`, how many
requests it may serve, and the mean tokens of these, where the records say them; `limit`: the most tokens of an answer
that the model ends itself, null of others."""

ADJUSTED_ESTIMATE, PLAIN_ESTIMATE = "adjusted", "plain"
"""What the headline energy of a point is."""

_TEXT_RATIOS: dict[Figure, tuple[str, str]] = {
    ("plain_energy_per_output_token", "j"): ("energy_j", "output_tokens"),
    ("energy_per_total_token", "j"): ("energy_j", "total_tokens"),
    ("power", "w"): ("energy_j", "duration_s"),
    ("output_tokens", "per_s"): ("output_tokens", "duration_s"),
}
_DIFFUSION_RATIOS: dict[Figure, tuple[str, str]] = {
    ("plain_energy_per_response", "j"): ("energy_j", "outputs"),
    ("power", "w"): ("energy_j", "duration_s"),
    ("responses", "per_s"): ("outputs", "duration_s"),
}

_COUNTED = ("prompt_tokens", "output_tokens", "first_tokens", "finished", "preempted")
"""What each iteration did, of which the figures of text are made."""


def text(recorded: Recorded, sizes: pl.DataFrame) -> pl.DataFrame:
    """Figures of text points: one row a key of `sizes`, columns as in tables.POINTS.

    `sizes`: SIZES. Beside the figures `gpus`, how many GPUs drew the energy, and `missing`, why there are figures that
    are null.
    """
    iterations, requests = recorded.iterations, recorded.requests
    counted = (
        requests.lazy()
        .group_by("key")
        .agg(
            begun=pl.col("begun_output_tokens").count().cast(pl.Int64), given=pl.col("asked_output_tokens").count() > 0
        )
    )
    limited = (
        requests.lazy()
        .join(sizes.lazy().select("key", "limit"), on="key")
        .filter(pl.col("limit").is_not_null() & pl.col("output_tokens").is_not_null())
        .group_by("key")
        .agg(limited_share=(pl.col("output_tokens") >= pl.col("limit")).mean())
    )
    placed = known_of(sizes.lazy(), counted).with_columns(begun=pl.col("begun").fill_null(0))
    found = windows.text_windows(iterations.lazy(), placed.select(*LOAD_SIZES), requests.lazy()).collect()
    steps = iterations.lazy().select("key", "end_s", "running", *_COUNTED, "token_gaps_s")
    served = inside(with_durations(steps).collect(), found)
    whole = found.filter(pl.col("window") == WHOLE)["key"].to_list()
    blocks = windows.blocks(served, whole)
    blocks = blocks.with_columns(total_tokens=pl.col("output_tokens") + pl.col("prompt_tokens"))
    summed = ("output_tokens", "finished", "running_s", "duration_s")
    sums = blocks.group_by("key").agg(whole_sum(name) for name in summed)
    counts = served.group_by("key", maintain_order=True).agg(
        whole_sum("first_tokens").cast(pl.Int64), preemptions=whole_sum("preempted").cast(pl.Int64)
    )
    table, drawn = _with_energy(found, blocks, recorded.energy)
    sample = lengths.sample_lengths(requests.lazy(), sizes.lazy()).collect()
    mix = pl.col("sample_prompt_tokens") / pl.col("sample_output_tokens")
    mixes = sample.select("key", prompt_per_output=mix).join(found.select("key", "filled"), on="key")
    table = known_of(
        table,
        sums,
        counts,
        windows.queue_tokens(iterations, found),
        latency.inter_token_latency(served),
        latency.request_latency(requests, found),
        lengths.mean_lengths(requests.lazy()).collect(),
        counted.select("key", "given").collect(),
        limited.collect(),
        sample,
        ratios(drawn, _TEXT_RATIOS),
        adjusted_energy(drawn, mixes),
        drifts(drawn, "output_tokens"),
    )
    return _per_response(
        table.with_columns(
            *_estimated(),
            queue_energy_per_output_token_j=_ratio("queue_energy_j", "queue_output_tokens"),
            mean_batch_size=_ratio("running_s", "duration_s"),
            ttft_share=_ratio("ttft_told", "first_tokens").clip(upper_bound=1.0),
            window_responses=pl.col("finished"),
            turnovers=_ratio("finished", "filled"),
            window=pl.when(pl.col("start_s").is_not_null()).then("window"),
        )
    ).drop("output_tokens", "finished", "filled", "first_tokens", "ttft_told")


def _estimated() -> list[pl.Expr]:
    """The headline energy per output token, and which estimate it is: the adjusted one where it is known."""
    adjusted = pl.col("adjusted_energy_per_output_token_j").is_not_null()
    plain = pl.col("plain_energy_per_output_token_j").is_not_null()
    figures = [
        pl.when(adjusted)
        .then(f"adjusted_energy_per_output_token{bound}_j")
        .otherwise(f"plain_energy_per_output_token{bound}_j")
        .alias(f"energy_per_output_token{bound}_j")
        for bound in BOUNDS
    ]
    estimate = pl.when(adjusted).then(pl.lit(ADJUSTED_ESTIMATE)).when(plain).then(pl.lit(PLAIN_ESTIMATE))
    return [*figures, estimate.alias("estimate")]


def _per_response(table: pl.DataFrame) -> pl.DataFrame:
    """`table` with the figures per token times the length of a response, and `missing` where that is not known."""
    table = table.with_columns(
        pl.coalesce(f"sample_{kind}_tokens", pl.when(~pl.col("given")).then(f"mean_{kind}_tokens")).alias(
            f"response_{kind}_tokens"
        )
        for kind in ("prompt", "output")
    )
    unknown = pl.col("given") & pl.col("response_output_tokens").is_null() & pl.col("start_s").is_not_null()
    why = pl.when(unknown).then(pl.lit(_NO_LENGTH))
    length = pl.col("response_output_tokens")
    each = [
        (pl.col(f"{kind}energy_per_output_token{bound}_j") * length).alias(f"{kind}energy_per_response{bound}_j")
        for kind in ("", "plain_")
        for bound in BOUNDS
    ]
    return table.with_columns(
        *each,
        *((pl.col(f"output_tokens{bound}_per_s") / length).alias(f"responses{bound}_per_s") for bound in BOUNDS),
        queue_energy_per_response_j=pl.col("queue_energy_per_output_token_j") * length,
        host_energy_per_response_j=_ratio("host_energy_j", "output_tokens") * length,
        missing=pl.concat_str("missing", why, separator="; ", ignore_nulls=True).replace("", None),
    ).drop("given")


_NO_LENGTH = (
    "no point of the run served the whole sample, and its records do not say how long the sample's answers are: "
    "no figures per response"
)


def diffusion(recorded: Recorded, keys: pl.DataFrame) -> pl.DataFrame:
    """Figures of diffusion points, as `text` gives them: one row a key of `keys`."""
    batches = recorded.iterations
    found = windows.batch_windows(batches.lazy(), keys.lazy()).collect()
    blocks = windows.batch_blocks(batches.lazy()).collect()
    sums = blocks.group_by("key").agg(whole_sum("outputs"), batches=pl.len())
    table, drawn = _with_energy(found, blocks, recorded.energy)
    waits = latency.batch_latency(batches, found)
    table = known_of(table, sums, waits, ratios(drawn, _DIFFUSION_RATIOS), drifts(drawn, "outputs"))
    return table.with_columns(
        *(pl.col(f"plain_energy_per_response{bound}_j").alias(f"energy_per_response{bound}_j") for bound in BOUNDS),
        estimate=pl.when(pl.col("plain_energy_per_response_j").is_not_null()).then(pl.lit(PLAIN_ESTIMATE)),
        mean_batch_size=_ratio("outputs", "batches"),
        host_energy_per_response_j=_ratio("host_energy_j", "outputs"),
        window_responses=pl.col("outputs"),
        window=pl.when(pl.col("start_s").is_not_null()).then(pl.lit("batches")),
    ).drop("outputs", "batches")


def _with_energy(found: pl.DataFrame, blocks: pl.DataFrame, energy: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`found` (the windows) with what was drawn over them; and `blocks` with their own energy_j and duration_s."""
    meters, beside = Drawn(headline(energy)), Drawn(host(energy))
    if "queue_start_s" not in found.columns:
        found = found.with_columns(pl.lit(None, pl.Float64).alias(name) for name in windows.QUEUE)
    start_j, end_j, queue_start_j, queue_end_j = at_each(
        meters.energy_j, found, "start_s", "end_s", "queue_start_s", "queue_end_s"
    )
    integrated_start_j, integrated_end_j = at_each(meters.integrated_power_j, found, "start_s", "end_s")
    host_start_j, host_end_j = at_each(beside.energy_j, found, "start_s", "end_s")
    table = found.with_columns(
        window_s=pl.col("end_s") - pl.col("start_s"),
        counter_start_j=start_j,
        energy_j=end_j - start_j,
        queue_energy_j=queue_end_j - queue_start_j,
        host_energy_j=host_end_j - host_start_j,
        integrated_j=integrated_end_j - integrated_start_j,
    )
    hosts = beside.points().select("key", host_energy_source="energy_source")
    table = known_of(table, meters.points(), meters.update_gaps_s(found), hosts)
    starts = table.select("key", "start_s", "counter_start_j")
    cut = known_of(blocks.with_columns(counter_j=meters.energy_j(blocks, "end_s")), starts)
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
