"""Figures: the tables in, Altair charts out. A new figure is one module with `draw`, and one line here."""

from importlib import import_module
from typing import TYPE_CHECKING

import polars as pl

from joulebench.checked import nearest
from joulebench.errors import UserError

if TYPE_CHECKING:
    import altair as alt

FIGURES: dict[str, str] = {
    "energy_per_response": "joulebench.figures.energy_per_response",
    "prefill_decode": "joulebench.figures.prefill_decode",
    "time_energy_tradeoff": "joulebench.figures.time_energy_tradeoff",
}
"""Name of a figure -> its module, imported when the figure is drawn."""


def draw(name: str, points: pl.DataFrame, leaderboard: pl.DataFrame) -> "alt.TopLevelMixin":
    """The chart of the figure `name`, from tables with the columns of tables.POINTS and tables.LEADERBOARD.

    Raises UserError where there is no such figure.
    """
    if name not in FIGURES:
        raise UserError(f"no figure '{name}'{nearest(name, FIGURES)}")
    chart: alt.TopLevelMixin = import_module(FIGURES[name]).draw(points, leaderboard)
    return chart
