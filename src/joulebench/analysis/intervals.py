"""Intervals of a ratio over consecutive blocks of a window, which depend on one another.

Block i of about 1 s drew E_i joules for T_i tokens. The ratio r = sum E / sum T moves by e_i / sum T with each block,
e_i = E_i - r T_i (Cochran, Sampling Techniques, 3rd ed., chapter 6). Power and contexts wander over seconds, so the
e_i of neighbours are alike, and intervals that take them for independent are too narrow. The variance of their sum is
the equal-weighted cosine estimate of Lazarus, Lewis, Stock and Watson (2018), HAR Inference: Recommendations for
Practice, Journal of Business & Economic Statistics 36(4), with their number of cosines: the mean square of

    c_j = sqrt(2) sum_i cos(pi j (i - 1/2) / n) x_i,     j = 1 ... v,     v = 0.4 n^(2/3), at least 2, at most n - 1

for n blocks that add x_i each, and Student's t with v degrees of freedom. So only the slow waves of the window count,
which are those that a longer one would still show. benchmarks/interval_coverage.py says how often
they hold the truth.

A closed loop takes a turnover (as many finished requests as fill the batch) to forget which requests it holds. Once
the prompts, which change from second to second, are adjusted for, that slow change is most of what is left, and waves
shorter than that say little of it. Wave j has a period of 2/j of the window. So the interval of an adjusted figure is
also taken from the first k + 1 waves alone, for k whole turnovers: none is shorter than a turnover but, in windows that
are, the first. The wider of the two counts, since few waves may be still by chance. To take so few waves that even the
shortest is of the long run is the way of Müller and Watson (2017), Low-Frequency Econometrics. benchmarks/turnovers.py
says what it gives. Plain ratios, and the energy of a prompt token, are told by what changes from second to second,
and do without.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from joulebench.analysis.keyed import KEY, by_key
from joulebench.tables.columns import BOUNDS

CONFIDENCE = 0.95
FEWEST_BLOCKS = 3
FEWEST_ADJUSTED = 8
"""Blocks of which an interval, and an adjusted figure, is told."""

Figure = tuple[str, str]
"""A figure's name and its unit: its columns are {name}_{unit}, {name}_low_{unit} and {name}_high_{unit}."""

ADJUSTED: tuple[Figure, ...] = (
    ("adjusted_energy_per_output_token", "j"),
    ("energy_per_prompt_token", "j"),
    ("energy_per_decoded_token", "j"),
)


@dataclass(frozen=True)
class Estimate:
    """A figure and the half-width of its interval, in one unit; NaN where unknown."""

    value: float
    half_width: float


@dataclass(frozen=True)
class Adjusted:
    """Energy per output token at the sample's own mix, and what one token of each kind adds, J."""

    per_output_token: Estimate
    prompt_token: Estimate
    output_token: Estimate


UNKNOWN = Estimate(float("nan"), float("nan"))


def ratio(numerator: ArrayLike, denominator: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """sum(numerator) / sum(denominator) over consecutive blocks of about equal duration, in the order of time.

    NaN where a value is not finite or the denominators sum to no more than 0; the half-width alone is NaN for fewer
    than 3 blocks.
    """
    above, below = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    total = float(below.sum())
    if not (np.isfinite(above).all() and np.isfinite(total) and total > 0):
        return UNKNOWN
    value = float(above.sum()) / total
    return Estimate(value, _half_width((above - value * below) / total, confidence))


def adjusted(
    energy_j: ArrayLike,
    output_tokens: ArrayLike,
    prompt_tokens: ArrayLike,
    prompt_per_output: float,
    confidence: float = CONFIDENCE,
    turnovers: float = inf,
) -> Adjusted:
    """Energy per output token with the prompt tokens as a control variate, whose true ratio is known.

    E_i = a T_i + b P_i + e_i, with sum e = 0 and b by least squares on the excess P_i - T_i sum P / sum T (the
    regression estimate: Cochran, chapter 7; control variates: Law, Simulation Modeling and Analysis, chapter 11).
    per_output_token is a + b prompt_per_output, prompt_token b, output_token a. Arguments as in `ratio`, and
    `turnovers`: how often as many requests as fill the batch finished in these blocks (infinite: no matter). All NaN
    for fewer than 8 blocks, or where prompts do not vary against outputs.
    """
    energy, outputs, prompts = (np.asarray(one, dtype=float) for one in (energy_j, output_tokens, prompt_tokens))
    total = float(outputs.sum())
    finite = np.isfinite(energy).all() and np.isfinite(prompts).all() and np.isfinite((total, prompt_per_output)).all()
    if not (finite and total > 0 and energy.size >= FEWEST_ADJUSTED):
        return Adjusted(UNKNOWN, UNKNOWN, UNKNOWN)
    plain, seen = float(energy.sum()) / total, float(prompts.sum()) / total
    excess = prompts - seen * outputs
    squares = float(excess @ excess)
    if squares <= 1e-12 * float(prompts @ prompts):
        return Adjusted(UNKNOWN, UNKNOWN, UNKNOWN)
    rest = energy - plain * outputs
    slope = float(excess @ rest) / squares
    rest = rest - slope * excess
    of_slope = excess * rest / squares

    def at(mix: float) -> Estimate:
        moved = rest / total + (mix - seen) * of_slope
        return Estimate(plain + slope * (mix - seen), _half_width(moved, confidence, fitted=1, turnovers=turnovers))

    return Adjusted(at(prompt_per_output), Estimate(slope, _half_width(of_slope, confidence, fitted=1)), at(0.0))


def _half_width(moves: NDArray[np.float64], confidence: float, fitted: int = 0, turnovers: float = inf) -> float:
    """t times the standard error of the sum of `moves`, which sum to 0; `fitted`: slopes that they have lost.

    From all waves, or from no more than 1 + `turnovers` of them where that is wider.
    """
    from scipy.special import stdtrit  # not while planning

    count = moves.size
    if count < FEWEST_BLOCKS:
        return float("nan")
    squares = np.square(_cosines(count) @ moves)
    few = min(squares.size, 1 + int(min(turnovers, count)))

    def of_first(waves: int) -> float:
        variance = float(squares[:waves].mean()) * (count - 1) / (count - 1 - fitted)
        return float(stdtrit(waves, (1 + confidence) / 2) * np.sqrt(variance))

    return max(of_first(squares.size), of_first(few))


@lru_cache(maxsize=512)
def _cosines(count: int) -> NDArray[np.float64]:
    """Of the blocks, one row a wave, scaled so that the mean square of each row's sum is that of the moves' sum."""
    waves = min(count - 1, max(2, round(0.4 * count ** (2 / 3))))
    places = (np.arange(count) + 0.5) / count
    return np.asarray(np.sqrt(2) * np.cos(np.pi * np.outer(np.arange(1, waves + 1), places)))


def ratios(blocks: pl.DataFrame, wanted: Mapping[Figure, tuple[str, str]]) -> pl.DataFrame:
    """Sums of columns over one another, with their intervals: figure -> (numerator, denominator) of `wanted`.

    `blocks`: key, in rising order, and the columns, one row a block in the order of time. One row a key: key and the
    columns of the figures; null where `ratio` knows none.
    """
    columns = sorted({column for pair in wanted.values() for column in pair})
    found = (
        (key, [ratio(of[above], of[below]) for above, below in wanted.values()]) for key, of in by_key(blocks, columns)
    )
    return _table(found, wanted)


def adjusted_energy(blocks: pl.DataFrame, mixes: pl.DataFrame) -> pl.DataFrame:
    """The figures of ADJUSTED: J per output token at the sample's own mix, per prompt token, per decoded token.

    `blocks`: key, energy_j, output_tokens, prompt_tokens, finished, as in `ratios`; `mixes`: key, prompt_per_output
    (the sample's prompt tokens over its output tokens), filled (the requests that fill the batch). One row a key that
    has a mix; null where `adjusted` knows none.
    """
    rows = mixes.drop_nulls().filter(pl.col("filled") > 0).select("key", "prompt_per_output", "filled").iter_rows()
    known = {key: (mix, filled) for key, mix, filled in rows}
    of_known = blocks.filter(pl.col("key").is_in(list(known)))
    found = []
    for key, of in by_key(of_known, ["energy_j", "output_tokens", "prompt_tokens", "finished"]):
        mix, filled = known[key]
        turnovers = float(of["finished"].sum()) / filled
        one = adjusted(of["energy_j"], of["output_tokens"], of["prompt_tokens"], mix, turnovers=turnovers)
        found.append((key, [one.per_output_token, one.prompt_token, one.output_token]))
    return _table(found, ADJUSTED)


def _table(found: Iterable[tuple[int, list[Estimate]]], figures: Iterable[Figure]) -> pl.DataFrame:
    names = [f"{name}{bound}_{unit}" for name, unit in figures for bound in BOUNDS]
    rows = [(key, *(value for one in estimates for value in _columns(one))) for key, estimates in found]
    table = pl.DataFrame(rows, schema={"key": KEY, **dict.fromkeys(names, pl.Float64)}, orient="row")
    return table.with_columns(pl.col(names).fill_nan(None))


def _columns(one: Estimate) -> tuple[float, float, float]:
    return one.value, one.value - one.half_width, one.value + one.half_width
