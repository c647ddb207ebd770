"""What `joulebench doctor` finds: on a bare machine, and of made-up packages, buses, counters and configs."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from building import PROJECT, TINY

from joulebench.doctor import machine, packages, project
from joulebench.doctor.finding import Finding, State
from joulebench.doctor.packages import Environment
from joulebench.meters.base import NoMeterError


def lines(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(one.state.value, one.found) for one in findings]


def test_a_bare_machine_is_told_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    """The standard library alone, no network, no home."""
    command = [sys.executable, "-S", "-m", "joulebench", "doctor"]
    given = {"PYTHONPATH": str(PROJECT / "src"), "PATH": os.defpath, "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    said = done.stdout.splitlines()
    at = next(place for place, text in enumerate(said) if text.startswith("  missing  measuring on a CPU: "))
    assert "(16 of the 16 in envs/cpu.txt)" in said[at]
    assert said[at + 1] == "             -> make leaderboard"
    assert "  missing  config.yaml: not read (No module named 'pydantic')" in said
    assert said[-1].startswith("5 missing, ")


def test_pins_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("# what\n-r cpu.txt\na==1.0\nb_c==2.0.1 # why\n\n")
    assert packages.pins(tmp_path / "x.txt") == {"a": "1.0", "b_c": "2.0.1"}


def test_packages_against_their_pins() -> None:
    def held(needed: bool, **found: str | None) -> Finding:
        return packages._held(Environment("x", "doing x", "make x", needed), {"a": "1.0", "b": "2.0"}, found)

    assert held(True, a="1.0", b="2.0+cpu") == Finding(State.OK, "doing x: all that envs/x.txt names")
    gone = "doing x: b not installed (1 of the 2 in envs/x.txt)"
    assert held(True, a="1.0", b=None) == Finding(State.MISSING, gone, "make x")
    assert held(False, a="1.0", b=None) == Finding(State.NOTE, gone, "make x")
    other = "doing x: other versions than in envs/x.txt: b 2.1 (pinned: 2.0)"
    assert held(True, a="1.0", b="2.1") == Finding(State.NOTE, other, "make x")


def test_an_engines_own_environment(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/vllm.txt").write_text("pytest==0.0.1\nno-such-package-of-anybodys==1.0\n")
    absent = packages.of_engine(tmp_path, "vllm", ".venv-vllm/bin/python")
    assert (absent.state, absent.to_do) == (State.NOTE, "make env-vllm PYTHON=python3.12")
    there = packages.of_engine(tmp_path, "vllm", sys.executable)
    assert "no-such-package-of-anybodys not installed (1 of the 2 in envs/vllm.txt)" in there.found
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    assert "does not run" in packages.of_engine(tmp_path, "vllm", str(broken)).found


def test_gpus_on_the_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vendor, kind in (("0", "0x10de", "0x030200"), ("1", "0x1002", "0x120000"), ("2", "0x10de", "0x040300")):
        folder = tmp_path / "bus/pci/devices" / name
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")  # the third is a card's sound
    monkeypatch.setattr(machine, "SYS", tmp_path)
    assert machine.on_the_bus() == ["NVIDIA", "AMD"]


def test_gpus_of_a_bare_machine_are_named_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(2):
        folder = tmp_path / f"bus/pci/devices/{place}"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text("0x10de\n")
        (folder / "class").write_text("0x030200\n")
    monkeypatch.setattr(machine, "SYS", tmp_path)
    monkeypatch.setitem(sys.modules, "joulebench.meters", None)
    ((state, said),) = lines(machine._gpus())
    assert state == "note"
    assert said.startswith("2 NVIDIA GPUs, not asked for their counters (")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rapl_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = counters(tmp_path)
    zone.chmod(0)
    monkeypatch.setattr(machine, "SYS", tmp_path)
    found = machine._rapl()
    assert (found.state, found.found) == (State.NOTE, "RAPL: 1 of 2 counters cannot be read by this user")


def test_rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SYS", tmp_path)
    assert machine._rapl().state is State.NOTE
    counters(tmp_path)
    assert machine._rapl() == Finding(State.OK, "RAPL: 2 counters can be read")


def counters(root: Path) -> Path:
    for zone in ("intel-rapl:0", "intel-rapl:0:0"):
        (root / "class/powercap" / zone).mkdir(parents=True)
        (root / "class/powercap" / zone / "energy_uj").write_text("1\n")
    return root / "class/powercap/intel-rapl:0/energy_uj"


class Cards:
    """As much of meters.base.Gpus as is asked, of two cards, or of none that works."""

    def __init__(self, *facts: dict[str, object]) -> None:
        self._facts = facts
        self.sources = {f"gpu:{place}": "nvml_counter" for place in range(len(facts))}

    def facts(self) -> list[dict[str, object]]:
        if not self._facts:
            raise NoMeterError("no NVML")
        return list(self._facts)

    def start(self, engine_pid: int) -> "Cards":
        return self


def test_each_gpu_with_its_counter() -> None:
    free = {"name": "H100", "power_limit_w": 700.0, "mig": False, "compute_processes": 0}
    cards = Cards(free, free | {"compute_processes": 2}, free | {"mig": True, "power_limit_w": None})
    assert lines(machine._of(cards, "NVIDIA", True)) == [  # type: ignore[arg-type]
        ("ok", "gpu:0 H100, power limit 700 W, energy from nvml_counter"),
        ("note", "gpu:1 H100, power limit 700 W, energy from nvml_counter; 2 processes use it"),
        ("note", "gpu:2 H100, power limit not known, energy from nvml_counter; in MIG mode"),
    ]
    assert lines(machine._of(Cards(), "NVIDIA", True)) == [  # type: ignore[arg-type]
        ("note", "NVIDIA GPUs that cannot be measured: no NVML")
    ]
    assert lines(machine._of(Cards(), "NVIDIA", False)) == []  # type: ignore[arg-type]


def test_no_meter_leaves_the_energy_empty_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setenv("JOULEBENCH_METERS", "none")
    ((state, said),) = lines(machine._sources())
    assert state == "note"
    assert said.startswith("device cpu: energy from nothing (JOULEBENCH_METERS says to measure with none")
    monkeypatch.setenv("JOULEBENCH_METERS", "guess")
    ((state, said),) = lines(machine._sources())
    assert (state, said.partition(";")[0]) == ("missing", "JOULEBENCH_METERS: no meter 'guess'")


def test_the_datasets_of_a_config(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((PROJECT / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "config").symlink_to(PROJECT / "config")
    (tmp_path / "data/partiprompts").mkdir(parents=True)
    found = [one for one in project.look(tmp_path, Path("config.yaml")) if one.found.startswith("datasets")]
    assert [one.state for one in found] == [State.OK, State.NOTE]
    assert found[0].found == "datasets: data/partiprompts (text-to-image)"
    assert "data/sharegpt (llm-chat)" in found[1].found


def test_a_config_that_is_wrong_or_not_there(tmp_path: Path) -> None:
    first = next(iter(project.look(tmp_path, Path("config.yaml"))))
    assert first.state is State.MISSING
    (tmp_path / "config.yaml").write_text("measure_on: [cpu\n")
    first = next(iter(project.look(tmp_path, Path("config.yaml"))))
    assert first.state is State.MISSING
    assert "config.yaml" in first.found
    assert next(iter(project.look(PROJECT, TINY))).state is State.OK


def test_the_token_is_never_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert project._token() == Finding(State.OK, "HF_TOKEN is set (its value was not looked at)")


def test_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = project.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(project.shutil, "disk_usage", lambda _: usage._replace(free=3 * 10**9))
    found = project._disk(tmp_path)
    assert (found.state, found.found) == (State.NOTE, "3 GB free where results/ lies")
