"""Which models run which task on which hardware: the hardware, engines, matrix and studies of the config."""

from typing import Annotated

from pydantic import Field, JsonValue, PositiveFloat, StringConstraints

from joulebench.config.quality import Quality
from joulebench.config.sweeps import Sweep
from joulebench.config.tasks import Dataset, OutputLength, Sample
from joulebench.inputs.checked import Strict, TableText
from joulebench.names import Device, ModelVariant, TaskName

Repeats = Annotated[int, Field(gt=0, le=100)]


class Slurm(Strict):
    """How a cluster knows this hardware; what all jobs of a site have in common is in profiles/slurm."""

    gpu_model: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.]+$",
        description="As the cluster calls it: h100 of gpu:h100:8 (sinfo -o %G).",
    )
    constraint: str | None = Field(
        default=None, min_length=1, description="Node features (sinfo -o %f), as of sbatch -C."
    )


class CardSpread(Strict):
    """How far two cards of one kind may differ in the same work: rows of different cards are told apart beyond it."""

    percent: Annotated[float, Field(ge=0, lt=100, allow_inf_nan=False)]
    source: Annotated[TableText, StringConstraints(min_length=1)]


class Hardware(Strict):
    """A machine kind: what its device must report itself as, and its thermal design power."""

    device: Device = Field(description="cuda: NVIDIA GPUs; rocm: AMD GPUs.")
    reports_as: str | None = Field(
        None, pattern=r"\S", description="What the device's own name must contain, in any case."
    )
    tdp_w: PositiveFloat | None = Field(None, description="Watts of one device. Null on a CPU: CodeCarbon's table.")
    card_spread: CardSpread | None = Field(
        None, description="How far two of its cards may differ in the same work. Null: not known, taken as 0."
    )
    server_processes: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="So many processes on each GPU are those of a server (engine server), there already or started."
    )
    slurm: Slurm = Field(default_factory=Slurm, description="What a measuring job asks for, where Slurm runs it.")


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
    sweeps: dict[ModelVariant, Sweep] = Field(
        default_factory=dict, description="Of single ones of its models, instead of `sweep`."
    )
    quality: Quality | None = None
    repeats: Repeats | None = Field(None, description="Instead of the config's own number.")


class Study(Entry):
    """A question put to one task on one piece of hardware: models, and what of their load varies.

    Its runs are no part of the hardware's tables. results/{hardware}/studies/{study}.csv has a row for each point.
    """

    task: TaskName
    sweep: Sweep
    asks: Annotated[TableText, StringConstraints(min_length=1)] = Field(description="What is asked, for its figure.")
