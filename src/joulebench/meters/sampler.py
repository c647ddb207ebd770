"""The sampler process: polls meters and writes their readings, one CSV line each (`base.COLUMNS`).

    python -m joulebench.meters.sampler --meters nvml,rapl --out FILE [--engine-pid PID]

`time_s` is time.monotonic(), the middle of the moments before and after a device was read: on Linux it is the clock
CLOCK_MONOTONIC, the same in every process. `energy_j` starts at 0 with a device's first reading. Once every meter has
given its first reading, one line goes to standard output: the sources of the devices as JSON. About twice a second a
line says too how busy others kept the processors (`busy.Others`). The process ends on SIGTERM, or when the engine's
process is gone; it fails when a meter does, with one line on standard error.
"""

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TextIO

from joulebench.errors import UserError
from joulebench.meters import METERS, known
from joulebench.meters.base import COLUMNS, Meter, MeterError, Reading
from joulebench.meters.busy import Others

PARENT_POLL_S = 0.2


class Readings:
    """The file that readings go to."""

    def __init__(self, file: TextIO, others: Others) -> None:
        self._file = file
        self._others = others
        self._first_j: dict[str, float] = {}
        self._last_j: dict[str, float] = {}
        file.write(",".join(COLUMNS) + "\n")

    def poll(self, meter: Meter) -> None:
        """Read every device of `meter` and write it. Raises MeterError where a counter went back."""
        before = time.monotonic()
        for reading in meter.read():
            after = time.monotonic()
            self._write(reading, (before + after) / 2)
            before = time.monotonic()
        self._file.flush()

    def _write(self, reading: Reading, time_s: float) -> None:
        device, source, *facts = vars(replace(reading, energy_j=self._since_start(reading))).values()
        fields = (device, source, time_s, *facts, *self._others.read())
        self._file.write(",".join(map(_text, fields)) + "\n")

    def _since_start(self, reading: Reading) -> float | None:
        if reading.energy_j is None:
            return None
        device, energy_j = reading.device, reading.energy_j
        last_j = self._last_j.get(device, energy_j)
        if energy_j < last_j:
            raise MeterError(f"the energy counter of {device} went back from {last_j:.3f} to {energy_j:.3f} J")
        self._last_j[device] = energy_j
        return energy_j - self._first_j.setdefault(device, energy_j)


def sample(meters: Mapping[str, Meter], readings: Readings, ended: threading.Event) -> None:
    """Poll each meter at its own interval until `ended`. A poll that comes too late is left out, not made up for."""
    begin = time.monotonic()
    deadlines = {name: begin + METERS[name].INTERVAL_S for name in meters}
    while True:
        name = min(deadlines, key=lambda name: deadlines[name])
        if ended.wait(max(0.0, deadlines[name] - time.monotonic())):
            return
        readings.poll(meters[name])
        interval_s = METERS[name].INTERVAL_S
        late_s = time.monotonic() - deadlines[name]
        deadlines[name] += interval_s * max(1, math.ceil(late_s / interval_s))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m joulebench.meters.sampler", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--meters", required=True, help=f"comma-separated, of {', '.join(METERS)}")
    parser.add_argument("--out", required=True, type=Path, help="the CSV file to write")
    parser.add_argument("--engine-pid", type=int, default=os.getppid(), help="the process that is measured")
    options = parser.parse_args(arguments)

    sys.excepthook = _say_in_one_line
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=_end_with_engine, args=(os.getppid(), options.engine_pid), daemon=True).start()
    ready = os.dup(1)
    os.dup2(2, 1)  # what libraries print is not for the parent

    meters: dict[str, Meter] = {}
    try:
        for name in known(options.meters.split(",")):
            meters[name] = METERS[name].start(options.engine_pid)
        with options.out.open("w", encoding="ascii") as file:
            readings = Readings(file, Others(options.engine_pid))
            for meter in meters.values():
                readings.poll(meter)
            sources = {device: source for meter in meters.values() for device, source in meter.sources.items()}
            os.write(ready, json.dumps(sources).encode() + b"\n")
            os.close(ready)
            sample(meters, readings, ended)
    finally:
        for meter in meters.values():
            meter.close()


def _end_with_engine(parent_pid: int, engine_pid: int) -> None:
    """Kill this process group when the parent or the engine is gone, even while a meter's call hangs.

    Not PR_SET_PDEATHSIG: it fires when the parent's thread ends, not its process, and spares the meters' processes.
    """
    import psutil

    while os.getppid() == parent_pid and psutil.pid_exists(engine_pid):
        time.sleep(PARENT_POLL_S)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _say_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    message = " ".join(str(error).split()) or kind.__name__
    if not isinstance(error, UserError):
        frames = traceback.extract_tb(trace)
        where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        message = f"{kind.__name__}: {message}{where}"
    print(message, file=sys.stderr)


def _text(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
