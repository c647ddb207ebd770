"""The machines: a block of the config."""

from typing import Annotated

from pydantic import Field, PositiveFloat, StringConstraints

from joulebench.inputs.checked import Strict, TableText
from joulebench.names import Device


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
    reports_as: str | None = Field(None, description="What the device's own name must contain, in any case.")
    tdp_w: PositiveFloat | None = Field(None, description="Watts of one device. Null on a CPU: CodeCarbon's table.")
    card_spread: CardSpread | None = Field(
        None, description="How far two of its cards may differ in the same work. Null: not known, taken as 0."
    )
    slurm: Slurm = Field(default_factory=Slurm, description="What a measuring job asks for, where Slurm runs it.")
