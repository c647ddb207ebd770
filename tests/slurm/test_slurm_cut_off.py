"""A sweep that is cut off in the middle, in every way that a cluster knows, goes on where it was.

All of them at once, each on a node of its own: what takes time is Slurm's waiting.
"""

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
    Ended,
    Project,
    alive,
    cancel,
    lose_the_node,
    mend,
    not_on,
    on,
    preempt,
    reach_the_time_limit,
    requeue,
)

from joulebench.records.files import read_run

NODES = 7
"""One for each, and one for the sweep whose node fails."""
SUBMITTED = "has been submitted with SLURM jobid"


def cut_off(mine: Project, how: Callable[[str], None], *where: str, config: str = "long") -> None:
    """Cut the job off after its first point, and see that the workflow ends well without measuring that again."""
    workflow = mine.submit(config, f"{RUN}/run.json", *WITHOUT_ACCOUNTING, *where)
    mine.wait_until((mine / FIRST).exists)
    first = (mine / FIRST).stat().st_mtime_ns
    before = mine.processes(MEASURE, SAMPLER)
    assert mine.processes(MEASURE)
    assert mine.processes(SAMPLER)
    (job,) = mine.jobs()
    how(job)
    mine.wait_until(lambda: not any(map(alive, before)))
    assert not (mine / f"{RUN}/run.json").exists()
    mine.ends(workflow, 0)
    run = read_run(mine / RUN)
    assert [point.status for point in run.points] == ["measured"] * (4 if config == "minutes" else 3)
    assert (mine / FIRST).stat().st_mtime_ns == first
    assert not mine.processes(MEASURE, SAMPLER)


def requeued(mine: Project) -> None:
    cut_off(mine, requeue, *on("n1"))
    assert mine.said().count(SUBMITTED) == 1


def at_the_time_limit(mine: Project) -> None:
    cut_off(mine, reach_the_time_limit, *on("n2"), config="minutes")
    assert "TIMEOUT" in mine.said()


def preempted(mine: Project) -> None:
    """Without a grace time Slurm requeues the job."""
    cut_off(mine, preempt, *on("n3"))
    assert mine.said().count(SUBMITTED) == 1


def preempted_with_a_grace_time(mine: Project) -> None:
    """The run ends by itself, and Snakemake submits it again."""
    cut_off(mine, preempt, *on("n4", "patient"))
    assert mine.said().count(SUBMITTED) == 2


def on_a_node_that_fails(mine: Project) -> None:
    try:
        cut_off(mine, lose_the_node, *not_on("n1", "n2", "n3", "n4", "n7"))
    finally:
        mend(("n5", "n6"))
    assert mine.said().count(SUBMITTED) == 1


def cancelled_while_it_hangs(mine: Project) -> None:
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

    cut_off(mine, hang, *on("n7"))


WAYS = (
    at_the_time_limit,
    requeued,
    preempted,
    preempted_with_a_grace_time,
    on_a_node_that_fails,
    cancelled_while_it_hangs,
)


@pytest.mark.parametrize("way", [way.__name__ for way in WAYS])
def test_a_sweep_goes_on_that_was(way: str, ended: Ended) -> None:
    ended[way].result()
