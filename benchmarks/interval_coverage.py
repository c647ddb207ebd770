"""How often 95 % intervals hold the truth: python benchmarks/interval_coverage.py [RUNS] (1,000: 15 minutes of a core).

Each run is a simulated recording (simulated.py) of another 500 requests, whose true energy per output token is known.
Prints Markdown tables: timed windows, windows that end by a rule, and the drift test. Aim: 93 to 97 % of the intervals
hold the truth for windows of 20 s and for those that the stop rule ended; of stationary windows under 5 % drift.

Where the 500 requests come round again within the window, the plain ratio does better than its interval says, since
whole rounds hold the mix of the sample exactly. The rows of 5,000 requests are without that.
"""

import sys
from dataclasses import dataclass, field, replace

import numpy as np
from methods import TIMED, Figure, Stop, adjusted, at_once, by_rule, first, plain
from served import H100, Server
from simulated import Recording, simulate

from joulebench.analysis import drift
from joulebench.analysis.intervals import Estimate

BATCHES = (8, 32, 64, 128, 256)
LONGEST_S = 120
CHUNK = 125
"""Runs simulated at once, to bound the memory."""


@dataclass
class Row:
    """What the runs of one line of a table gave."""

    held: list[bool] = field(default_factory=list)
    half_width: list[float] = field(default_factory=list)
    bias: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, found: Estimate, seconds: float, true_j: float) -> None:
        self.held.append(abs(found.value - true_j) <= found.half_width)
        self.half_width.append(found.half_width / true_j)
        self.bias.append(found.value / true_j - 1)
        self.seconds.append(seconds)

    def line(self) -> str:
        held, half_width, bias, seconds = (float(np.mean(one)) for one in self.__dict__.values())
        return f"{len(self.held)} | {held:.1%} | {half_width:.2%} | {bias:+.2%} | {seconds:.1f}"


HEADER = """
| B | {} | method | runs | held the truth | mean half-width | bias | seconds |
|---|---|---|---|---|---|---|---|"""


def recordings(runs: int, batch: int, seconds: float, server: Server, requests: int) -> list[Recording]:
    made: list[Recording] = []
    for start in range(0, runs, CHUNK):
        made += simulate(batch, seconds, min(CHUNK, runs - start), start, server, requests)
    return made


def timed(runs: int, server: Server, requests: int, lengths_s: tuple[int, ...]) -> None:
    print(HEADER.format("window"), flush=True)
    for batch in BATCHES:
        made = recordings(runs, batch, max(lengths_s), server, requests)
        for seconds in lengths_s:
            rows = {name: Row() for name in TIMED}
            queue = Row()
            for run in made:
                blocks = run.blocks(run.turned_s, seconds)
                for name, figure in TIMED.items():
                    rows[name].add(figure(blocks, run), float(blocks.s.sum()), run.true_j)
                whole = run.blocks(run.filled_s, seconds + run.turned_s - run.filled_s)
                queue.add(plain(whole, run), float(whole.s.sum()), run.true_j)
            for name, row in (rows | {"plain, queue window": queue}).items():
                print(f"| {batch} | {seconds} s | {name} | {row.line()} |", flush=True)


def stopped(runs: int, wanted: float, requests: int) -> None:
    methods: dict[str, tuple[Figure, Stop]] = {
        "plain, at once": (plain, at_once(plain, wanted)),
        "plain, by the rule": (plain, by_rule(False, wanted)),
        "adjusted, at once": (adjusted, at_once(adjusted, wanted)),
        "adjusted, by the rule": (adjusted, by_rule(True, wanted)),
    }
    print(HEADER.format("wanted"), flush=True)
    for batch in BATCHES:
        rows = {name: Row() for name in methods}
        for start in range(0, runs, CHUNK):
            for run in simulate(batch, LONGEST_S, min(CHUNK, runs - start), start, H100, requests):
                blocks = run.blocks(run.turned_s, LONGEST_S)
                for name, (figure, stop) in methods.items():
                    got = first(blocks, stop(blocks, run))
                    rows[name].add(figure(got, run), float(got.s.sum()), run.true_j)
        for name, row in rows.items():
            print(f"| {batch} | {wanted:.0%} | {name} | {row.line()} |", flush=True)


def drifting(runs: int) -> None:
    print("\n| B | runs | stationary 20 s drift | stationary 60 s | queue window, 20 s |\n|---|---|---|---|---|")
    for batch in (*BATCHES, 512):
        passed: dict[str, list[bool]] = {"20": [], "60": [], "queue": []}
        for run in recordings(runs, batch, 60, H100, 500):
            windows = {
                "20": run.blocks(run.turned_s, 20),
                "60": run.blocks(run.turned_s, 60),
                "queue": run.blocks(run.filled_s, 20 + run.turned_s - run.filled_s),
            }
            for name, blocks in windows.items():
                passed[name].append(drift.geweke(blocks.energy_j, blocks.output_tokens) > drift.LIMIT)
        print(
            f"| {batch} | {runs} | " + " | ".join(f"{np.mean(one):.1%}" for one in passed.values()) + " |", flush=True
        )


def main(runs: int = 1000) -> None:
    print("Timed windows, 500 requests")
    timed(runs, H100, 500, (10, 20, 60))
    print("\nTimed windows, 5,000 requests")
    timed(runs, H100, 5000, (20,))
    print("\nTimed windows, 500 requests, noise twice as slow (4 s)")
    timed(runs, replace(H100, slow_s=2 * H100.slow_s), 500, (20,))
    print("\nWindows that end once the interval is narrow enough, or after 120 s; 500 requests")
    stopped(runs, 0.02, 500)
    stopped(runs, 0.01, 500)
    print("\nThe same, 5,000 requests")
    stopped(runs, 0.02, 5000)
    print("\nThe drift test")
    drifting(runs)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
