"""Figures: the tables in, Altair charts out. A new figure is one module with `draw`, and one line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import polars as pl

from joulebench.config.services import Targets
from joulebench.errors import UserError
from joulebench.inputs.checked import nearest

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True)
class Figure:
    """A figure before it is drawn."""

    tables: tuple[str, ...]
    """Names in tables.TABLES, in the order of the parameters of its module's `draw`."""
    category: str
    """Its place in Snakemake's report."""
    caption: str
    """What it shows, in a sentence or two for the report."""
    targets: bool = False
    """Whether `draw` is given the tasks' latency targets too, after the tables."""
    across: bool = False
    """Whether it is of all hardware (results/figures/), each table the rows of all of them."""


FIGURES: dict[str, Figure] = {
    "energy_per_response": Figure(
        ("leaderboard",),
        "Energy",
        "Energy per response of each model at its best point under the latency target.",
        targets=True,
    ),
    "prefill_decode": Figure(
        ("leaderboard",), "Energy", "Energy of the prompt and of the output, each model at its best point."
    ),
    "time_energy_tradeoff": Figure(
        ("points",),
        "Latency",
        "Energy per response against latency, over the batch sizes of each model.",
        targets=True,
    ),
    "time_energy_frontier": Figure(
        ("points", "pareto"),
        "Latency",
        "The least energy per response that each model draws within a latency, and the least of all models.",
        targets=True,
    ),
    "energy_by_batch_size": Figure(
        ("points",),
        "Energy",
        "Energy per output token against the maximum batch size, with throughput, power and inter-token latency "
        "beside it.",
    ),
    "energy_against_model_size": Figure(
        ("leaderboard",),
        "Energy",
        "Energy per output token, image or video against the number of parameters, each model at its best point.",
    ),
    "output_length": Figure(
        ("leaderboard",),
        "Energy",
        "Energy per response against its output tokens, with lines of equal energy per output token; and how far each "
        "factor of a model is from the mean of its task. Tokens are of the tokenizer that the model was run with.",
    ),
    "energy_against_quality": Figure(
        ("leaderboard",),
        "Quality",
        "Energy per response against how good the answers are, each model at its best point: the share of right ones "
        "where they were judged, and scores that others published.",
    ),
    "diffusion_batch_size": Figure(
        ("points",),
        "Energy",
        "Energy per image or video, and the latency of a batch, against the batch size, up to where memory ran out.",
    ),
    "queue_against_stationary": Figure(
        ("points",),
        "Windows",
        "Energy in the queue window, as others publish it, against that in the stationary window.",
    ),
    "power_share_of_tdp": Figure(
        ("points",), "Power", "Power as a share of the device's TDP, by task: a dot for each model and batch size."
    ),
    "measured_against_tdp": Figure(
        ("points",),
        "Power",
        "How many times the measured energy an estimate from the device's TDP would be, by model and batch size.",
    ),
    "power_limit": Figure(
        ("points",),
        "Power",
        "Power, the share of the time at the power limit, the clock and the energy per output token, by batch size.",
    ),
    "power_trace": Figure(
        ("trace", "leaderboard"), "Windows", "Power and running batch of one point over its time, its windows shaded."
    ),
    "hardware_compared": Figure(
        ("leaderboard",),
        "Hardware",
        "Energy per response of each model on every piece of hardware that served it, at the same latency target.",
        targets=True,
        across=True,
    ),
}
"""Name of a figure, which is that of its module here, imported when the figure is drawn."""


def draw(name: str, tables: Mapping[str, pl.DataFrame], targets: Targets) -> "alt.TopLevelMixin":
    """The chart of the figure `name`, from tables by name with the columns of tables.TABLES.

    `targets`: for the figures that show them. Raises UserError where there is no such figure.
    """
    if name not in FIGURES:
        raise UserError(f"no figure '{name}'{nearest(name, FIGURES)}")
    module = import_module(f"{__name__}.{name}")
    figure = FIGURES[name]
    given = [*(tables[table] for table in figure.tables), *([targets] if figure.targets else [])]
    chart: alt.TopLevelMixin = module.draw(*given)
    return chart
