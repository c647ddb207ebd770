"""Energy per image or video, and the latency of a batch, against the batch size."""

import altair as alt
import polars as pl

from joulebench.figures import small_multiples
from joulebench.figures.small_multiples import Cell, Metric
from joulebench.names import TASKS, TEXT_TASKS


def draw(points: pl.DataFrame) -> alt.ConcatChart:
    """Small multiples of the tasks of `points` (tables.POINTS) that make images or videos."""
    metrics = (
        Metric("energy_per_response", "j", "Energy per {response} (J)", log=False),
        Metric("latency_p50", "s", "Median latency of a batch (s)", log=True),
    )
    none = "No task that makes images or videos is among the results: there are no batches of them to draw."
    tasks = frozenset(TASKS) - TEXT_TASKS
    return small_multiples.draw(points, tasks, metrics, Cell(400, 240), "Energy per image or video by batch size", none)
