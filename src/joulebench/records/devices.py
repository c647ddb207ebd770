"""Which devices a point's energy is of: one rule for the tables, the adaptive protocol and the live line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from joulebench.errors import UserError
from joulebench.records.sources import distrust

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
