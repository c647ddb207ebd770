"""How long requests are: those that a point served, and the mean one of the sample that a response stands for.

A point at a small batch serves a part of the sample only, 86 to 200 of 500 requests at B <= 16, whose mean length is
up to 5 % off. So that every row of a task speaks of the same responses, the mean is taken over the whole sample
wherever the answers' lengths are given. Where the model ends its answers itself, it is the mean over the sample too, as
a point of the run answered it whole: long answers are in flight when a point ends, so that the mean of those that
finished is too short (SmolLM2 on an H100, B = 1,024: 589 tokens against 709). Where no point answered the whole sample,
it is that of the finished ones all the same.
"""

import polars as pl

from joulebench.analysis.keyed import KEY, whole_sum


def mean_lengths(requests: pl.LazyFrame) -> pl.LazyFrame:
    """key, mean_prompt_tokens, mean_output_tokens, over every whole request of the point whose length is known.

    Where the answers are made to have a length, that is all of them, the last ones in flight too: taken over the
    finished alone, the mean would be too short in a point that was cut off, since long answers are in flight longer
    (the inspection paradox; with the unfinished counted in, Wald's equation makes it unbiased). Where the model stops
    by itself, it is the finished ones. `requests`: records.REQUESTS with key.
    """
    finished = pl.when(pl.col("status") == "finished").then("output_tokens")
    return (
        requests.with_columns(output_tokens=pl.coalesce("asked_output_tokens", finished))
        .filter(pl.col("output_tokens").is_not_null() & pl.col("begun_output_tokens").is_null())
        .group_by("key", maintain_order=True)
        .agg((whole_sum(name) / pl.len()).alias(f"mean_{name}") for name in ("prompt_tokens", "output_tokens"))
    )


def sample_lengths(requests: pl.LazyFrame, sizes: pl.LazyFrame) -> pl.LazyFrame:
    """key, sample_prompt_tokens, sample_output_tokens: means over the whole sample that the key's run serves.

    `requests`: records.REQUESTS with key; `sizes`: metrics.SIZES. Where the records do not say them (point.json),
    they are those of the first point of the run that served the whole sample: a point serves all `sampled` requests
    once before it repeats any (measure/serving.py). Where the model ends its answers itself, all of them have to have
    finished. Null where no point came so far.
    """
    names = ("prompt_tokens", "answer_tokens")
    served = (
        requests.filter(pl.col("begun_output_tokens").is_null())
        .with_columns(answer_tokens=pl.coalesce("asked_output_tokens", "output_tokens"))
        .select("key", "request", pl.col(names).cast(pl.Int64))
        .join(sizes.select("key", "run", "sampled"), on="key")
        .filter(pl.col("request") < pl.col("sampled"))
        .group_by("run", "key", "sampled", maintain_order=True)
        .agg(pl.len(), *(whole_sum(name) for name in names))
        .filter((pl.col("len") == pl.col("sampled")) & (pl.col("answer_tokens") > 0))
        .group_by("run", maintain_order=True)
        .first()
        .select("run", *((pl.col(name) / pl.col("sampled")).alias(f"served_{name}") for name in names))
    )
    found = {"prompt": "served_prompt_tokens", "output": "served_answer_tokens"}
    return sizes.join(served, on="run", how="left", maintain_order="left").select(
        pl.col("key").cast(KEY),
        *(pl.coalesce(f"sample_{kind}_tokens", name).alias(f"sample_{kind}_tokens") for kind, name in found.items()),
    )
