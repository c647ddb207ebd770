"""What all figures look like: fonts, sizes, colours, and how numbers and names are set."""

import math
import re
from collections.abc import Sequence
from typing import Any

import altair as alt

# The first is ours, in fonts/; the next two have its widths, for whoever opens the SVG without it.
FONT = "Joulebench Sans, Liberation Sans, Arial, Helvetica, sans-serif"
LABEL_PX = 12
SMALL_PX = 11
PANEL_PX = 560
NAME_CHARACTERS = 44
NUMBER_FORMAT = ",.6~r"
# A label that `wrapped` broke, as lines, and what keeps them in the middle of their place.
LINES = "split(datum.label, '\\n')"
LINES_OFFSET = "-7 * (length(split(datum.label, '\\n')) - 1)"

NOTHING = "No run has been measured yet: there is nothing to draw."

INK = "#222222"
MUTED = "#555555"
GRID = "#e6e6e6"
TDP_GREY = "#d9d9d9"

# Okabe and Ito, "Color Universal Design" (2008), without the yellow, which is too pale for a line on white.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, "#000000")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])

FACTORS = (1, 2, 5)
"""What the ticks of a logarithmic axis are, times a power of ten."""

WORDS = {"run": "model", "at": "setting"}
"""A column of words -> its title, where that is another."""

Panel = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart | alt.VConcatChart


def _itself(part: Any, _memo: Any = None) -> Any:
    return part


# Altair copies these whenever a chart becomes part of another: most of a large figure's time. It never changes one.
for _kind in (alt.FacetedEncoding, alt.MarkDef):
    _kind.__deepcopy__ = _itself  # type: ignore[union-attr]


def figure(
    title: str, subtitle: Sequence[str], panels: Sequence[Panel], columns: int = 1, none: str | None = None
) -> alt.ConcatChart:
    """The panels row by row, under a title and lines of subtitle, in the common style; without panels `none`, why."""
    panels = panels or [message(alt.TitleParams(""), none or NOTHING)]
    chart: alt.ConcatChart = alt.concat(*panels, columns=columns, spacing=36, background="white", padding=16)
    # Each panel has its own models, and so its own legend of them.
    chart = chart.resolve_scale(color="independent", shape="independent", strokeDash="independent")
    chart = chart.properties(
        title=alt.TitleParams(
            title,
            subtitle=list(subtitle),
            anchor="start",
            frame="bounds",
            fontSize=18,
            subtitleFontSize=LABEL_PX,
            subtitleColor=MUTED,
            subtitleLineHeight=16,
            subtitlePadding=6,
            offset=18,
        )
    )
    chart.config = alt.Config(
        font=FONT,
        view=alt.ViewConfig(stroke=None),
        title=alt.TitleConfig(
            anchor="start",
            color=INK,
            fontSize=14,
            subtitleColor=MUTED,
            subtitleFontSize=LABEL_PX,
            offset=12,
            frame="group",
        ),
        axis=alt.AxisConfig(
            grid=True,
            gridColor=GRID,
            domainColor="#999999",
            tickColor="#999999",
            labelColor=INK,
            labelFontSize=LABEL_PX,
            titleColor=INK,
            titleFontSize=LABEL_PX + 1,
            titleFontWeight="normal",
            titlePadding=10,
        ),
        legend=alt.LegendConfig(
            title=None,
            labelFontSize=LABEL_PX,
            labelColor=INK,
            labelLimit=0,
            symbolLimit=0,
            symbolSize=110,
            rowPadding=5,
        ),
    )
    return chart


def panel_title(title: str, lines: Sequence[str]) -> alt.TitleParams:
    """The title of a panel; without lines of subtitle no room is left for them."""
    return alt.TitleParams(title, subtitle=list(lines) or alt.Undefined, offset=12)


def message(title: alt.TitleParams, text: str) -> alt.Chart:
    """A panel that says in words why there is nothing to draw."""
    data = alt.InlineData(values=[{"text": text}])
    mark = alt.Chart(data, title=title).mark_text(align="left", baseline="top", fontSize=13, color=INK)
    panel: alt.Chart = mark.encode(text="text:N", x=alt.value(0), y=alt.value(0)).properties(width=PANEL_PX, height=20)
    return panel


def hover(*words: str, **numbers: str) -> list[alt.Tooltip]:
    """What a mark says that is pointed at: its columns of `words`, then of `numbers`, column -> title."""
    said = [alt.Tooltip(f"{name}:N", title=WORDS.get(name, name)) for name in words]
    return said + [alt.Tooltip(f"{name}:Q", title=title, format=".3~r") for name, title in numbers.items()]


def text_px(text: str, font_px: float) -> float:
    """The width of a line of text, from above: no letter that figures use often is wider than 0.56 em."""
    return 0.56 * font_px * len(text)


def significant(value: float, digits: int = 3) -> str:
    """`value` with so many significant digits and no exponent: 0.0123, 4.57, 12,300."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    decimals = digits - 1 - magnitude
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def run_axis(order: list[str]) -> alt.Y:
    """The names of runs (`run`) as rows, in `order`; a long one on two lines."""
    axis = alt.Axis(
        labelExpr=LINES,
        labelOffset=alt.ExprRef(LINES_OFFSET),
        labelLimit=0,
        labelPadding=8,
        grid=False,
        ticks=False,
        domain=False,
    )
    return alt.Y("run:N", title=None, sort=order, axis=axis)


def linear_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """About five round numbers from `low` to `high`, or about as many fewer than `most`."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most - 1)
    return [round(step * k, 12) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, factors: Sequence[int] = FACTORS) -> list[float]:
    """The numbers `factors` times a power of ten from `low` to `high`, or the powers alone where these are many."""
    if high / low >= 20_000:
        factors = (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def wrapped(name: str) -> str:
    """`name` in lines of at most NAME_CHARACTERS, broken after a separator where there is one."""
    pattern = rf".{{1,{NAME_CHARACTERS}}}$|.{{1,{NAME_CHARACTERS - 1}}}[-/+_.]|.{{1,{NAME_CHARACTERS}}}"
    return "\n".join(re.findall(pattern, name))
