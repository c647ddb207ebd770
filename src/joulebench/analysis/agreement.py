"""Whether the tables of a point agree with each other, and each row of them with itself.

A rule that a row breaks is looked for in all points at once. What a file sums up to is one row a point, held against
what the other files, point.json and run.json say. All rules hold exactly in the published records of both engines of
text and of diffusion. Two are inequalities by nature: of a request that was aborted only the submission is known, so
that what the iterations did for it lies between nothing and what it asked for.
"""

from collections.abc import Sequence

import polars as pl

from joulebench.analysis import rows, totals
from joulebench.analysis.keyed import Recorded, known_of
from joulebench.analysis.rows import SAME, Rule, said
from joulebench.analysis.totals import ROUNDED_S
from joulebench.files import REMEDY, RecordError

FAR_S = 10.0
"""The sampler's readings begin 1 s before a point and go on for 1 s after it; further off they are another's."""

LATE_S = 2.0
"""So long before the iteration that tells of it may a request have finished, by the engine's own clock: 0.41 s before
that iteration's end at most in the published records."""

KNOWN = (
    *("key", "point", "duration_s", "lengths_given", "warmup_batches", "sources"),
    *("run", "sampled", "sample_prompt_tokens", "sample_output_tokens", "max_batch_size", "start"),
)
"""What is known of a point beside its tables: its index, `duration_s` and `start` of its point.json, its maximum batch
size, whether its spec gives the answers their lengths, the warm-up batches that its sweep asks for, run.json's energy
sources, by device, its run, how many requests the sample has, and their mean tokens where the records say them."""


def require_text(recorded: Recorded, known: pl.DataFrame) -> None:
    """Raises RecordError, which names the file, unless the tables of each text point agree; `known`: KNOWN."""
    iterations, requests = recorded.iterations, recorded.requests
    _rows(recorded, "iterations", iterations, (rows.numbered("iteration"), *rows.ITERATION))
    _rows(recorded, "requests", requests, (rows.numbered("request"), *rows.REQUEST, *rows.ANSWER))
    table = known_of(
        known.lazy(),
        totals.of_iterations(iterations.lazy()),
        totals.of_requests(requests.lazy()),
        totals.of_begun(requests.lazy()),
    ).collect()
    _rows(recorded, "iterations", table, (totals.belongs("iterations"), totals.LASTED))
    _rows(recorded, "requests", table, (totals.belongs("requests"), totals.ASKED, totals.BEGUN, *totals.BETWEEN))
    _rows(recorded, "requests", _finishes(iterations, requests), _REPORTED)
    _rows(recorded, "requests", _samples(known, requests), _SAMPLED)
    _energy(recorded, known)


def require_diffusion(recorded: Recorded, known: pl.DataFrame) -> None:
    """Raises RecordError, which names the file, unless the tables of each diffusion point agree; `known`: KNOWN."""
    batches, requests = recorded.iterations, recorded.requests
    _rows(recorded, "iterations", batches, (rows.numbered("iteration"), *rows.BATCH))
    _rows(recorded, "requests", requests, (rows.numbered("request"), *rows.REQUEST))
    sums = totals.of_batches(batches.lazy()), totals.of_requests(requests.lazy())
    table = known_of(known.lazy(), *sums).collect()
    _rows(recorded, "iterations", table, (totals.belongs("iterations"), totals.LASTED, totals.WARMED))
    _rows(recorded, "requests", table, (totals.belongs("requests"), totals.SERVED))
    _rows(recorded, "requests", _outputs(batches, requests), (_IN_ITS_BATCH,))
    _energy(recorded, known)


def _energy(recorded: Recorded, known: pl.DataFrame) -> None:
    _rows(recorded, "energy", recorded.energy, rows.POLL)
    time = pl.col("time_s")
    sources = recorded.energy.lazy().group_by("key", "device", "source").agg(first_s=time.first(), last_s=time.last())
    named = known.lazy().select("key", "sources").explode("sources").unnest("sources")
    named = named.filter(pl.col("device").is_not_null()).with_columns(named=True)
    table = sources.with_columns(read=True).join(named, on=["key", "device"], how="full", coalesce=True)
    table = known.lazy().select("key", "duration_s").join(table, on="key", how="left")
    _rows(recorded, "energy", table.sort("key", "device", "first_s").collect(), _DEVICE)


def _rows(recorded: Recorded, file: str, frame: pl.DataFrame, rules: Sequence[Rule]) -> None:
    """Raises RecordError for the first of `rules` that a row of `frame` (with key) breaks."""
    broken = [rule.broken.any().alias(str(place)) for place, rule in enumerate(rules)]
    for rule, any_broken in zip(rules, frame.lazy().select(broken).collect().row(0), strict=True):
        if any_broken:
            key, _, found = frame.select("key", broken=rule.broken, found=rule.found).filter("broken").row(0)
            path = recorded.folders[key] / f"{file}.parquet"
            raise RecordError(f"{path}: {' '.join(str(found).split())}, expected {rule.expected}; {REMEDY}")


def _finishes(iterations: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """key, finished_s, start_s, end_s: each finished request, and the iteration that told of it, in their order."""
    start = pl.when(SAME).then(pl.col("end_s").shift()).otherwise(0.0)
    ending = iterations.lazy().with_columns(start_s=start).filter(pl.col("finished") > 0)
    told = ending.select(pl.col("start_s", "end_s").repeat_by("finished")).explode("start_s", "end_s")
    done = requests.lazy().filter(rows.DONE).group_by("key", maintain_order=True).agg(pl.col("finished_s").sort())
    return pl.concat([done.explode("finished_s"), told], how="horizontal").collect()


_TOLD = said("a request finished at {} s, iterations.parquet tells of it at {} s", "finished_s", "end_s")
_REPORTED = (
    Rule(pl.col("finished_s") > pl.col("end_s") + ROUNDED_S, _TOLD, "no request to finish after it was told of"),
    Rule(
        pl.col("finished_s") < pl.col("start_s") - LATE_S,
        _TOLD,
        f"to have finished in that iteration, or {LATE_S:g} s before it at most",
    ),
)


def _samples(known: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """One row a run and request of the sample, and one a point that served the whole sample.

    key: a point that has it. prompts, answers: how many lengths the points of the run give that request. whole: how
    many requests of the sample the point served, prompt_mean and output_mean: their mean tokens.
    """
    of_run = known.lazy().select("key", "run", "sampled", "sample_prompt_tokens", "sample_output_tokens")
    served = (
        _whole(requests)
        .filter(pl.col("request") < known["sampled"].max())
        .select("key", "request", "prompt_tokens", "asked_output_tokens")
        .join(of_run, on="key")
        .filter(pl.col("request") < pl.col("sampled"))
    )
    each = served.group_by("run", "request").agg(
        pl.col("key").first(),
        prompts=pl.col("prompt_tokens").drop_nulls().n_unique(),
        answers=pl.col("asked_output_tokens").drop_nulls().n_unique(),
    )
    whole = (
        served.group_by("key", "sampled", "sample_prompt_tokens", "sample_output_tokens")
        .agg(
            whole=pl.len(),
            prompt_mean=pl.col("prompt_tokens").cast(pl.Int64).sum() / pl.len(),
            output_mean=pl.col("asked_output_tokens").cast(pl.Int64).sum() / pl.len(),
        )
        .filter(pl.col("whole") == pl.col("sampled"))
    )
    return pl.concat([each.drop("run"), whole], how="diagonal_relaxed").sort("key", "request").collect()


def _whole(requests: pl.DataFrame) -> pl.LazyFrame:
    """The whole requests, numbered from 0 in each point: those that were begun in the middle come before them."""
    if requests["begun_output_tokens"].count() == 0:
        return requests.lazy()
    begun = requests.lazy().group_by("key").agg(begun=pl.col("begun_output_tokens").count().cast(pl.Int64))
    whole = requests.lazy().filter(pl.col("begun_output_tokens").is_null())
    numbered = whole.join(begun, on="key", maintain_order="left")
    return numbered.with_columns(request=pl.col("request") - pl.col("begun"))


_SAMPLED = (
    Rule(
        (pl.col("prompts") > 1) | (pl.col("answers") > 1),
        said("request {} has {} prompt lengths and {} answer lengths in its run", "request", "prompts", "answers"),
        "the same request to be as long in every point",
    ),
    Rule(
        (pl.col("prompt_mean") != pl.col("sample_prompt_tokens"))
        | (pl.col("output_mean") != pl.col("sample_output_tokens")),
        said("the whole sample has {} prompt and {} output tokens a request", "prompt_mean", "output_mean"),
        "the sample_tokens of point.json",
    ),
)


def _outputs(batches: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """key, submitted_s, finished_s, start_s, end_s: each request, and the batch that it was served in."""
    served = batches.select(pl.col("start_s", "end_s").repeat_by("outputs")).explode("start_s", "end_s")
    return pl.concat([requests.select("key", "submitted_s", "finished_s"), served], how="horizontal")


_IN_ITS_BATCH = Rule(
    ((pl.col("submitted_s") - pl.col("start_s")).abs() > ROUNDED_S)
    | ((pl.col("finished_s") - pl.col("end_s")).abs() > ROUNDED_S),
    said(
        "a request was served from {} to {} s, its batch from {} to {} s",
        *("submitted_s", "finished_s", "start_s", "end_s"),
    ),
    "the same times",
)

_DEVICE = (
    Rule(pl.col("device").is_null(), pl.lit("no rows"), "the sampler's readings"),
    rows.DEVICE_NAME,
    Rule(
        pl.col("read").is_null() | pl.col("named").is_null(),
        pl.when(pl.col("read").is_null()).then(said("no rows of {}", "device")).otherwise(said("rows of {}", "device")),
        "the devices that run.json names (machine.energy_sources), each of them",
    ),
    Rule(
        SAME & (pl.col("device") == pl.col("device").shift()),
        said("{} is read from {} and from {}", "device", pl.col("source").shift(), "source"),
        "one source of a device",
    ),
    Rule(
        pl.col("source").ne_missing(pl.col("told")),
        said("{} is read from {}", "device", "source"),
        "the source that run.json has of it (machine.energy_sources)",
    ),
    Rule(
        (pl.col("first_s") > pl.col("duration_s") + ROUNDED_S)
        | (pl.col("last_s") < 0)
        | (pl.col("first_s") < -FAR_S)
        | (pl.col("last_s") > pl.col("duration_s") + FAR_S),
        said(
            "{} was read from {} to {} s, the point lasted from 0 to {} s",
            *("device", "first_s", "last_s", "duration_s"),
        ),
        "readings of the same stretch, by the same clock",
    ),
)
