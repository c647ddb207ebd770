"""Where energies are from: the one list of sources, and which devices a point's energy is of.

Without polars, which the sampler does not load.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from joulebench.errors import UserError


@dataclass(frozen=True, kw_only=True)
class EnergySource:
    """What an energy is read from.

    `label` names it to people; `words` go on from `energy`; `between` is what bounds a step of it in time.
    """

    name: str
    label: str
    words: str
    between: str = "two updates of the energy counter"
    of_gpu: bool = False
    is_counter: bool = False
    is_estimate: bool = False


NVML_COUNTER: Final = EnergySource(
    name="nvml_counter",
    label="NVML energy counter (nvml_counter)",
    words="from the NVML energy counter (nvml_counter)",
    of_gpu=True,
    is_counter=True,
)
AMDSMI_COUNTER: Final = EnergySource(
    name="amdsmi_counter",
    label="AMD SMI energy counter (amdsmi_counter)",
    words="from the AMD SMI energy counter (amdsmi_counter)",
    of_gpu=True,
    is_counter=True,
)
NVML_POWER: Final = EnergySource(
    name="nvml_power",
    label="NVML power readings, integrated (nvml_power)",
    words="integrated from NVML power readings (nvml_power)",
    between="two readings of the power",
    of_gpu=True,
)
AMDSMI_POWER: Final = EnergySource(
    name="amdsmi_power",
    label="AMD SMI power readings, integrated (amdsmi_power)",
    words="integrated from AMD SMI power readings (amdsmi_power)",
    between="two readings of the power",
    of_gpu=True,
)
RAPL: Final = EnergySource(
    name="rapl", label="RAPL counters (rapl)", words="from the RAPL counters (rapl)", is_counter=True
)
CODECARBON: Final = EnergySource(
    name="codecarbon_estimate",
    label="estimated by CodeCarbon (codecarbon_estimate), not measured",
    words="estimated by CodeCarbon (codecarbon_estimate), not measured",
    between="two of CodeCarbon's estimates, not measured",
    is_estimate=True,
)

SOURCES: Final = {one.name: one for one in (NVML_COUNTER, AMDSMI_COUNTER, NVML_POWER, AMDSMI_POWER, RAPL, CODECARBON)}
"""By name, the most trusted first."""


def source(name: str) -> EnergySource:
    """That of a record; one that is not among SOURCES is known by its name alone."""
    return SOURCES.get(name) or EnergySource(name=name, label=name, words=f"from {name}")


def distrust(name: str) -> tuple[int, str]:
    """The less, the more a source is trusted; one that is not among SOURCES comes last."""
    return (list(SOURCES).index(name) if name in SOURCES else len(SOURCES)), name


DEVICES: Final = "gpu:N, cpu:N, dram:N or host"

DEVICE: Final = "(gpu|cpu|dram):[0-9]+|host"
"""What a device may be called, as a regular expression."""


@dataclass(frozen=True)
class Counted:
    """The devices that count, in the order in which they were given.

    `headline`: the GPUs where there are any, else the host's devices. `host`: the host's devices beside GPUs.
    """

    headline: tuple[str, ...]
    host: tuple[str, ...]


def counted(sources: Mapping[str, str | None]) -> Counted:
    """What counts of `sources`, device -> source of its energy, null where nothing measures it.

    Two sources may tell of the same processor: of the host's devices those of the most trusted source count alone.
    One without a source stays, so that the energy is null and never a part of it.
    Raises UserError for a device that is not of a known kind.
    """
    for device in sources:
        if not re.fullmatch(DEVICE, device):
            raise UserError(f"energy of a device '{device[:60]}'; expected {DEVICES}")
    gpus = tuple(device for device in sources if device.startswith("gpu:"))
    others = {device: source for device, source in sources.items() if device not in gpus}
    best = min((source for source in others.values() if source is not None), key=distrust, default=None)
    host = tuple(device for device, source in others.items() if source in (None, best))
    return Counted(gpus, host) if gpus else Counted(host, ())
