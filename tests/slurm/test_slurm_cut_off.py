"""A sweep that is cut off in the middle, in every way that a cluster knows, goes on where it was."""

import ctypes
import os
import signal
import time
from collections.abc import Callable

import pytest
from cluster import (
    FIRST,
    MEASURE,
    RUN,
    SAMPLER,
    WITHOUT_ACCOUNTING,
    Project,
    alive,
    ask,
    cancel,
    jobs,
    lose_the_node,
    mend,
    preempt,
    reach_the_time_limit,
    requeue,
)

from joulebench.records.files import read_run


def cut_off(mine: Project, how: Callable[[str], None], config: str = "long", *words: str) -> None:
    """Cut the job off after its first point, and see that the workflow ends well without measuring that again."""
    workflow = mine.submit(config, f"{RUN}/run.json", *WITHOUT_ACCOUNTING, *words)
    mine.wait_until((mine / FIRST).exists)
    first = (mine / FIRST).stat().st_mtime_ns
    before = mine.processes(MEASURE, SAMPLER)
    assert mine.processes(MEASURE)
    assert mine.processes(SAMPLER)
    (job,) = jobs()
    how(job)
    mine.wait_until(lambda: not any(map(alive, before)))
    assert not (mine / f"{RUN}/run.json").exists()
    mine.ends(workflow, 0)
    run = read_run(mine / RUN)
    assert [point.status for point in run.points] == ["measured"] * (4 if config == "minutes" else 3)
    assert (mine / FIRST).stat().st_mtime_ns == first
    assert not mine.processes(MEASURE, SAMPLER)


def test_requeued(mine: Project) -> None:
    cut_off(mine, requeue)
    assert mine.said().count("has been submitted with SLURM jobid") == 1


def test_the_time_limit(mine: Project) -> None:
    cut_off(mine, reach_the_time_limit, "minutes")
    assert "TIMEOUT" in mine.said()


@pytest.mark.parametrize(("grace_s", "submissions"), [(0, 1), (8, 2)])
def test_preempted(mine: Project, grace_s: int, submissions: int) -> None:
    """Without a grace time Slurm requeues the job; with one the run ends by itself, and Snakemake submits it again."""
    ask("scontrol", "update", "PartitionName=gpu", f"GraceTime={grace_s}")
    cut_off(mine, preempt)
    assert mine.said().count("has been submitted with SLURM jobid") == submissions


def test_the_node_fails(mine: Project) -> None:
    try:
        cut_off(mine, lose_the_node)
    finally:
        mend()
    assert mine.said().count("has been submitted with SLURM jobid") == 1


def test_cancelled_while_it_hangs(mine: Project) -> None:
    """SIGTERM has no effect, as in a call into a driver that never returns: Slurm's SIGKILL ends the run."""

    def hang(job: str) -> None:
        (sampler,) = mine.processes(SAMPLER)
        process = sampler.parent()
        assert process is not None
        ptrace = ctypes.CDLL(None).ptrace  # a stop that Slurm's SIGCONT does not end
        seize, interrupt = 0x4206, 0x4207
        assert ptrace(seize, process.pid, 0, 0) == ptrace(interrupt, process.pid, 0, 0) == 0
        began = time.monotonic()
        cancel(job)
        ends = []

        def killed() -> bool:
            pid, status = os.waitpid(process.pid, os.WNOHANG | 0x40000000)  # __WALL
            ends.append(status)
            return pid != 0 and os.WIFSIGNALED(status)

        mine.wait_until(killed)
        assert os.WTERMSIG(ends[-1]) == signal.SIGKILL
        assert time.monotonic() - began > 9  # KillWait

    cut_off(mine, hang)
