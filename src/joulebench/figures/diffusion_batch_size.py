"""Energy per image or video, and the latency of a batch, against the batch size."""

import altair as alt
import polars as pl

from joulebench.families import DIFFUSION
from joulebench.figures import small_multiples
from joulebench.figures.small_multiples import Cell, Metric


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Small multiples of the tasks of `points` (tables.POINTS) that make images or videos."""
    metrics = (
        Metric("energy_per_response", "j", "Energy per {response} (J)", log=False),
        Metric("latency_p50", "s", "Median latency of a batch (s)", log=True),
    )
    none = "No task that makes images or videos is among the results: there are no batches of them to draw."
    title = "Energy per image or video by {at}"
    return small_multiples.draw(points, DIFFUSION, metrics, Cell(400, 240), title, none)
