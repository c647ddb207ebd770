"""results/{hardware}/studies/{study}.csv: one row a point of a study, with what the whole of it drew, part by part.

Of a load that ends with its last answer the whole is from the first submission on: a ramp until the batch is full (of
arrivals: until the warm-up is over), the steady part, and a drain in which the batch empties. Of a closed loop, whose
last answers are dropped, there is no whole; ramp and drain are what lies before and behind its window.

A knee is the break of a line through points in logarithms. With u = log x and v = log y,
v = a + b u + c max(0, u - k). For each k on a grid the other three are by least squares;
the knee is the k of the least sum of squares S. Its 95 % interval is every k whose sum is at most
S_min (1 + F(0.95; 1, n - 4) / (n - 4)), n being the number of points: the likelihood-ratio interval (Seber and Wild,
Nonlinear Regression, 1989, sections 9.3 and 5.3). It says how far the knee is told by points that scatter about two
straight lines; a curve that bends all the way has a wide one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy.special import fdtri

from joulebench import families
from joulebench.analysis import windows
from joulebench.analysis.choices import placed
from joulebench.analysis.energy import Drawn, at_each, headline
from joulebench.analysis.keyed import Recorded, whole_sum
from joulebench.analysis.phases import with_phases
from joulebench.analysis.points import WantedRun, points
from joulebench.analysis.verdicts import USABLE, Severity, fired
from joulebench.loads import LOADS
from joulebench.loads.base import SIZES, WHOLE
from joulebench.records.files import read_run
from joulebench.tables.schemas import POINTS, STUDY

WHERE = ("model", "variant", "repeat", "setting")
"""What a point of a study is told by."""

FEWEST_POINTS = 6
GRID = 400
CONFIDENCE = 0.95


def study(wanted: Sequence[WantedRun]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The points of a study (tables.STUDY), in the order of analysis.points.points, and the runs left out.

    Raises RecordError as that does.
    """
    table, left_out = points(wanted)
    found = table.join(_parts(wanted), on=WHERE, how="left", nulls_equal=True, maintain_order="left")
    length = pl.col("response_output_tokens")
    found = found.with_columns(
        whole_energy_per_response_j=pl.col("whole_energy_j") / pl.col("whole_output_tokens") * length,
        steady_energy_per_response_j=pl.col("steady_energy_j") / pl.col("steady_output_tokens") * length,
    )
    found = found.with_columns(
        study_energy_per_response_j=pl.coalesce("whole_energy_per_response_j", "energy_per_response_j")
    )
    found = with_phases(_with_knees(found), wanted)
    return found.select(pl.col(name).cast(dtype) for name, dtype in STUDY.items()), left_out


def with_intervals(table: pl.DataFrame) -> pl.DataFrame:
    """`table` (tables.STUDY) with the interval of its figure, and with both for an output token.

    The columns are study_energy_per_response_low_j and _high_j, study_energy_per_output_token_j, _low_j and _high_j. A
    whole has no interval of its own; one of its repeats is what analysis.choices.pooled adds.
    """
    stationary = pl.col("whole_energy_per_response_j").is_null()
    token = pl.col("study_energy_per_response_j") / pl.col("response_output_tokens")
    given = {"energy_per_output_token_j": pl.when(stationary).then("energy_per_output_token_j").otherwise(token)}
    for name in ("energy_per_response", "energy_per_output_token"):
        given |= {f"{name}_{end}_j": pl.when(stationary).then(f"{name}_{end}_j") for end in ("low", "high")}
    return table.with_columns(expression.alias(f"study_{name}") for name, expression in given.items())


def _parts(wanted: Sequence[WantedRun]) -> pl.DataFrame:
    """WHERE, and seconds and J of each part of each usable point of text, with its output tokens, whole and steady."""
    places: list[tuple[object, ...]] = []
    folders: dict[int, Path] = {}
    for one in wanted:
        run, spec = read_run(one.folder), one.spec
        taken = run.spec_hash == spec.hash and families.of(spec.task) is families.TEXT
        for point in (point for point in run.points if taken and point.status in USABLE):
            key = len(folders)
            folders[key] = one.folder / "points" / point.folder
            of = point.at
            places.append(
                (key, of.load, point.max_batch_size, point.begun, spec.model, spec.variant, spec.repeat, of.label)
            )
    named = pl.DataFrame(places, schema={**SIZES, **{name: POINTS[name] for name in WHERE}}, orient="row")
    recorded = Recorded.read(folders, families.TEXT)
    size = named.select(*SIZES)
    iterations = recorded.iterations
    found = windows.text_windows(iterations.lazy(), size.lazy(), recorded.requests.lazy()).collect()
    whole = pl.col("window") == WHOLE
    counted = [name for name, load in LOADS.items() if load.counts]
    ends = (
        found.join(size.select("key", "load"), on="key")
        .join(iterations.group_by("key").agg(last_s=pl.col("end_s").last()), on="key")
        .select(
            "key",
            counts=pl.col("load").is_in(counted),
            zero_s=pl.lit(0.0),
            opened_s=pl.when(whole).then("queue_start_s").otherwise("start_s"),
            closed_s=pl.when(whole).then("queue_end_s").otherwise("end_s"),
            last_s="last_s",
        )
        .with_columns(closed_s=pl.when(pl.col("opened_s").is_not_null()).then("closed_s"))
    )
    drawn = Drawn(headline(recorded.energy))
    names = ("zero", "opened", "closed", "last")
    at = dict(zip(names, at_each(drawn.energy_j, ends, *(f"{name}_s" for name in names)), strict=True))
    tokens = iterations.join(ends, on="key", maintain_order="left")
    inside = (pl.col("end_s") > pl.col("opened_s")) & (pl.col("end_s") <= pl.col("closed_s"))
    served = tokens.group_by("key").agg(
        whole_output_tokens=whole_sum("output_tokens"),
        steady_output_tokens=pl.col("output_tokens").filter(inside).cast(pl.Int64).sum(),
    )
    known = ends.with_columns(pl.Series(f"{name}_j", values) for name, values in at.items())
    return (
        known.join(served, on="key", how="left")
        .join(named.select("key", *WHERE), on="key")
        .select(
            *WHERE,
            *((pl.col(f"{end}_s") - pl.col(f"{start}_s")).alias(f"{part}_s") for part, (start, end) in _PARTS.items()),
            *(
                (pl.col(f"{end}_j") - pl.col(f"{start}_j")).alias(f"{part}_energy_j")
                for part, (start, end) in _PARTS.items()
            ),
            "counts",
            "whole_output_tokens",
            steady_output_tokens=pl.when(pl.col("steady_output_tokens") > 0).then("steady_output_tokens"),
        )
        .with_columns(pl.when("counts").then(pl.col("whole_s", "whole_energy_j", "whole_output_tokens")))
        .drop("counts")
    )


_PARTS = {
    "whole": ("zero", "last"),
    "ramp": ("zero", "opened"),
    "steady": ("opened", "closed"),
    "drain": ("closed", "last"),
}
"""What a point falls into -> from when to when."""


def _with_knees(found: pl.DataFrame) -> pl.DataFrame:
    """`found` with the knee of each model's energy over what varies: knee, knee_low, knee_high.

    Of the points that no check voids; one without a stationary window has its whole all the same.
    """
    rows = []
    void = fired(found.select(POINTS.names())).filter(pl.col("severity") == Severity.INVALID)
    told = placed(found).filter(pl.col("study_energy_per_response_j") > 0)
    told = told.join(void, on=WHERE, how="anti", nulls_equal=True)
    for (model, variant), of in told.group_by("model", "variant", maintain_order=True):
        if (one := knee(of["axis_value"], of["study_energy_per_response_j"])) is not None:
            rows.append((model, variant, one.value, one.low, one.high))
    names = {"model": pl.String, "variant": pl.String, **dict.fromkeys(("knee", "knee_low", "knee_high"), pl.Float64)}
    knees = pl.DataFrame(rows, schema=names, orient="row")
    return found.join(knees, on=("model", "variant"), how="left", nulls_equal=True, maintain_order="left")


@dataclass(frozen=True)
class Knee:
    """The x of the knee and the ends of its interval, in the unit of x."""

    value: float
    low: float
    high: float


def knee(x: ArrayLike, y: ArrayLike) -> Knee | None:
    """The knee of y over x, both positive; None for fewer than FEWEST_POINTS different x, or where y is one line.

    The break lies between the second and the last but one of x. y is one line where even without a break the sum of
    squares is within the interval's bound.
    """
    u, v = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    places = np.unique(u)
    if places.size < FEWEST_POINTS or not (np.isfinite(u).all() and np.isfinite(v).all()):
        return None
    grid = np.linspace(places[1], places[-2], GRID)
    sums = np.array([_squares(u, v, at) for at in grid])
    least, freedom = float(sums.min()), u.size - 4
    bound = least * (1 + float(fdtri(1, freedom, CONFIDENCE)) / freedom)
    if _squares(u, v, None) <= bound:
        return None
    allowed = np.flatnonzero(sums <= bound)
    low, high = max(0, allowed[0] - 1), min(GRID - 1, allowed[-1] + 1)  # a step further: the bound lies between two
    found = np.exp([grid[int(sums.argmin())], grid[low], grid[high]])
    return Knee(*(float(one) for one in found))


def _squares(u: np.ndarray, v: np.ndarray, at: float | None) -> float:
    columns = [np.ones_like(u), u] if at is None else [np.ones_like(u), u, np.maximum(0.0, u - at)]
    design = np.stack(columns, axis=1)
    rest = v - design @ np.linalg.lstsq(design, v, rcond=None)[0]
    return float(rest @ rest)
