"""Which models run which task on which hardware, and how: the engines, the matrix and the studies of the config."""

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from joulebench.config.quality import Quality
from joulebench.config.sweeps import Sweep
from joulebench.config.tasks import Dataset, OutputLength, Sample
from joulebench.inputs.checked import Strict, TableText
from joulebench.names import ModelVariant, TaskName

Repeats = Annotated[int, Field(gt=0, le=100)]


class Engine(Strict):
    kind: str = Field(description="The module under joulebench/engines.")
    python: str | None = Field(None, description="Interpreter of its environment; null: the one that runs Snakemake.")
    settings: dict[str, JsonValue] = Field(default_factory=dict, description="What the engine's own module knows.")


class Entry(Strict):
    """Which models run one task on one piece of hardware, and how."""

    engine: str
    models: Annotated[tuple[ModelVariant, ...], Field(min_length=1)]
    dataset: Dataset | None = Field(None, description="Instead of the task's own, as each of the following.")
    sample: Sample | None = None
    output_length: OutputLength | None = None
    sweep: Sweep | None = None
    quality: Quality | None = None
    repeats: Repeats | None = Field(None, description="Instead of the config's own number.")


class Study(Entry):
    """A question put to one task on one piece of hardware: models, and what of their load varies.

    Its runs are no part of the hardware's tables. results/{hardware}/studies/{study}.csv has a row for each point.
    """

    task: TaskName
    sweep: Sweep
    asks: Annotated[TableText, StringConstraints(min_length=1)] = Field(description="What is asked, for its figure.")
