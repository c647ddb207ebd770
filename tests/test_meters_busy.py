"""How busy others keep the processors: the arithmetic on made-up counts, and real processes that compute."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from joulebench.meters import busy
from joulebench.meters.busy import STAT, VARIABLE, Family, Others, processors

FIRST = """cpu  1000 20 300 5000 77 4 6 40 900 10
cpu0 500 10 150 2500 40 2 3 20 450 5
cpu1 500 10 150 2500 37 2 3 20 450 5
intr 12345 0 0
ctxt 99
"""
A, B, C = (10, 1.0), (11, 2.0), (12, 3.0)


def test_guests_idle_and_waiting_for_disks_are_not_added() -> None:
    found = processors(FIRST, ticks_per_s=100)
    assert (found.online, found.busy_s, found.stolen_s) == (2, pytest.approx(13.3), pytest.approx(0.4))


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\ncpu0 1 2 3\n", "intr 1 2 3 4 5 6 7 8\n", "cpu  1 2 3 4 5 6 7 8\n"])
def test_what_is_no_stat_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the contents of /proc/stat"):
        processors(text, 100)


def test_the_time_of_a_family_counts_its_ended_children_once() -> None:
    looks = iter(
        [
            {A: (10.0, 7.0)},  # what was before does not count
            {A: (11.0, 7.0), B: (2.0, 0.0)},  # 1 + 2
            {A: (12.0, 9.5)},  # 1, and 0.5 that B used before it ended
            {A: (12.0, 10.5)},  # 1 by a child that came and went between two looks
            {A: (12.0, 10.5), C: (4.0, 0.0)},  # 4
            {A: (12.5, 10.5)},  # 0.5: nobody waited for C
            {A: (12.5, 10.5), (11, 9.0): (0.25, 0.0)},  # 0.25: B's number, given again
        ]
    )
    family = Family(lambda: next(looks))
    assert [family.used_s() for _ in range(6)] == [3.0, 4.5, 5.5, 9.5, 10.0, 10.25]


def test_others_are_what_is_left_over_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = {A: (5.0, 0.0)}
    monkeypatch.setattr(busy, "_tree", lambda *roots: dict(used))
    monkeypatch.setattr(os, "sysconf", {"SC_CLK_TCK": 100}.__getitem__)
    stat = tmp_path / "stat"
    stat.write_text(FIRST)
    others = Others(1, interval_s=0, stat=stat)
    # 2 s busy, of which the family used half a second; 0.3 s stolen; two processors.
    stat.write_text(FIRST.replace("1000 20 300", "1100 30 380").replace("4 6 40 900", "6 14 70 950"))
    used[A] = (5.5, 0.0)
    assert others.read() == (pytest.approx(0.75), pytest.approx(0.15))
    stat.write_text(FIRST.replace("1000 20 300", "1200 30 380").replace("4 6 40 900", "6 14 70 999"))
    assert others.read() == (pytest.approx(1.25), pytest.approx(0.15))
    stat.unlink()
    assert others.read() == (None, None)


def test_it_is_read_once_an_interval() -> None:
    others = Others(os.getpid(), interval_s=60)
    assert others.read() == (None, None)


@pytest.mark.parametrize("text", [None, "nothing of the kind\n"])
def test_without_counts_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)
    assert Others(os.getpid(), interval_s=0, stat=stat).read() == (None, None)


COMPUTE = "import time; end = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass"


def used_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.slow
@pytest.mark.skipif(not STAT.exists(), reason="/proc/stat is Linux's")
def test_a_process_beside_is_told_from_a_child() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    others = Others(os.getpid(), interval_s=0)
    before = processors(STAT.read_text(), ticks)
    child = subprocess.Popen([sys.executable, "-c", COMPUTE])
    shell = f"{sys.executable} -c '{COMPUTE}' >/dev/null & echo $!"
    stranger = int(subprocess.run(["sh", "-c", shell], stdout=subprocess.PIPE, check=True).stdout)  # an orphan
    assert stranger not in [one.pid for one in psutil.Process().children(recursive=True)]
    time.sleep(1.2)
    found, _ = others.read()
    child_s, stranger_s = used_s(child.pid), used_s(stranger)
    after = processors(STAT.read_text(), ticks)
    child.wait()
    assert found is not None
    assert min(child_s, stranger_s) > 0.1
    others_s = found * after.online
    assert others_s >= stranger_s - 0.1
    assert others_s <= after.busy_s - before.busy_s - child_s + 0.1


def test_where_the_counts_are_not_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/no/such/file")
    others = Others(os.getpid(), interval_s=0.0)
    assert others.read() == (None, None)
