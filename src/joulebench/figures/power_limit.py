"""How near the GPU is to its power limit at each batch size, and what its clock and the energy per token do there.

At the limit a GPU draws the same power whatever it serves, by lowering its clock. From there on

    energy per output token = limit / output tokens per s

so that only more tokens a second make one cheaper, and the clock says at what speed they were made.
"""

import altair as alt
import polars as pl

from joulebench.families import TEXT
from joulebench.figures import small_multiples
from joulebench.figures.small_multiples import Cell, Metric


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Small multiples of the text tasks of `points` (tables.POINTS); a processor has neither limit nor clock here."""
    metrics = (
        Metric("power", "w", "Power (W)", log=False),
        Metric("power_capped", "share", "Share of the time at the power limit", log=False),
        Metric("clock_mean", "mhz", "Mean SM clock (MHz)", log=False),
        Metric("energy_per_output_token", "j", "Energy per output token (J)", log=True),
    )
    title = "Power limit, clock and energy per output token by {at}"
    none = "No text task is among the results: only those are drawn here."
    return small_multiples.draw(points, TEXT, metrics, Cell(210, 200), title, none)
