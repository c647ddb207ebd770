"""Bias and coverage of a start in equilibrium and of a cold one: python benchmarks/start_coverage.py [RUNS]

Simulated recordings (simulated.py) of 500 requests each, whose true energy per output token is known: the first 20 s of
the window of both starts, by batch size. A cold start's window opens after one turnover, one in equilibrium's when the
requests that it was begun with have all got their first token. Then windows that the adaptive protocol ended, at +-2 %,
after a start in equilibrium. Prints Markdown tables. Aim: a bias under 0.3 %, and 93
to 97 % of the 95 % intervals of the adjusted figure hold the truth.
"""

import sys

from interval_coverage import CHUNK, Row
from methods import TIMED, by_rule, first
from simulated import simulate

BATCHES = (8, 16, 32, 64, 128, 256, 512, 1024)
WINDOW_S, LONGEST_S = 20, 60
METHODS = ("plain", "adjusted")


def main(runs: int = 400) -> None:
    print("| B | start | method | runs | held the truth | mean half-width | bias | seconds | window opens at, s |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for batch in BATCHES:
        for start in ("cold", "equilibrium"):
            rows, opened_s = {name: Row() for name in METHODS}, []
            for done in range(0, runs, CHUNK):
                count = min(CHUNK, runs - done)
                for run in simulate(batch, WINDOW_S, count, done, equilibrium=start == "equilibrium"):
                    at = run.turned_s if start == "cold" else run.opened_s
                    opened_s.append(at)
                    blocks = run.blocks(at, WINDOW_S)
                    for name, row in rows.items():
                        row.add(TIMED[name](blocks, run), float(blocks.s.sum()), run.true_j)
            mean_s = sum(opened_s) / len(opened_s)
            for name, row in rows.items():
                print(f"| {batch} | {start} | {name} | {row.line()} | {mean_s:.1f} |", flush=True)
    stopped(runs)


def stopped(runs: int) -> None:
    stop = by_rule(use_prompts=True, wanted=0.02, start="equilibrium")
    print(
        "\n| B | adaptive, +-2 %, runs | held the truth | mean half-width | bias | seconds |\n|---|---|---|---|---|---|"
    )
    for batch in BATCHES:
        row = Row()
        for done in range(0, runs, CHUNK):
            for run in simulate(batch, LONGEST_S, min(CHUNK, runs - done), done, equilibrium=True):
                blocks = run.blocks(run.opened_s, LONGEST_S)
                got = first(blocks, stop(blocks, run))
                row.add(TIMED["adjusted"](got, run), float(got.s.sum()), run.true_j)
        print(f"| {batch} | {row.line()} |", flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
