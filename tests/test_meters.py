"""Which meters a machine uses, and what the machine says of itself."""

import json
import os
import platform
import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from joulebench.errors import UserError
from joulebench.meters import METERS, choose, codecarbon, none, nvml, opened
from joulebench.meters.base import NoMeterError
from joulebench.meters.busy import EngineMemory
from joulebench.meters.machine import MachineError, probe, require
from joulebench.records.models import Machine


@pytest.fixture(autouse=True)
def _unforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOULEBENCH_METERS", raising=False)


def _only(monkeypatch: pytest.MonkeyPatch, *usable: str) -> None:
    """A machine on which just these meters can be used."""

    def refuse(engine_pid: int) -> object:
        raise NoMeterError("not on this machine")

    for name in METERS:
        start = none.start if name in (*usable, "none") else refuse
        monkeypatch.setitem(METERS, name, SimpleNamespace(INTERVAL_S=1.0, start=start))


@pytest.mark.parametrize(
    ("device", "usable", "meters"),
    [
        ("cuda", ["nvml", "rapl", "codecarbon"], ("nvml", "rapl")),
        ("cuda", ["nvml", "codecarbon"], ("nvml",)),
        ("cuda", ["rapl", "codecarbon"], ("none",)),
        ("rocm", ["nvml", "amdsmi", "rapl", "codecarbon"], ("amdsmi", "rapl")),
        ("rocm", ["nvml", "amdsmi"], ("amdsmi",)),
        ("rocm", ["nvml", "rapl"], ("none",)),
        ("cpu", ["nvml", "amdsmi", "rapl", "codecarbon"], ("rapl",)),
        ("cpu", ["nvml", "codecarbon"], ("codecarbon",)),
        ("cpu", ["nvml"], ("none",)),
    ],
)
def test_the_most_trusted_source_is_used(
    monkeypatch: pytest.MonkeyPatch, device: str, usable: list[str], meters: tuple[str, ...]
) -> None:
    _only(monkeypatch, *usable)
    assert choose(device).meters == meters  # type: ignore[arg-type]


def test_a_machine_without_a_source_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch)
    assert choose("cpu").warnings == (
        "no energy source on this machine: not on this machine, not on this machine; energy columns will be empty",
    )
    assert "energy columns will be empty" in choose("cuda").warnings[0]


def test_an_estimate_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "rapl", "codecarbon")
    assert choose("cpu").warnings == ()
    assert choose("cpu", allow=["codecarbon"]).warnings == (
        "no energy counter: rapl not allowed; energy is CodeCarbon's estimate",
    )


def test_the_variable_overrides_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "rapl", "codecarbon")
    monkeypatch.setenv("JOULEBENCH_METERS", "none")
    assert choose("cpu").meters == ("none",)
    monkeypatch.setenv("JOULEBENCH_METERS", " codecarbon, rapl,rapl")
    assert choose("cpu").meters == ("codecarbon", "rapl")
    monkeypatch.setenv("JOULEBENCH_METERS", "")
    assert choose("cpu").meters == ("rapl",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("wattmeter", "JOULEBENCH_METERS: no meter 'wattmeter'; known are nvml, amdsmi, rapl, codecarbon, none"),
        ("nvml", "JOULEBENCH_METERS: nvml cannot be used here .not on this machine.; leave it out"),
        ("none,rapl", "JOULEBENCH_METERS: found 'none,rapl'; none stands for no meter, so it stands alone"),
    ],
)
def test_a_wrong_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    _only(monkeypatch, "rapl")
    monkeypatch.setenv("JOULEBENCH_METERS", value)
    with pytest.raises(UserError, match=message):
        choose("cpu")


def test_an_unknown_allowed_meter_is_an_error() -> None:
    with pytest.raises(UserError, match="no meter 'wattmeter'"):
        choose("cpu", allow=["wattmeter"])


def test_memory_is_given_once_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("joulebench.meters.busy.time", SimpleNamespace(monotonic=lambda: clock.now))
    memory = EngineMemory(os.getpid(), interval_s=0.25)
    given = []
    for clock.now in (100.0, 100.1, 100.2, 100.25, 100.3):
        given.append(memory.used_mb() is not None)
    assert given == [True, False, False, True, False]


def test_the_memory_of_a_process_that_is_gone_is_null() -> None:
    assert EngineMemory(2**22 + 1).used_mb() is None


@pytest.fixture
def cpu_machine() -> Machine:
    pytest.importorskip("codecarbon")
    return probe("cpu", opened("none", ["none"]))


@pytest.mark.slow
def test_facts_of_this_machine(cpu_machine: Machine) -> None:
    assert cpu_machine.host == socket.gethostname()
    assert cpu_machine.device == cpu_machine.cpu
    assert 1 <= cpu_machine.cores <= (os.cpu_count() or 1)
    assert cpu_machine.memory_mb == psutil.virtual_memory().total / 1e6
    assert cpu_machine.devices == []
    assert cpu_machine.energy_sources == {"host": None}
    info = Path("/proc/cpuinfo")
    if platform.machine() == "x86_64" and info.exists():
        assert f": {cpu_machine.cpu}\n" in info.read_text()


def test_the_tdp_says_where_it_is_from(cpu_machine: Machine) -> None:
    assert cpu_machine.tdp_w is not None
    assert cpu_machine.tdp_source is not None
    words = cpu_machine.tdp_source.replace("RAM ", "CPU ").split("CPU ")
    assert words[0] == "CodeCarbon: "
    assert cpu_machine.tdp_w == sum(float(part.split(" W")[0]) for part in words[1:])


def test_a_generic_tdp_is_called_generic() -> None:
    known = codecarbon.Tdp("AMD EPYC 7543", cpu_w=225, ram_w=40, generic=False)
    assert known.source == "CodeCarbon: CPU 225 W (AMD EPYC 7543), RAM 40 W"
    unknown = codecarbon.Tdp("Mystery", cpu_w=8, ram_w=10, generic=True)
    assert unknown.source == "CodeCarbon: CPU 8 W (generic, its table does not know Mystery), RAM 10 W"


@pytest.mark.parametrize(
    ("model", "sockets", "cpu_w", "generic"),
    [("AMD EPYC 7543 32-Core Processor", 2, 450.0, False), ("Mystery", 2, 4.0 * (os.cpu_count() or 1), True)],
)
def test_the_table_counts_once_a_socket(
    monkeypatch: pytest.MonkeyPatch, model: str, sockets: int, cpu_w: float, generic: bool
) -> None:
    pytest.importorskip("codecarbon")
    monkeypatch.setattr("codecarbon.core.cpu.detect_cpu_model", lambda: model)
    monkeypatch.setattr("codecarbon.core.util.count_physical_cpus", lambda: sockets)
    found = codecarbon.tdp.__wrapped__()
    assert (found.model, found.cpu_w, found.generic) == (model, cpu_w, generic)


def test_what_codecarbon_found_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"model": "Mystery", "cpu_w": 8.5, "ram_w": 10.0, "generic": True}
    monkeypatch.setenv(codecarbon.FOUND, json.dumps(found))
    codecarbon.tdp.cache_clear()
    try:
        assert codecarbon.handed_over() == {}
        assert codecarbon.tdp() == codecarbon.Tdp(**found)
        (told,) = codecarbon.handed_over().values()
        assert json.loads(told) == found
    finally:
        codecarbon.tdp.cache_clear()


def test_a_machine_without_a_gpu_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> list[object]:
        raise NoMeterError("no NVIDIA driver on this machine")

    monkeypatch.setattr(nvml.Nvidia, "facts", none)
    with pytest.raises(MachineError) as error:
        probe("cuda", hardware_name="h100", reports_as="H100")
    assert str(error.value) == (
        "h100: needs a CUDA device that reports 'H100'; found no NVIDIA driver on this machine; "
        "run on such a machine or build another hardware of the config"
    )


def test_a_cpu_is_held_against_its_name(cpu_machine: Machine) -> None:
    require(cpu_machine, "cpu", "cpu", None)
    require(cpu_machine, "cpu", "cpu", cpu_machine.cpu.upper())
    with pytest.raises(MachineError, match=r"epyc: needs a CPU that reports 'EPYC 1'; found '.+'; run on such"):
        require(cpu_machine.model_copy(update={"device": "Intel Xeon"}), "epyc", "cpu", "EPYC 1")
    with pytest.raises(MachineError, match="h100: needs a CUDA device; found no GPU on this machine; run on"):
        require(cpu_machine, "h100", "cuda", None)
