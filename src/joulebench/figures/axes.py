"""Axes whose domain and length in pixels are known, so that what is drawn can be placed among them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import altair as alt
import polars as pl

from joulebench.figures import style

DECADE = 10.0
FEW_TICKS = 3
MORE_FACTORS = (1, 2, 3, 5, 7)


@dataclass(frozen=True)
class Axis:
    """A numeric axis: its domain, its length in pixels, and whether it is logarithmic."""

    low: float
    high: float
    length_px: float
    log: bool

    @classmethod
    def over(cls, values: Iterable[float], length_px: float, log: bool | None = None) -> "Axis":
        """An axis with room around `values`: logarithmic where they are more than a decade apart, unless told."""
        found = list(values)
        low, high = min(found), max(found)
        if low > 0 and (high / low > DECADE if log is None else log):
            room = (high / low) ** 0.07 if high > low else math.sqrt(2)
            return cls(low / room, high * room, length_px, True)
        pad = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
        return cls(max(0.0, low - pad), high + pad, length_px, False)

    def px(self, value: float) -> float:
        """How far along the axis `value` lies, in pixels."""
        if self.log:
            return self.length_px * math.log(value / self.low) / math.log(self.high / self.low)
        return self.length_px * (value - self.low) / (self.high - self.low)

    def value(self, px: float) -> float:
        share = px / self.length_px
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round numbers in the domain."""
        for factors in (style.FACTORS, MORE_FACTORS) if self.log else ():
            ticks = style.log_ticks(self.low, self.high, factors)
            if len(ticks) >= FEW_TICKS:
                return ticks
        return style.linear_ticks(self.low, self.high)

    @property
    def scale(self) -> alt.Scale:
        return alt.Scale(type="log" if self.log else "linear", domain=[self.low, self.high], nice=False, zero=False)

    @property
    def axis(self) -> alt.Axis:
        return alt.Axis(values=self.ticks, format=style.NUMBER_FORMAT, labelFlush=False, labelOverlap=False)


def around(rows: pl.DataFrame, value: str, length_px: float, log: bool | None = None) -> Axis:
    """An axis with room for every `value`, and for its interval (`low`, `high`) if that stretches the axis little."""
    within = rows.select(
        pl.col("low").clip(lower_bound=pl.col(value).min() / 2),
        pl.col("high").clip(upper_bound=pl.col(value).max() * 2),
    )
    ends = pl.concat([rows[value], within["low"], within["high"]]).drop_nulls()
    return Axis.over(ends, length_px, log)


def intervals(rows: pl.DataFrame, axis: Axis) -> pl.DataFrame:
    """The rows that have an interval (`low`, `high`), its ends kept inside `axis`."""
    both = rows.filter(pl.col("low").is_not_null() & pl.col("high").is_not_null())
    return both.with_columns(pl.col("low", "high").clip(axis.low, axis.high))
