"""The real sampler process, with the meters that any machine has."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import polars as pl
import psutil
import pytest

from joulebench.meters.base import COLUMNS, MeterError, Reading
from joulebench.meters.busy import Others
from joulebench.meters.following import Now, latest
from joulebench.meters.sampler import Readings
from joulebench.meters.sampling import FILE_NAME, SamplerError, Sampling
from joulebench.records.schemas import ENERGY


@pytest.fixture
def sampling(tmp_path: Path) -> Iterator[Sampling]:
    with Sampling.start(["none"], tmp_path, silence_s=1.0) as running:
        yield running


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _tree_mb(sampling: Sampling) -> dict[int, float]:
    """Of this process and what it started, the sampler aside: other tests' server may be among them."""
    tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = {}
    for one in tree:
        with suppress(psutil.NoSuchProcess):
            found[one.pid] = one.memory_info().rss / 1e6
    found.pop(sampling.pid, None)
    return found


def _error_of_check(sampling: Sampling, seconds: float) -> str:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            sampling.check()
        except SamplerError as error:
            return str(error)
        time.sleep(0.02)
    raise AssertionError(f"check() said nothing for {seconds} s")


def test_the_lines_of_the_file_are_rows_of_the_energy_table() -> None:
    assert tuple(ENERGY.names()) == COLUMNS


@pytest.mark.slow
def test_codecarbon_readings_are_regular_and_add_up(tmp_path: Path) -> None:
    pytest.importorskip("codecarbon")
    with Sampling.start(["codecarbon"], tmp_path) as sampling:
        assert sampling.sources == {"host": "codecarbon_estimate"}
        begin = time.monotonic()
        time.sleep(4)
        end = time.monotonic()
        frame = sampling.since(begin, end)
        now_j = sampling.now().energy_j
    assert frame.schema == ENERGY
    assert set(frame["source"]) == {"codecarbon_estimate"}
    times, energies, powers = (frame[name].to_list() for name in ("time_s", "energy_j", "power_w"))
    assert times[0] <= 0
    assert times[-1] > end - begin
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert all(step > 0 for step in steps)
    assert pl.Series(steps).median() == pytest.approx(0.25, abs=0.02)
    assert sum(steps) / round(sum(steps) / 0.25) == pytest.approx(0.25, rel=0.02)
    assert energies == sorted(energies)
    integral = sum(power * step for power, step in zip(powers[1:], steps, strict=True))
    assert energies[-1] - energies[0] == pytest.approx(integral, rel=0.01)
    assert energies[-1] > energies[0]
    assert now_j is not None
    assert now_j >= energies[-1]
    assert frame["memory_used_mb"].drop_nulls().max() == pytest.approx(sum(_tree_mb(sampling).values()), rel=0.25)


@pytest.mark.slow
def test_without_a_source_energy_is_null_and_memory_is_not(sampling: Sampling) -> None:
    begin = time.monotonic()
    time.sleep(0.6)
    frame = sampling.since(begin, time.monotonic())
    assert sampling.sources == {"host": None}
    assert sampling.now().energy_j is None
    assert frame.height >= 3
    for name in (
        "source",
        "energy_j",
        "power_w",
        "temperature_c",
        "clock_mhz",
        "throttled",
        "power_capped",
        "processes",
    ):
        assert frame[name].null_count() == frame.height
    assert frame["memory_used_mb"].min() > 10  # type: ignore[operator]


@pytest.mark.slow
def test_memory_is_of_the_whole_tree_without_the_sampler(sampling: Sampling) -> None:
    program = "x = b'1' * 300_000_000; print(1, flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        begin = time.monotonic()
        time.sleep(0.6)
        used_mb = sampling.since(begin, time.monotonic(), margin_s=0)["memory_used_mb"].drop_nulls()[-1]
        assert child.pid in (tree := _tree_mb(sampling))
        assert used_mb == pytest.approx(sum(tree.values()), abs=20)
    finally:
        child.communicate(b"\n")


def test_a_killed_sampler_is_noticed(sampling: Sampling) -> None:
    sampling.check()
    os.kill(sampling.pid, signal.SIGKILL)
    message = _error_of_check(sampling, 3.0)
    assert "was killed by signal 9" in message
    assert "void" in message


@pytest.mark.slow
def test_a_silent_sampler_is_noticed(sampling: Sampling) -> None:
    os.kill(sampling.pid, signal.SIGSTOP)
    assert "has given no reading for" in _error_of_check(sampling, 3.0)


@pytest.mark.slow
def test_since_does_not_wait_for_ever_on_a_silent_sampler(sampling: Sampling) -> None:
    begin = time.monotonic()
    os.kill(sampling.pid, signal.SIGSTOP)
    with pytest.raises(SamplerError, match="no reading"):
        sampling.since(begin, time.monotonic() + 0.3)


@pytest.mark.slow
def test_a_gap_in_the_stretch_is_refused(sampling: Sampling) -> None:
    begin = time.monotonic()
    os.kill(sampling.pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(sampling.pid, signal.SIGCONT)
    time.sleep(0.3)
    end = time.monotonic()
    with pytest.raises(SamplerError, match=r"did not read host for [1-9]\.\d s"):
        sampling.since(begin, end)
    time.sleep(0.3)
    assert sampling.since(end, time.monotonic()).height > 0


def test_a_stretch_before_the_sampler_is_refused(sampling: Sampling) -> None:
    now = time.monotonic()
    with pytest.raises(SamplerError, match="after the measurement began"):
        sampling.since(now - 30, now)


@pytest.mark.slow
def test_the_margin_comes_along_and_no_more(sampling: Sampling) -> None:
    time.sleep(1.2)
    begin = time.monotonic()
    time.sleep(0.5)
    end = time.monotonic()
    time.sleep(1.2)
    frame = sampling.since(begin, end, margin_s=0.6)
    assert -0.6 <= frame["time_s"].min() < -0.3  # type: ignore[operator]
    assert end - begin + 0.3 < frame["time_s"].max() <= end - begin + 0.6  # type: ignore[operator]
    narrow = sampling.since(begin, end, margin_s=0.0)["time_s"]
    assert (narrow < 0).sum() == 1
    assert (narrow > end - begin).sum() == 1


@pytest.mark.slow
def test_an_incomplete_last_line_is_not_read(sampling: Sampling, tmp_path: Path) -> None:
    begin = time.monotonic()
    time.sleep(0.6)
    end = time.monotonic()
    sampling.since(begin, end)
    os.kill(sampling.pid, signal.SIGSTOP)
    whole = sampling.since(begin, end)
    with (tmp_path / FILE_NAME).open("ab") as lines:
        lines.write(f"host,,{end + 0.9:.6f},,1".encode())
    assert sampling.since(begin, end).equals(whole)
    with (tmp_path / FILE_NAME).open("ab") as lines:
        lines.write(b"2.5,,,,\n")
    completed = sampling.since(begin, end)
    assert completed.height == whole.height + 1
    assert completed["power_w"][-1] == 12.5


def test_stop_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    sampling = Sampling.start(["none"], tmp_path)
    pid = sampling.pid
    assert _alive(pid)
    assert list(tmp_path.iterdir())
    sampling.stop()
    sampling.stop()
    assert not psutil.pid_exists(pid)
    assert pid not in [child.pid for child in psutil.Process().children(recursive=True)]
    assert list(tmp_path.iterdir()) == []
    time.sleep(0.25)
    with pytest.raises(SamplerError, match="was stopped"):
        sampling.check()


def test_stop_ends_a_sampler_that_does_not_listen(tmp_path: Path) -> None:
    sampling = Sampling.start(["none"], tmp_path, stop_timeout_s=0.2)
    pid = sampling.pid
    os.kill(pid, signal.SIGSTOP)
    sampling.stop()
    assert not psutil.pid_exists(pid)


def test_a_meter_that_cannot_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # also where there is a GPU
    with pytest.raises(SamplerError, match=r"could not start: it ended with code 1 \(no .*\)$"):
        Sampling.start(["nvml"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(SamplerError, match=r"no first reading within 0\.001 s"):
        Sampling.start(["none"], tmp_path, start_timeout_s=0.001)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_sampler_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from joulebench.meters.sampling import Sampling\n"
        "print(Sampling.start(['none'], Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert _alive(pid)
    parent.kill()
    parent.communicate()
    give_up = time.monotonic() + 2.0
    while _alive(pid) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not _alive(pid)


class _Replay:
    """A meter that gives the energies it is told to."""

    def __init__(self, *energies_j: float) -> None:
        self.sources: dict[str, str | None] = {"cpu:0": "rapl"}
        self._energies = iter(energies_j)

    def read(self) -> Iterator[Reading]:
        yield Reading("cpu:0", "rapl", next(self._energies), None, throttled=True, processes=2)

    def close(self) -> None: ...


def test_energy_starts_at_zero_and_a_counter_that_goes_back_is_an_error(tmp_path: Path) -> None:
    meter = _Replay(5000.5, 5000.5, 5010.75, 5010.5)
    with (tmp_path / "readings.csv").open("w") as file:
        readings = Readings(file, Others(os.getpid()))
        for _ in range(3):
            readings.poll(meter)
        with pytest.raises(MeterError, match=r"cpu:0 went back from 5010\.750 to 5010\.500 J"):
            readings.poll(meter)
    frame = pl.read_csv(tmp_path / "readings.csv", schema=ENERGY)
    assert frame["energy_j"].to_list() == [0.0, 0.0, 10.25]
    assert frame["throttled"].to_list() == [True] * 3
    assert (frame["processes"].to_list(), frame["power_capped"].to_list()) == ([2] * 3, [None] * 3)
    assert frame["power_w"].to_list() == [None] * 3


@pytest.mark.slow
def test_others_and_what_was_stolen_are_recorded_twice_a_second(sampling: Sampling) -> None:
    begin = time.monotonic()
    time.sleep(1.7)
    now = sampling.now()
    busy = sampling.since(begin, time.monotonic(), margin_s=0).select("others_busy_s", "stolen_s").drop_nulls()
    assert 2 <= busy.height <= 4
    assert busy["stolen_s"].is_sorted()
    assert now.others_share is not None
    assert now.stolen_share is not None
    assert 0 <= now.others_share + now.stolen_share < 1.2  # clock ticks of 10 ms in half a second


def reading(device: str, time_s: float, energy_j: float | None, busy: str = ",") -> str:
    return f"{device},a source,{time_s},{'' if energy_j is None else energy_j},,,,,,,,{busy}\n"


def test_the_latest_readings_are_of_the_headline_devices() -> None:
    lines = "".join(
        (
            reading("gpu:0", 1.0, 10.0, "1.0,0.5"),
            reading("cpu:0", 1.0, 1000.0),
            reading("gpu:1", 1.0, 20.0),
            reading("cpu:0", 1.5, 1100.0, "1.1,0.5"),
            reading("gpu:0", 2.0, 15.0),
            reading("cpu:0", 2.1, 1200.0, "1.4,0.65"),
            reading("gpu:1", 2.1, 21.0),
        )
    ).encode()
    found = latest(lines, ("gpu:0", "gpu:1"))
    assert found == Now(36.0, pytest.approx(0.3 / 0.6), pytest.approx(0.15 / 0.6))
    assert latest(lines, ("cpu:0",)).energy_j == 1200.0
    assert latest(lines, ("cpu:0", "dram:0")).energy_j is None


def test_what_the_latest_readings_do_not_say_is_null() -> None:
    assert latest(b"", ("host",)) == Now(None, None, None)
    lines = reading("host", 1.0, None, "1.0,0.0") + reading("host", 1.5, None)
    assert latest(lines.encode(), ("host",)) == Now(None, None, None)
