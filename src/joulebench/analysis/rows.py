"""What each row of a point's tables must be by itself, and after the row before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from joulebench.records.schemas import REQUEST_STATUSES
from joulebench.records.sources import DEVICE, DEVICES

_COUNTS = ("running", "waiting", "prompt_tokens", "output_tokens", "first_tokens", "finished", "preempted")
_STAGES = ("submitted_s", "admitted_s", "first_output_s", "finished_s")
_TOKENS = ("prompt_tokens", "output_tokens", "asked_output_tokens", "begun_output_tokens")
_READINGS = ("energy_j", "power_w", "temperature_c", "clock_mhz", "memory_used_mb", "others_busy_s", "stolen_s")

_GAPS = pl.col("token_gaps_s")


@dataclass(frozen=True)
class Rule:
    """`broken` by a row: what was `found` in it, and what was expected."""

    broken: pl.Expr
    found: pl.Expr
    expected: str


def said(text: str, *columns: str | pl.Expr) -> pl.Expr:
    """`text` with the columns' values in its braces; a null is said."""
    values = [pl.col(one) if isinstance(one, str) else one for one in columns]
    return pl.format(text, *(value.cast(pl.String).fill_null("null").str.slice(0, 60) for value in values))


def listed(columns: Sequence[str]) -> pl.Expr:
    return said(", ".join(f"{name} is {{}}" for name in columns), *columns)


SAME = (pl.col("key") == pl.col("key").shift()).fill_null(False)


def numbered(column: str) -> Rule:
    wanted = pl.when(SAME).then(pl.col(column).shift() + 1).otherwise(0)
    return Rule(
        pl.col(column).ne_missing(wanted),
        said(f"{column} {{}} stands in the place of {{}}", column, wanted),
        "0, 1, 2 and so on, each once",
    )


def _no_time(column: str, nullable: bool = False) -> pl.Expr:
    value = pl.col(column)
    return (~(value.is_finite() & (value >= 0))).fill_null(not nullable)


def _no_count(column: str, nullable: bool = False) -> pl.Expr:
    return (pl.col(column) < 0).fill_null(not nullable)


ITERATION = (
    Rule(_no_time("end_s"), said("end_s is {}", "end_s"), "seconds from 0 on"),
    Rule(pl.any_horizontal(map(_no_count, _COUNTS)), listed(("iteration", *_COUNTS)), "counts from 0 on"),
    Rule(
        pl.col("first_tokens") > pl.col("output_tokens"),
        said("{} first tokens among {} output tokens", "first_tokens", "output_tokens"),
        "no more than all of them",
    ),
    Rule(
        ~_GAPS.list.sum().is_finite() | (_GAPS.list.min() <= 0) | _GAPS.list.contains(None),
        said("token_gaps_s of iteration {} are {} to {}", "iteration", _GAPS.list.min(), _GAPS.list.max()),
        "seconds over 0, or null",
    ),
)

BATCH = (
    Rule(
        _no_time("start_s") | _no_time("end_s") | (pl.col("end_s") < pl.col("start_s")),
        listed(("start_s", "end_s")),
        "seconds from 0 on, the end after the start",
    ),
    Rule(
        SAME & (pl.col("start_s") < pl.col("end_s").shift()),
        said("a batch starts at {} s, before the end of the one before it", "start_s"),
        "one batch after the other",
    ),
    Rule((pl.col("outputs") < 1).fill_null(True), listed(("outputs",)), "one output at least"),
    Rule(
        (pl.col("denoising_steps") < 1).fill_null(True)
        | (SAME & (pl.col("denoising_steps") != pl.col("denoising_steps").shift())),
        said("batch {} took {} denoising steps", "iteration", "denoising_steps"),
        "the same number of them in each batch, one at least",
    ),
    Rule(
        pl.col("warmup").is_null() | (SAME & pl.col("warmup") & ~pl.col("warmup").shift()),
        said("warmup of batch {} is {}", "iteration", "warmup"),
        "the warm-up batches first, then the others",
    ),
)

DONE = pl.col("status") == "finished"
_BEFORE = [pl.col(after) < pl.max_horizontal(_STAGES[:place]) for place, after in enumerate(_STAGES) if place]
REQUEST = (
    Rule(
        ~pl.col("status").is_in(REQUEST_STATUSES) | pl.col("status").is_null(),
        said("request {} has the status '{}'", "request", "status"),
        ", ".join(REQUEST_STATUSES),
    ),
    Rule(
        _no_time("submitted_s") | pl.any_horizontal(_no_time(name, nullable=True) for name in _STAGES),
        listed(_STAGES),
        "seconds from 0 on",
    ),
    Rule(
        pl.any_horizontal(_BEFORE),
        listed(_STAGES),
        "each after the one before it",
    ),
    Rule(
        DONE & pl.any_horizontal(pl.col(name).is_null() for name in _STAGES),
        said("request {} finished without all its times: {}", "request", listed(_STAGES)),
        "no null",
    ),
    Rule(
        ~DONE & pl.col("finished_s").is_not_null(),
        said("request {} is {}, and finished at {} s", "request", "status", "finished_s"),
        "no such time",
    ),
    Rule(
        pl.any_horizontal(_no_count(name, nullable=True) for name in _TOKENS),
        listed(_TOKENS),
        "counts from 0 on",
    ),
)

ANSWER = (
    Rule(pl.col("prompt_tokens").is_null(), said("request {} has no prompt_tokens", "request"), "a count"),
    Rule(
        pl.col("output_tokens").is_not_null() != DONE,
        said("request {} is {}, and has {} output tokens", "request", "status", "output_tokens"),
        "a count where it finished, and nowhere else",
    ),
    Rule(
        pl.col("output_tokens") > pl.col("asked_output_tokens"),
        said("an answer of {} tokens was asked to have {}", "output_tokens", "asked_output_tokens"),
        "no more",
    ),
    Rule(
        pl.col("begun_output_tokens").is_not_null()
        & (
            (pl.col("asked_output_tokens") < 1).fill_null(True)
            | (pl.col("begun_output_tokens") > pl.col("prompt_tokens"))
        ),
        said(
            "a request begun at token {}, of {} prompt tokens, was asked for {} more",
            *("begun_output_tokens", "prompt_tokens", "asked_output_tokens"),
        ),
        "one more at least, and what it was begun with among its prompt tokens",
    ),
)

DEVICE_NAME = Rule(~pl.col("device").str.contains(f"^({DEVICE})$"), said("energy of a device '{}'", "device"), DEVICES)

POLL = (
    Rule(pl.col("device").is_null(), pl.lit("device is null"), "a device's name"),
    Rule(
        ~pl.col("time_s").is_finite() | pl.col("time_s").is_null(),
        said("time_s is {}", "time_s"),
        "seconds since the point's start",
    ),
    Rule(
        pl.any_horizontal(~pl.col(name).is_finite() for name in _READINGS),
        listed(("time_s", *_READINGS)),
        "finite numbers, or null",
    ),
)
