"""Energy per output token against the batch size, or other setting, with throughput, power and inter-token latency."""

import altair as alt
import polars as pl

from joulebench.families import TEXT
from joulebench.figures import small_multiples
from joulebench.figures.small_multiples import Cell, Metric


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Small multiples of the text tasks of `points` (tables.POINTS)."""
    metrics = (
        Metric("energy_per_output_token", "j", "Energy per output token (J)", log=True),
        Metric("output_tokens", "per_s", "Throughput (output tokens/s)", log=True),
        Metric("power", "w", "Power (W)", log=False),
        Metric("itl_p50", "s", "Inter-token latency, median (s)", log=True),
        Metric("itl_p99", "s", "Inter-token latency, p99 (s)", log=True),
    )
    title = "Energy per output token by {at}, and what comes with it"
    none = "No text task is among the results: only answers of tokens have an energy per output token."
    return small_multiples.draw(points, TEXT, metrics, Cell(190, 190), title, none)
