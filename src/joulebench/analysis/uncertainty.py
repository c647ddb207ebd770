"""The figures of many points with their intervals: intervals.py asked for each key's blocks."""

from collections.abc import Iterable, Mapping

import polars as pl

from joulebench.analysis.intervals import Estimate, adjusted, ratio
from joulebench.analysis.keyed import KEY, by_key
from joulebench.tables.columns import BOUNDS

Figure = tuple[str, str]
"""A figure's name and its unit: its columns are {name}_{unit}, {name}_low_{unit} and {name}_high_{unit}."""

ADJUSTED: tuple[Figure, ...] = (
    ("adjusted_energy_per_output_token", "j"),
    ("energy_per_prompt_token", "j"),
    ("energy_per_decoded_token", "j"),
)


def ratios(blocks: pl.DataFrame, wanted: Mapping[Figure, tuple[str, str]]) -> pl.DataFrame:
    """Sums of columns over one another, with their intervals: figure -> (numerator, denominator) of `wanted`.

    `blocks`: key, in rising order, and the columns, one row a block in the order of time. One row a key: key and the
    columns of the figures; null where intervals.ratio knows none.
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
    has a mix; null where intervals.adjusted knows none.
    """
    rows = mixes.drop_nulls().select("key", "prompt_per_output", "filled").iter_rows()
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
