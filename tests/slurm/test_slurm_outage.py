"""Slurm itself is away for a while: its controller, and the database that sacct asks."""

import signal
import time

import pytest
from cluster import FIRST, MEASURE, RUN, SAMPLER, WITHOUT_ACCOUNTING, Project, ask, jobs, stop

from joulebench.records.files import read_run

ACCOUNTING = True
OUTAGE_S = 12.0
"""The sweep may end in it."""


@pytest.mark.parametrize(
    ("daemons", "number", "words"),
    [
        (["slurmctld"], signal.SIGTERM, WITHOUT_ACCOUNTING),
        (["slurmctld", "slurmdbd"], signal.SIGKILL, ()),
    ],
)
def test_slurm_is_away_while_a_sweep_goes_on(
    mine: Project, daemons: list[str], number: signal.Signals, words: tuple[str, ...]
) -> None:
    workflow = mine.submit("long", f"{RUN}/run.json", *words)
    mine.wait_until((mine / FIRST).exists)
    try:
        for daemon in daemons:
            stop(daemon, number)
        time.sleep(OUTAGE_S)
    finally:
        for daemon in reversed(daemons):
            ask(daemon)
    mine.ends(workflow, 0)
    assert [point.status for point in read_run(mine / RUN).points] == ["measured"] * 3
    assert "going on with the sweep" not in (mine / "logs/cpu/llm-chat/joulebench--llama-1m.log").read_text()
    assert not mine.processes(MEASURE, SAMPLER)
    assert mine.said().count("has been submitted with SLURM jobid") == 1
    assert not jobs("PD,R,CG")
