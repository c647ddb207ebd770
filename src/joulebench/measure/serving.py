"""What one point serves and how long, and what serves it: one way for text, one for diffusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from joulebench.config.sweeps import Ending
from joulebench.engines.base import Prepared
from joulebench.loads.setting import Setting
from joulebench.measure.load import Load, Watch
from joulebench.meters.following import Following
from joulebench.records.models import Start


@dataclass(frozen=True)
class Serving:
    """The requests of the sample as the engine prepared them, and by what they are served."""

    prepared: Sequence[Prepared]
    setting: Setting
    protocol: Ending | None
    """When the point ends; None where its load counts its requests."""
    seed: int = 0
    """Of the order of serving, and of arrivals; each `repeat` of a run has an order of its own."""
    repeat: int = 1
    start: Start = "cold"
    warmup_batches: int = 0
    """Batches of a diffusion task that come before those that count."""
    energy: Following | None = None
    """What the devices have drawn so far: the adaptive protocol asks for it."""


class Server(Protocol):
    """One loaded engine and the sample's requests: what is done with them differs by family of tasks."""

    def make_ready(self) -> None:
        """What comes before the first point. Raises UserError for a setting that the engine cannot hold."""

    def prepared(self, setting: Setting) -> Sequence[Prepared]:
        """The sample's requests as a point of this setting serves them."""

    def serve(self, what: Serving, load: Load, watch: Watch) -> None:
        """Serve until the point ends; what happened is in `load`, also where this raises."""

    def overloaded(self, what: Serving, requests: pl.DataFrame, iterations: pl.DataFrame) -> str | None:
        """Why the engine could not keep up, by what was recorded; None where it did."""

    def facts(self, what: Serving) -> dict[str, Any]:
        """What point.json has of this family alone."""
