"""What the tables of a point sum up to, one row a point, and the rules that hold between the sums."""

import polars as pl

from joulebench.analysis.rows import DONE, Rule, said

ROUNDED_S = 1e-5
"""Times that are the same may differ by so much: point.json keeps microseconds."""


def of_iterations(iterations: pl.LazyFrame) -> pl.LazyFrame:
    return _summed(iterations, "prompt_tokens", "output_tokens", "first_tokens", "finished", "preempted")


def of_batches(batches: pl.LazyFrame) -> pl.LazyFrame:
    return _summed(batches, "warmup", "outputs")


def _summed(iterations: pl.LazyFrame, *names: str) -> pl.LazyFrame:
    return iterations.group_by("key").agg(
        iterations_from=pl.col("point").min(),
        iterations_to=pl.col("point").max(),
        last_s=pl.col("end_s").last(),
        **{f"all_{name}": pl.col(name).cast(pl.Int64).sum() for name in names},
    )


def of_requests(requests: pl.LazyFrame) -> pl.LazyFrame:
    prompt, output, asked = (
        pl.col(name).cast(pl.Int64) for name in ("prompt_tokens", "output_tokens", "asked_output_tokens")
    )
    return requests.group_by("key").agg(
        requests_from=pl.col("point").min(),
        requests_to=pl.col("point").max(),
        requests=pl.len(),
        asked=asked.count(),
        done=DONE.sum(),
        opened=pl.col("first_output_s").count(),
        least_prompt=prompt.filter(DONE).sum(),
        most_prompt=prompt.sum(),
        least_output=output.sum(),
        most_output=pl.when(asked.null_count() == 0).then(pl.coalesce(output, asked).sum()),
    )


def of_begun(requests: pl.LazyFrame) -> pl.LazyFrame:
    """Of the points that have requests begun in the middle: how many, and the last of them."""
    rows = requests.filter(pl.col("begun_output_tokens").is_not_null())
    return rows.group_by("key").agg(begun=pl.len(), last_begun=pl.col("request").max())


def belongs(file: str) -> Rule:
    first, last = pl.col(f"{file}_from"), pl.col(f"{file}_to")
    return Rule(
        first.ne_missing(pl.col("point")) | last.ne_missing(pl.col("point")),
        pl.when(first.is_null() & last.is_null())
        .then(pl.lit("no rows"))
        .otherwise(said("rows of point {} to {}", first, last)),
        "those of its folder's point alone",
    )


LASTED = Rule(
    (pl.col("last_s") - pl.col("duration_s")).abs() > ROUNDED_S,
    said("the last row ends at {} s", "last_s"),
    "the duration_s of point.json",
)
WARMED = Rule(
    pl.col("all_warmup") != pl.col("warmup_batches"),
    said("{} warm-up batches", "all_warmup"),
    "as many as the spec's sweep has",
)
SERVED = Rule(
    (pl.col("all_outputs") != pl.col("requests")) | (pl.col("requests") != pl.col("done")),
    said("{} requests, {} of them finished", "requests", "done"),
    "the outputs of iterations.parquet, all of them",
)
ASKED = Rule(
    pl.when("lengths_given").then(pl.col("asked") < pl.col("requests")).otherwise(pl.col("asked") > 0),
    said("{} of {} requests have asked_output_tokens", "asked", "requests"),
    "all where the spec's output_length gives the answers their lengths, and none where it does not",
)

BEGUN = Rule(
    pl.when(pl.col("start") == "equilibrium")
    .then(pl.col("begun").ne_missing(pl.col("max_batch_size")) | (pl.col("last_begun") + 1).ne_missing(pl.col("begun")))
    .otherwise(pl.col("begun").is_not_null()),
    said("{} requests have begun_output_tokens, the last of them is request {}", "begun", "last_begun"),
    "the first ones, as many as fill the batch, where point.json's start is equilibrium, and none where it is not",
)


def _outside(found: str, least: str, most: str) -> pl.Expr:
    """What was thrown out of memory an engine may count twice: there is no most then."""
    undisturbed = pl.col("all_preempted") == 0
    return (pl.col(found) < pl.col(least)) | (undisturbed & (pl.col(found) > pl.col(most)))


BETWEEN = (
    Rule(
        pl.col("all_finished") != pl.col("done"),
        said("{} requests finished, iterations.parquet has {}", "done", "all_finished"),
        "the same requests in both",
    ),
    Rule(
        _outside("all_first_tokens", "opened", "requests"),
        said(
            "{} requests, {} with a first output; iterations.parquet has {} first tokens",
            *("requests", "opened", "all_first_tokens"),
        ),
        "the same requests in both",
    ),
    Rule(
        _outside("all_prompt_tokens", "least_prompt", "most_prompt"),
        said(
            "{} prompt tokens in finished requests, {} in all; iterations.parquet has {}",
            *("least_prompt", "most_prompt", "all_prompt_tokens"),
        ),
        "a number between them",
    ),
    Rule(
        _outside("all_output_tokens", "least_output", "most_output"),
        said(
            "{} output tokens in finished requests, {} asked for in all; iterations.parquet has {}",
            *("least_output", "most_output", "all_output_tokens"),
        ),
        "a number between them",
    ),
)
