"""Axes whose domain and length in pixels are known, so that what is drawn can be placed among them; bars of energy."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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


def bar_axis(column: str, title: str, bars: pl.DataFrame, **look: Any) -> alt.X:
    """From 0 on, of `column`; the `label` of each of `bars` fits between the bar's `end` and that of the axis."""
    ends = [
        end / (1 - (style.text_px(label, style.LABEL_PX) + 10) / style.PANEL_PX)
        for end, label in bars.select("end", "label").iter_rows()
    ]
    ticks = style.linear_ticks(0, max(bars["end"]) or 1.0)
    return alt.X(
        f"{column}:Q",
        title=title,
        scale=alt.Scale(domain=[0, max(ends) or 1.0], nice=False),
        axis=alt.Axis(values=ticks, format=style.NUMBER_FORMAT, labelFlush=False, **look),
    )


def bar_intervals(bars: pl.DataFrame, tick_px: int, *place: Any, **look: Any) -> list[alt.Chart]:
    """Thin lines over the intervals (`low`, `high`) that `bars` have; `place`: the channels of their rows."""
    known = alt.Chart(bars.filter(pl.col("low").is_not_null() & pl.col("high").is_not_null()))
    ends = known.mark_tick(color=style.INK, size=tick_px, thickness=1, **look)
    return [
        known.mark_rule(color=style.INK, **look).encode(alt.X("low:Q"), *place, alt.X2("high:Q")),
        *(ends.encode(alt.X(f"{end}:Q"), *place) for end in ("low", "high")),
    ]
