"""Print what this machine says of itself, as results/{hardware}/machine.json has it.

With the name of a hardware of the config, it is also held against what the config says of it, as before a measurement.
"""

import argparse
import json
from math import nan
from typing import TYPE_CHECKING

from joulebench.errors import UserError

if TYPE_CHECKING:
    from joulebench.names import Device
    from joulebench.records.models import Machine

IDLE_S, MOST_S = 10.0, 3600.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hardware", nargs="?", help="a name under hardware: in the config; else what this machine has")
    parser.add_argument("--config", help="the config file (default: config.yaml here)", metavar="FILE")
    how_long = f"how long the GPUs are watched doing nothing (default: {IDLE_S:g}; 0: not at all)"
    parser.add_argument("--idle-s", type=seconds, default=IDLE_S, metavar="SECONDS", help=how_long)


def seconds(text: str) -> float:
    """Raises argparse.ArgumentTypeError for what is no number of seconds within an hour."""
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not 0 <= number <= MOST_S:
        raise argparse.ArgumentTypeError(f"found {text}, expected seconds, 0 to {MOST_S:g}")
    return number


def run(words: argparse.Namespace) -> int:
    from joulebench.config import handed_over, load
    from joulebench.inputs.checked import nearest
    from joulebench.meters.machine import probe, require

    if words.hardware is None:
        return _printed(probe(device_here(), idle_s=words.idle_s))
    config = handed_over() if words.config is None else load(words.config)
    if words.hardware not in config.hardware:
        raise UserError(f"no hardware '{words.hardware}' in the config{nearest(words.hardware, config.hardware)}")
    wanted = config.hardware[words.hardware]
    machine = probe(wanted.device, hardware_name=words.hardware, reports_as=wanted.reports_as, idle_s=words.idle_s)
    require(machine, words.hardware, wanted.device, wanted.reports_as, wanted.server_processes)
    return _printed(machine)


def device_here() -> "Device":
    """The first kind of GPU whose driver tells of one here; without one, the CPU."""
    from joulebench.meters import GPUS
    from joulebench.meters.base import NoMeterError

    for device, gpus in GPUS.items():
        try:
            if gpus.visible():
                return device
        except NoMeterError:
            continue
    return "cpu"


def _printed(machine: "Machine") -> int:
    print(json.dumps(machine.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False))
    return 0
