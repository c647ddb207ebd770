"""Bars of energy from 0 on: their axis, with room for the words beside them, and the intervals on them."""

from typing import Any

import altair as alt
import polars as pl

from joulebench.figures import style


def axis(column: str, title: str, bars: pl.DataFrame, **look: Any) -> alt.X:
    """The axis of `column`; the `label` of each of `bars` fits between the bar's `end` and that of the axis."""
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


def intervals(bars: pl.DataFrame, tick_px: int, *place: Any, **look: Any) -> list[alt.Chart]:
    """Thin lines over the intervals (`low`, `high`) that `bars` have; `place`: the channels of their rows."""
    known = alt.Chart(bars.filter(pl.col("low").is_not_null() & pl.col("high").is_not_null()))
    ends = known.mark_tick(color=style.INK, size=tick_px, thickness=1, **look)
    return [
        known.mark_rule(color=style.INK, **look).encode(alt.X("low:Q"), *place, alt.X2("high:Q")),
        *(ends.encode(alt.X(f"{end}:Q"), *place) for end in ("low", "high")),
    ]
