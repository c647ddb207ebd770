"""Task families: what the tasks have in common that are served, recorded and reckoned in one way."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from joulebench.names import VIDEO_TASKS, TaskName
from joulebench.records.schemas import BATCHES, ITERATIONS


@dataclass(frozen=True, eq=False)
class Family:
    """The facts of one; what is done with its tasks is looked up by family where it is done."""

    name: Literal["text", "diffusion"]
    tasks: tuple[TaskName, ...]
    """In the order of names.TASKS; a task is of exactly one family."""
    iterations: pl.Schema
    """That of its iterations.parquet."""
    has_tokens: bool
    """Whether a response is made of tokens: it has a length to ask for, and may be found begun (records.Start)."""
    metric: str
    """What its latency is the median of where no target names another: config.services.LatencyTarget."""
    response: str
    """What a response is called, unless it is a video."""

    @property
    def latency(self) -> str:
        """The column of tables.POINTS, in seconds, of that median."""
        return f"{self.metric}_p50_s"

    @property
    def rows(self) -> pl.Expr:
        """Whether a row's `task` is of this family."""
        return pl.col("task").is_in(self.tasks)

    def word(self, task: str) -> str:
        """What a response of `task` is called: `response`, `image` or `video`."""
        return "video" if task in VIDEO_TASKS else self.response


TEXT = Family("text", ("llm-chat", "llm-code", "vlm-chat"), ITERATIONS, True, "tpot", "response")
"""Answers of tokens, which the engine makes a step at a time, of many requests at once."""

DIFFUSION = Family(
    "diffusion", ("text-to-image", "text-to-video", "image-to-video"), BATCHES, False, "latency", "image"
)
"""Images and videos, in batches that begin and end together; latency is a batch's."""

FAMILIES = (TEXT, DIFFUSION)

_OF: dict[str, Family] = {task: family for family in FAMILIES for task in family.tasks}


def of(task: str) -> Family:
    """The family of `task`, one of names.TASKS."""
    return _OF[task]
