"""The table of checks: limits on facts of a point, above which its figures are flagged or void.

`python -m joulebench.analysis.checks_page` prints it as docs/checks.md.
"""

from typing import Any

import polars as pl

from joulebench.analysis import drift
from joulebench.analysis.check import Check
from joulebench.analysis.intervals import FEWEST_BLOCKS
from joulebench.analysis.sources import any_source
from joulebench.families import TEXT
from joulebench.loads.base import WHOLE
from joulebench.loads.closed_loop import FILLED
from joulebench.loads.setting import BATCHES, CLOSED_LOOP

_ON_GPU = any_source(lambda one: one.of_gpu)
_COUNTED = any_source(lambda one: one.of_gpu and one.is_counter)
_LOGGED = _ON_GPU & (pl.col("nvidia_smi_energy_j") > 0)
_TEXT = TEXT.rows
_CLOSED = pl.col("load").is_in([CLOSED_LOOP, BATCHES])
_PIECES = pl.col("window").ne_missing(WHOLE)
_NOT_OVERLOADED = pl.col("status") != "overloaded"

_PERCENT = 100.0

OTHERS_FLAG_PERCENT, OTHERS_VOID_PERCENT = 5.0, 10.0
STOLEN_FLAG_PERCENT, STOLEN_VOID_PERCENT = 5.0, 10.0
"""Of the processors' time: what others than the measured processes use, and what the hypervisor takes."""

_RECORDS = "the H100's published records"
_STABLE = "ML.ENERGY, Thermally Stable Profiling for Accurate GPU Energy Measurement"


_OF_GPU: dict[str, Any] = {"where": _ON_GPU, "about": "energy of a GPU"}
_OTHERWISE: dict[str, Any] = {"where": ~_ON_GPU, "about": "other energy"}

_GAP: dict[str, Any] = {
    "name": "sampler gap",
    "fact": "poll_gap_s",
    "says": "The sampler was kept from reading for so long: what happened then is seen by its sum alone.",
}
_UPDATE_GAP: dict[str, Any] = {
    "name": "update gap",
    "fact": "update_gap_s",
    "says": "No update of the counter was seen for so long: how the energy lay in that time is not known.",
}
_WINDOW: dict[str, Any] = {
    "name": "short window",
    "fact": "window_s",
    "at_least": True,
}
_INTERVAL: dict[str, Any] = {
    "name": "wide interval",
    "fact": "half_width_percent",
    "of": _PERCENT * (pl.col("energy_per_response_high_j") / pl.col("energy_per_response_j") - 1),
    "says": "The energy per response is not known any better: half the width of its 95 % interval.",
}
_FILLED = _PERCENT * pl.col("mean_batch_size") / pl.col("max_batch_size")
_INTERVAL_UNKNOWN = pl.col("energy_per_response_j").is_not_null() & pl.col("energy_per_response_low_j").is_null()

CHECKS = (
    Check(
        name="other processes",
        fact="processes",
        voids=1,
        says="Another process had a context on the GPU: what it drew is in the figures.",
        source="NVML counts the energy of the whole device, whoever uses it",
    ),
    Check(
        name="busy machine",
        fact="others_percent",
        of=_PERCENT * pl.col("others_share"),
        flags=OTHERS_FLAG_PERCENT,
        voids=OTHERS_VOID_PERCENT,
        **_OTHERWISE,
        says="Others than the measured processes used the processors: what they drew is in the figures.",
        source="CodeCarbon's formula makes up to 17 % more processor power of 5 % more load, up to 33 % of 10 %; two "
        "cores (docs/measurements.md): 1.3 % at most when quiet; energy 1.4 times at 9 %, 1.6 at 11 %, 6 beside a busy "
        "process a core",
    ),
    Check(
        name="stolen time",
        fact="stolen_percent",
        of=_PERCENT * pl.col("stolen_share"),
        flags=STOLEN_FLAG_PERCENT,
        voids=STOLEN_VOID_PERCENT,
        **_OTHERWISE,
        says="The hypervisor gave the processors to other machines: the engine stood still, and its energy went on.",
        source="as for others' use: CodeCarbon counts it as load, and who waits for all threads waits for the one "
        "that lost its processor; a quiet virtual machine (docs/measurements.md): 0.1 %",
    ),
    Check(
        name="thermal throttling",
        fact="throttled_percent",
        of=_PERCENT * pl.col("throttled_share"),
        flags=1.0,
        voids=10.0,
        says="The GPU slowed itself down, for heat or by the hardware's own protection.",
        source=f"{_RECORDS}: not one poll; 1 % of 20 s is 10 polls",
    ),
    Check(
        name="temperature rise",
        fact="temperature_rise_c",
        of=pl.col("temperature_end_c") - pl.col("temperature_start_c"),
        flags=15.0,
        says="The device warmed up within the window; warmer silicon leaks more, so its start was the cheaper part.",
        source=f"{_STABLE}: power depends on temperature; {_RECORDS}: a card's first window rises by 5.6 °C at most",
    ),
    Check(
        name="counter against power",
        fact="counter_off_percent",
        of=_PERCENT * (pl.col("integrated_power_ratio") - 1).abs(),
        flags=3.0,
        voids=10.0,
        where=_COUNTED,
        about="energy from a GPU's counter",
        says="The counter, and the power readings integrated over the same window, tell different energies.",
        source=f"Zeus, issue 12: 1 % at most; {_RECORDS}: 2.0 % at most but for bursts of images, 3.1 %; Yang et al. "
        "2023, Part-time Power Measurements (arXiv 2312.02741): an H100 samples its power a quarter of the time",
    ),
    Check(
        name="meter against nvidia-smi",
        fact="nvidia_smi_off_percent",
        of=_PERCENT * (pl.col("power_w") * pl.col("window_s") / pl.col("nvidia_smi_energy_j") - 1).abs(),
        flags=5.0,
        where=_LOGGED,
        about="energy of a GPU, with nvidia-smi's log beside the run",
        says="The meter, and the power that nvidia-smi logged over the same window, tell different energies, or the "
        "log is of another time zone.",
        source="benchmarks/nvidia_smi_log.py: the power of the H100's and H200's published records, as nvidia-smi -l 1 "
        "would have logged it (means of a second, one a second): 3.9 % off at most, 1.4 % in nine windows of ten",
    ),
    Check(
        **_GAP,
        **_OF_GPU,
        flags=0.5,
        source=f"25 of its 20 ms intervals and 5 updates of the counter; {_RECORDS}: 0.04 s at most",
    ),
    Check(
        **_GAP,
        **_OTHERWISE,
        flags=1.0,
        source="4 of CodeCarbon's 0.25 s intervals, on a machine whose every core the engine may load",
    ),
    Check(
        **_UPDATE_GAP,
        **_OF_GPU,
        flags=0.5,
        voids=2.0,
        source=f"5 of its updates, which come every 0.1 s; {_RECORDS}: 0.14 s at most; 2 s without a reading void a "
        "measurement, and so they do without news",
    ),
    Check(
        **_UPDATE_GAP,
        **_OTHERWISE,
        flags=1.0,
        voids=2.5,
        source="4 and 10 of CodeCarbon's 0.25 s intervals, each of which brings news; RAPL's counter moves every "
        "millisecond and is read every 0.05 s",
    ),
    Check(
        name="clock step",
        fact="clock_step_s",
        voids=2.0,
        says="The time of day was set back during the run: it contradicts how long the points lasted.",
        source="MLPerf Inference, Power Measurement Rules: synchronised clocks; here times are kept to the second, so "
        "1 s is rounding",
    ),
    Check(
        name="requests failed",
        fact="requests_failed",
        voids=0,
        says="Requests failed: their energy is counted, their answers are not.",
        source="the measuring gives up a point at its first failed request, so records with one are not whole",
    ),
    Check(
        name="answers cut",
        fact="answers_cut",
        voids=0,
        where=_TEXT,
        about="text tasks",
        says="Answers ended before the length that they were made to have, the end of sequence being ignored.",
        source="energy per response is reckoned with the lengths that were asked for",
    ),
    Check(
        name="busy client",
        fact="client_busy_percent",
        of=_PERCENT * pl.col("client_busy_share"),
        flags=85.0,
        where=pl.col("client_busy_share").is_not_null(),
        about="a server's answers",
        says="The client that asks the server was near the most that it can take: the server may have waited for it.",
        source="who never waits cannot take more; docs/measurements.md, *A server's client, and ticks*",
    ),
    Check(
        name="server behind",
        fact="outside_engine_percent",
        of=_PERCENT * pl.col("outside_engine_share"),
        flags=15.0,
        where=pl.col("outside_engine_share").is_not_null(),
        about="a server with metrics",
        says="The server's engine had done with many of the requests in flight, or not begun them: it served a smaller "
        "batch than the point says.",
        source="its batch is smaller by that share; docs/measurements.md, *What a server costs*",
    ),
    Check(
        name="preemptions",
        fact="preemptions",
        flags=0,
        where=_TEXT & _NOT_OVERLOADED,
        about="text tasks, not overloaded",
        says="Running requests were thrown out of memory, and their tokens computed again.",
        source=f"memory does not limit a batch that is not overloaded; {_RECORDS}: none in any such window",
    ),
    Check(
        **_WINDOW,
        **_OF_GPU,
        flags=10.0,
        says="The window is shorter than what is known to give stable readings.",
        source=f"{_STABLE}: windows of a second or so are distorted; Zeus' own zeus.profile tries up to 10 s",
    ),
    Check(
        **_WINDOW,
        **_OTHERWISE,
        flags=3.0,
        says="The window holds too few readings.",
        source="12 of CodeCarbon's 0.25 s readings; the published minima are for energy that a GPU measures, and an "
        "estimate errs by more than a longer window could mend",
    ),
    Check(
        name="few turnovers",
        fact="turnovers",
        flags=1.0,
        at_least=True,
        where=_TEXT & _CLOSED,
        about="text tasks, in a closed loop",
        says="Fewer requests ended than fill the batch: most of it is still what the point's start left, and the "
        "window does not show how it will change.",
        source="benchmarks/turnovers.py: below 1 turnover energies are up to 1.1 % too low, and as few as 85 in 100 "
        f"intervals hold the truth; {_RECORDS} of given lengths: 1.15 at least, but for two",
    ),
    Check(
        name="few counter updates",
        fact="counter_updates",
        flags=20,
        at_least=True,
        where=_COUNTED,
        about="energy from a GPU's counter",
        says="The counter moved too seldom for the energy between the window's ends to be told.",
        source=f"{_STABLE}: it moves about every 100 ms; an end is interpolated, off by less than one move in 20",
    ),
    Check(
        name="drift",
        fact="drift_z",
        flags=drift.LIMIT,
        where=_ON_GPU & _PIECES,
        about="energy of a GPU, over a stationary load",
        says="The energy per output changed from the window's first part to its last half.",
        source=f"Geweke 1992, Evaluating the Accuracy of Sampling-Based Approaches; {_RECORDS}: from cold 2.2 at "
        "most, 3.4 at a first point on a cold card; from equilibrium 2.9 at most in 75 of 78 windows of text. Not for "
        "an estimate: on a machine that it shares with others it tells their coming and going",
    ),
    Check(
        **_INTERVAL,
        **_OF_GPU,
        flags=10.0,
        source=f"models next to each other differ by less; {_RECORDS} of given lengths: 4.4 % at most in 97 of 101; "
        "windows of three to six static "
        "batches of unlike answers had 46 to 70 %",
    ),
    Check(
        **_INTERVAL,
        **_OTHERWISE,
        flags=50.0,
        source="an estimate errs by more than 10 % already; beyond 50 % not even the order of two models is told",
    ),
    Check(
        name="interval not known",
        fact="interval_unknown",
        of=_INTERVAL_UNKNOWN.cast(pl.Int64),
        flags=0,
        where=_PIECES,
        about="all but windows of a whole point",
        form="",
        says="The energy per response has no interval: its window holds fewer than 3 blocks, or whole batches.",
        source=f"an interval is told of {FEWEST_BLOCKS} blocks at least (analysis.intervals)",
    ),
    Check(
        name="batch over its maximum",
        fact="filled_percent",
        of=_FILLED,
        voids=100.01,
        form="{:.5g} %",
        says="More requests ran at once than the point stands for: the records are another's.",
        source=f"the load keeps as many in flight, and no more; {_RECORDS}: 100 % at most; 0.01 % is rounding",
    ),
    Check(
        name="batch not filled",
        fact="filled_percent",
        of=_FILLED,
        flags=_PERCENT * FILLED,
        at_least=True,
        where=_NOT_OVERLOADED & _CLOSED,
        about="closed loops, not overloaded",
        says="Fewer requests ran than the point stands for, though memory did not limit them.",
        source=f"a closed loop keeps its batch filled; {_RECORDS}: 98 % at least",
    ),
)
