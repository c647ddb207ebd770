"""The most memory of a point: each point's own, the sampler left out, null where it cannot be told."""

import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from joulebench.measure import memory
from joulebench.measure.memory import Watched

MB = 10**6


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process that holds 60 MB, then waits."""
    code = "held = b'x' * 60_000_000; print(len(held), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "60000000\n"
        yield one
        one.kill()


def ram_mb(watched: Watched) -> float:
    found = watched.most().ram_mb
    assert found is not None
    return found


OF_A_POINT = """
import numpy as np
from joulebench.measure.memory import Watched

watched, found = Watched("cpu", sampler=0), []
for megabytes in (0, 200, 0):
    watched.start()
    np.ones(megabytes * 10**6 // 8)
    found.append(watched.most().ram_mb)
print(*found)
"""


def test_the_most_is_of_the_point_alone() -> None:
    """In a process of its own: this one may give back more than a point takes, of what earlier tests left."""
    done = subprocess.run([sys.executable, "-c", OF_A_POINT], capture_output=True, text=True, check=True)
    before_mb, point_mb, after_mb = map(float, done.stdout.split())
    assert 150 < point_mb - before_mb < 250  # freed again, and counted
    assert abs(after_mb - before_mb) < 60


def test_children_count_but_for_the_sampler(child: subprocess.Popen[str]) -> None:
    with_child, without = Watched("cpu", sampler=0), Watched("cpu", sampler=child.pid)
    with_child.start()
    without.start()
    assert 55 < ram_mb(with_child) - ram_mb(without) < 100


def test_a_kernel_that_does_not_begin_anew_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "PROC", tmp_path)
    watched = Watched("cpu", sampler=0)
    watched.start()
    assert watched.most().ram_mb is None


def test_a_cpu_has_no_memory_of_a_gpu() -> None:
    watched = Watched("cpu", sampler=0)
    watched.start()
    found = watched.most()
    assert (found.allocated_mb, found.reserved_mb, found.process_mb) == (None, None, None)


def test_torchs_own_most_is_the_sum_over_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[int] = []
    cuda = types.SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 2,
        reset_peak_memory_stats=reset.append,
        max_memory_allocated=lambda index: (3 + index) * MB,
        max_memory_reserved=lambda index: (5 + index) * MB,
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    watched = Watched("cpu", sampler=0)
    watched.start()
    found = watched.most()
    assert reset == [0, 1]
    assert (found.allocated_mb, found.reserved_mb) == (7.0, 11.0)


def test_what_torch_never_allocated_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM's core is a process of its own, which this one's torch knows nothing of."""
    cuda = types.SimpleNamespace(is_initialized=lambda: True, device_count=lambda: 1)
    cuda.reset_peak_memory_stats = cuda.max_memory_allocated = cuda.max_memory_reserved = lambda index: 0
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    found = Watched("cpu", sampler=0).most()
    assert (found.allocated_mb, found.reserved_mb) == (None, None)
