"""CodeCarbon's estimate of a machine's power, integrated: an estimate, never a measurement.

CPU power is CodeCarbon's load mode, P = TDP (0.1 + 0.9 load^3), with the TDP of its table or, for a processor that
the table does not know, 4 W a thread (codecarbon.core.cpu.TDP, codecarbon.external.hardware.CPU); memory power is
5 W for each memory module that it supposes from the memory's size (codecarbon.external.ram.RAM).
A TDP of the table counts once a socket, as in CodeCarbon; the 4 W a thread already cover every socket.
"""

import io
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from joulebench.meters.base import NoMeterError, Reading
from joulebench.meters.busy import EngineMemory
from joulebench.records.sources import CODECARBON

INTERVAL_S = 0.25
FOUND = "JOULEBENCH_CODECARBON_FOUND"
"""What a process has found of its machine, for its sampler: JSON of a Tdp."""


@dataclass(frozen=True)
class Tdp:
    """The power of a machine at full load, as CodeCarbon supposes it."""

    model: str
    cpu_w: float
    ram_w: float
    generic: bool

    @property
    def total_w(self) -> float:
        return self.cpu_w + self.ram_w

    @property
    def source(self) -> str:
        """`CodeCarbon: CPU 225 W (AMD EPYC 7543), RAM 40 W`."""
        what = f"generic, its table does not know {self.model}" if self.generic else self.model
        return f"CodeCarbon: CPU {self.cpu_w:g} W ({what}), RAM {self.ram_w:g} W"


class CodeCarbon:
    """Device `host`: the whole machine's processors and memory, whoever uses them."""

    def __init__(self, cpu: Any, ram_w: float, engine_pid: int) -> None:
        self.sources: dict[str, str | None] = {"host": CODECARBON.name}
        self._cpu = cpu
        self._ram_w = ram_w
        self._memory = EngineMemory(engine_pid, INTERVAL_S)
        self._energy_j = 0.0
        self._read_s: float | None = None

    def read(self) -> Iterator[Reading]:
        """The power is the mean since the last reading, so the first reading has none."""
        load_w = float(self._cpu.total_power().W)
        now = time.monotonic()
        power_w = None
        if self._read_s is not None:
            power_w = load_w + self._ram_w
            self._energy_j += power_w * (now - self._read_s)
        self._read_s = now
        yield Reading("host", CODECARBON.name, self._energy_j, power_w, memory_used_mb=self._memory.used_mb())

    def close(self) -> None:
        pass


def start(engine_pid: int) -> CodeCarbon:
    """Open the estimate. Raises NoMeterError where CodeCarbon is not installed or knows no memory power."""
    figures = tdp()
    with _silent():
        hardware = import_module("codecarbon.external.hardware")
        cpu = hardware.CPU.from_utils("", hardware.MODE_CPU_LOAD, model=figures.model, tdp=figures.cpu_w)
        cpu.start()
    return CodeCarbon(cpu, figures.ram_w, engine_pid)


def handed_over() -> dict[str, str]:
    """For the environment of the sampler that this process starts, which need not find it once more."""
    return {FOUND: json.dumps(asdict(tdp()))} if tdp.cache_info().currsize else {}


@lru_cache(maxsize=1)
def tdp() -> Tdp:
    """What CodeCarbon supposes of this machine (it takes seconds, once). Raises NoMeterError."""
    if told := os.environ.get(FOUND):
        return Tdp(**json.loads(told))
    with _silent():
        try:
            names = ("core.cpu", "core.util", "external.hardware", "external.ram")
            cpu, util, hardware, ram = (import_module(f"codecarbon.{name}") for name in names)
        except ImportError as error:
            raise NoMeterError(f"no CodeCarbon ({error})") from None
        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        try:
            found = cpu.TDP()
            ram_w = float(ram.RAM().total_power().W)
        except OSError as error:
            raise NoMeterError(f"CodeCarbon fails here ({error})") from None
        generic = found._get_cpu_power_from_registry(found.model) is None
    if ram_w <= 0:
        raise NoMeterError("CodeCarbon cannot tell this machine's memory")
    cpu_w = found.tdp or hardware.POWER_CONSTANT
    if not generic:
        with _silent():
            cpu_w *= util.count_physical_cpus()
    return Tdp(found.model, float(cpu_w), ram_w, generic)


@contextmanager
def _silent() -> Iterator[None]:
    """CodeCarbon logs, and what it imports prints, about hardware that a machine does not have.

    It reads the words of lscpu, which are those of the user's language: sockets that it does not find are none.
    """
    before, language = logging.root.manager.disable, os.environ.get("LC_ALL")
    logging.disable(logging.CRITICAL)
    os.environ["LC_ALL"] = "C"
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
        if language is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = language
