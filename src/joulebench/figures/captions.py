"""What figures say in words about the rows that they show."""

from collections.abc import Iterator, Sequence

import polars as pl

from joulebench.analysis.sources import cards_in, named
from joulebench.analysis.verdicts import USABLE, Severity, has_severity
from joulebench.config.services import LatencyTarget
from joulebench.figures import style
from joulebench.loads.setting import BATCHES, CLOSED_LOOP, COORDINATES, in_words
from joulebench.names import TASKS

LINE_CHARACTERS = 112
NO_SOURCE = "no energy source: energy not shown"

CLOSED = (None, CLOSED_LOOP, BATCHES)
"""The loads that keep a batch full."""
LOADS = {CLOSED_LOOP: "closed loop", "at-once": "all at once", "poisson": "Poisson arrivals", "gamma": "gamma arrivals"}

DOUBTED = has_severity(Severity.FLAGGED, Severity.INVALID)
"""Whether a row is flagged or invalid."""

INVALID = has_severity(Severity.INVALID)
"""Whether a check voids a row's figures."""
SHOWN = pl.col("energy_per_response_j").is_not_null() & ~INVALID

METRICS = {
    "ttft": "time to first token",
    "submission_ttft": "time from submission to first token",
    "tpot": "time per output token",
    "itl": "inter-token latency",
    "latency": "latency",
}


def subtitle(rows: pl.DataFrame) -> list[str]:
    """Lines for under a figure's title: the load where it is not a plain closed loop, the hardware and on how many of
    its cards, the energy sources, the dates, whether weights are synthetic, and whether flagged points are shown.

    `rows` has the columns of tables.POINTS.
    """
    if rows.is_empty():
        return []
    devices = rows.group_by("device", "hardware").agg("card").sort("device", "hardware", nulls_last=True)
    hardware = [
        (f"{device} ({key})" if device else str(key)) + _cards(found) for device, key, found in devices.iter_rows()
    ]
    return lines([*_loads(rows), *hardware, *energy_sources(rows), *_dates(rows), *_weights(rows), *_flagged(rows)])


def lines(parts: Sequence[str]) -> list[str]:
    """`parts` in as few lines as hold them."""
    found: list[str] = []
    for part in parts:
        if found and len(found[-1]) + len(part) < LINE_CHARACTERS:
            found[-1] += f" · {part}"
        else:
            found.append(part)
    return found


def load_words(load: str | None) -> str:
    """`poisson` -> `Poisson arrivals`."""
    load = load or CLOSED_LOOP
    return LOADS.get(load, load)


def over_batch_sizes(rows: pl.DataFrame) -> bool:
    """Whether the sweep of any of `rows` varies the batch size."""
    return bool((rows["axis"] == "max_batch_size").any())


def tasks(rows: pl.DataFrame) -> list[str]:
    """The tasks of `rows`, in the order in which they are spoken of; any other after them, by name."""
    found = set(rows["task"])
    return [*(task for task in TASKS if task in found), *sorted(found.difference(TASKS))]


def by_task(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """`tasks` of `rows`, each with its own rows."""
    return ((task, rows.filter(pl.col("task") == task)) for task in tasks(rows))


def energy_sources(rows: pl.DataFrame) -> list[str]:
    """The energy sources of `rows`, spelled out for people."""
    if not (sources := named(rows["energy_source"])):
        return [NO_SOURCE]
    words = [f"energy {source.words}" for source in sources]
    served = rows.filter(pl.col("status").is_in(USABLE))
    return [*words, *(["no energy source for some points"] if served["energy_source"].has_nulls() else [])]


def energy_title(rows: pl.DataFrame, title: str = "Energy per response (J)") -> str:
    """The title of an axis of energy or power: an estimate is named an estimate."""
    sources = named(rows.filter(pl.col("energy_per_response_j").is_not_null())["energy_source"])
    if not any(source.is_estimate for source in sources):
        return title
    return f"{title}, {'estimated' if all(source.is_estimate for source in sources) else 'partly estimated'}"


def latency_target(target: LatencyTarget | None) -> list[str]:
    """`latency target: median time per output token at most 0.2 s`; nothing for None."""
    if target is None:
        return []
    which = "median" if target.quantile == 50 else f"{target.quantile}th percentile of"
    return [f"latency target: {which} {METRICS[target.metric]} at most {target.at_most_s:g} s"]


def run_label() -> pl.Expr:
    """`run_name` in lines, as an axis or a legend has it."""
    return run_name().map_elements(style.wrapped, return_dtype=pl.String)


def run_name() -> pl.Expr:
    """The run of a row: the model, `+variant` where there is one, and what tells it from others of the frame.

    That is trained weights where others are drawn, and answers that end by themselves.
    """
    mixed = pl.col("weights").n_unique() > 1
    trained = pl.when(mixed & (pl.col("weights") == "checkpoint")).then(pl.lit("trained"))
    variant = pl.when(pl.col("variant").is_not_null()).then(pl.format("+{}", "variant")).otherwise(pl.lit(""))
    return pl.concat_str("model", variant, _in_brackets(trained, _natural()))


def entrant() -> pl.Expr:
    """What has a row of its own on the board (analysis.choices.ENTRANT), by its name: a model and how answers end."""
    return pl.concat_str("model", _in_brackets(_natural()))


def _natural() -> pl.Expr:
    return pl.when(pl.col("answers") == "natural").then(pl.lit("natural answers"))


def _in_brackets(*words: pl.Expr) -> pl.Expr:
    """` (a, b)` of those that are not null, nothing where none is."""
    said = pl.concat_str(*words, separator=", ", ignore_nulls=True)
    return pl.when(said != "").then(pl.format(" ({})", said)).otherwise(pl.lit(""))


def repeats(rows: pl.DataFrame) -> list[str]:
    """A line on how many repeats the figures of pooled rows (analysis.choices) are means of, if it is several."""
    counts = rows.filter(pl.col("energy_per_response_j").is_not_null())["repeats"].drop_nulls().unique().sort()
    if counts.is_empty() or counts[-1] == 1:
        return []
    many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return [
        f"Means of {many} repeats, each from a new start of the engine; their intervals hold what differs between them."
    ]


def why_not(rows: pl.DataFrame) -> str:
    """How many of `rows` have which status: `2 out_of_memory, 1 failed`."""
    why = pl.when(INVALID & pl.col("energy_per_response_j").is_not_null()).then(pl.lit("invalid"))
    counts = rows.select(status=why.otherwise("status").fill_null("unknown"))["status"].value_counts().sort("status")
    return ", ".join(f"{count} {status}" for status, count in counts.iter_rows())


def no_energy(task: str, rows: pl.DataFrame) -> str:
    """Why none of `rows`, which are of `task`, has energy to show."""
    if rows.filter(pl.col("status").is_in(USABLE) & DOUBTED).is_empty():
        return f"No energy was measured for {task}"
    return f"No point of {task} passed every check"


def _cards(found: Sequence[str | None]) -> str:
    """`, 5 cards` where rows are of several: cards of one kind differ by a few percent."""
    cards = cards_in(found)
    return f", {len(cards)} cards" if len(cards) > 1 else ""


def _loads(rows: pl.DataFrame) -> list[str]:
    """The loads of `rows`, and the coordinates that no sweep of them varies; nothing of plain closed loops."""
    loads, axes = rows["load"].unique(maintain_order=True).to_list(), set(rows["axis"])
    given = {name: rows[name].unique() for name in COORDINATES if name not in axes}
    known = {name: found[0] for name, found in given.items() if len(found) == 1 and found[0] is not None}
    words = {name: in_words(name, value) for name, value in known.items()}
    same = [f"at most {one} in flight" if name == "max_batch_size" else one for name, one in words.items()]
    if not same and set(loads) <= set(CLOSED):
        return []
    return [f"load: {', '.join([' and '.join(map(load_words, loads)), *same])}"]


def _dates(rows: pl.DataFrame) -> list[str]:
    days = rows["measured_on"].drop_nulls().str.head(10).unique().sort()
    if days.is_empty():
        return []
    return [f"measured {days[0]}" if len(days) == 1 else f"measured {days[0]} to {days[-1]}"]


def _flagged(rows: pl.DataFrame) -> list[str]:
    flagged = has_severity(Severity.FLAGGED) & pl.col("energy_per_response_j").is_not_null()
    return [] if rows.filter(flagged).is_empty() else ["flagged points included"]


def _weights(rows: pl.DataFrame) -> list[str]:
    models = rows["model"].n_unique()
    synthetic = rows.filter(pl.col("weights") == "synthetic")["model"].n_unique()
    if synthetic in (0, models):
        return ["synthetic weights"] if synthetic else []
    return [f"synthetic weights ({synthetic} of {models} models)"]
