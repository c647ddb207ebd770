"""Windows of few turnovers: python benchmarks/turnovers.py [RUNS] (800: 5 minutes of a core).

A turnover is as many finished requests as fill the batch. Simulated recordings (simulated.py) of B = 512 and 1,024,
with the lengths of the 500 sampled chat requests as they were served (drawn with replacement, so that each run has a
sample of its own), from a cold start as published records have: the window opens after the first turnover. Windows of
0.25 to 5 turnovers, cut into blocks as windows.blocks cuts. Prints Markdown tables:

1. bias, real error over stated, and how often 95 % intervals hold the truth: plain; adjusted with waves by the number
   of blocks alone; adjusted as intervals.adjusted has it, where few turnovers leave few waves
2. the same of points that end by the stop rule at +-2 %
3. the halves of the 72 published windows of vLLM: mean z^2 of their difference, about 1 expected
4. the same of simulated windows, in the order in which the published runs served their requests, and in any
5. published windows cut after 1 to 3 turnovers, against the rest of the same window
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from methods import Figure, Stop, adjusted, adjusted_by_length, by_rule, first, plain
from scipy.special import stdtrit
from seconds_to_precision import blocks_of
from served import H100, Lengths, Server, times
from simulated import Blocks, Floats, Recording, simulate

from joulebench.analysis import intervals

RESULTS = Path(__file__).parents[1] / "results"
SAMPLE = RESULTS / "h100/runs/llm-chat/google--gemma-2-2b-it/points/07-b1024/requests.parquet"
TURNOVERS = (0.25, 0.6, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0)
CHUNK = 100
WANTED, LONGEST_S = 0.02, 120.0
SHORTEST_S = 2.5
SEED = 0
"""Of the published runs."""


@dataclass(frozen=True)
class Case:
    """What is served, from how many requests: `pool` None has log-normal lengths, without the sample's upper end."""

    says: str
    batch: int
    server: Server
    requests: int
    pool: Lengths | None

    def recordings(self, runs: int, seconds: float) -> Iterator[Recording]:
        for start in range(0, runs, CHUNK):
            yield from simulate(
                self.batch, seconds, min(CHUNK, runs - start), start, self.server, self.requests, self.pool
            )

    def turnover_s(self) -> float:
        """Mean time in which as many requests finish as fill the batch."""
        return float(np.mean([_turnover_s(run) for run in self.recordings(8, 20.0)]))


def _turnover_s(run: Recording) -> float:
    after = run.end_s > run.turned_s
    return float((run.end_s[-1] - run.turned_s) / run.finished[after].sum() * run.batch)


def cases() -> list[Case]:
    served = pl.read_parquet(SAMPLE).sort("request").head(500)
    columns = (served[name].to_numpy().astype(np.int64) for name in ("prompt_tokens", "asked_output_tokens"))
    sample = Lengths(*columns)
    return [
        Case("8 B", 512, H100, 500, sample),
        Case("8 B", 1024, H100, 500, sample),
        Case("8 B, 5,000 requests", 1024, H100, 5000, sample),
        Case("2 B", 1024, times(0.61), 500, sample),
        Case("20 B", 1024, times(2.5), 500, sample),
        Case("20 B, 5,000 requests", 512, times(2.5), 5000, sample),
        Case("20 B, 5,000 requests", 1024, times(2.5), 5000, sample),
        Case("20 B, 5,000 requests", 128, times(2.5), 5000, sample),
        Case("80 B, 5,000 requests", 256, times(10.0), 5000, sample),
        Case("80 B, 5,000 requests", 1024, times(10.0), 5000, sample),
        Case("8 B, log-normal lengths", 1024, H100, 500, None),
        Case("80 B, log-normal, 5,000 requests", 1024, times(10.0), 5000, None),
    ]


FIGURES: dict[str, Figure] = {"plain": plain, "by blocks": adjusted_by_length, "by turnovers": adjusted}


def timed(runs: int, case: Case) -> None:
    turnover_s = case.turnover_s()
    found: dict[tuple[float, str], list[tuple[float, float, float]]] = {}
    for run in case.recordings(runs, TURNOVERS[-1] * turnover_s):
        for turnovers in TURNOVERS:
            length = turnovers * turnover_s
            blocks = run.blocks(run.turned_s, length, 1.0 if length >= 10 else max(0.25, length / 10))
            for name, figure in FIGURES.items():
                one = figure(blocks, run)
                found.setdefault((turnovers, name), []).append(
                    (one.value / run.true_j - 1, one.half_width / run.true_j, _waves(blocks.s.size))
                )
    for turnovers in TURNOVERS:
        of = {name: np.array(found[turnovers, name]) for name in FIGURES}
        cells = [f"{100 * of['plain'][:, 0].mean():+.2f}", f"{100 * of['by blocks'][:, 0].mean():+.2f}"]
        for name in ("plain", "by blocks"):
            error, half_width, waves = of[name].T
            stated = half_width / stdtrit(waves, 0.975)
            cells.append(f"{np.sqrt(np.mean(error**2) / np.mean(stated**2)):.2f}")
        cells += [_held(*of[name].T[:2]) for name in FIGURES]
        cells += [f"{100 * of[name][:, 1].mean():.2f}" for name in FIGURES]
        what = f"{case.says} | {case.batch} | {turnovers} | {turnovers * turnover_s:.1f}"
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


def _held(error: Floats, half_width: Floats) -> str:
    """Nothing where there are too few blocks for an interval."""
    known = np.isfinite(half_width)
    return f"{100 * np.mean(abs(error[known]) <= half_width[known]):.1f}" if known.any() else ""


def _waves(count: int) -> int:
    return min(count - 1, max(2, round(0.4 * count ** (2 / 3))))


def stopped(runs: int, case: Case) -> None:
    ways: dict[str, tuple[Figure, Stop]] = {
        "by blocks": (adjusted_by_length, by_rule(True, WANTED, by_turnovers=False)),
        "by turnovers": (adjusted, by_rule(True, WANTED)),
    }
    cells = []
    for figure, stop in ways.values():
        held, seconds, turnovers = [], [], []
        for run in case.recordings(runs, LONGEST_S):
            blocks = run.blocks(run.turned_s, LONGEST_S)
            got = first(blocks, stop(blocks, run))
            one = figure(got, run)
            held.append(abs(one.value - run.true_j) <= one.half_width)
            seconds.append(got.s.sum())
            turnovers.append(got.turnovers.sum())
        cells.append(f"{100 * np.mean(held):.1f} | {np.mean(seconds):.1f} | {np.mean(turnovers):.1f}")
    print(f"| {case.says} | {case.batch} | {' | '.join(cells)} |", flush=True)


@dataclass(frozen=True)
class Published:
    """The blocks of a published window, and its sample's prompt tokens for each output token."""

    folder: Path
    batch: int
    blocks: Blocks
    prompt_per_output: float

    @property
    def turnovers(self) -> float:
        return float(self.blocks.turnovers.sum())


def published() -> list[Published]:
    made = []
    for file in sorted(RESULTS.glob("h*00/runs/llm-*/*/run.json")):
        run = json.loads(file.read_text())
        spec, points = run["spec"], {}
        for folder in sorted((file.parent / "points").iterdir()):
            points[int(folder.name.partition("-b")[2])] = folder
        sample = pl.read_parquet(points[max(points)] / "requests.parquet").sort("request")
        sample = sample.head(spec["sample"]["requests"])
        outputs, prompts = (float(sample[name].to_numpy().sum()) for name in ("asked_output_tokens", "prompt_tokens"))
        for batch, folder in points.items():
            made.append(Published(folder, batch, blocks_of(folder, batch)[1], prompts / outputs))
    return made


def _part(blocks: Blocks, start: int, end: int) -> Blocks:
    return Blocks(**{name: part[start:end] for name, part in vars(blocks).items()})


def _known(blocks: Blocks, mix: float, turnovers: float) -> tuple[float, float]:
    """The adjusted figure, and its half-width over t of all its waves: so a wider interval is a larger error."""
    found = intervals.adjusted(
        blocks.energy_j, blocks.output_tokens, blocks.prompt_tokens, mix, turnovers=turnovers
    ).per_output_token
    return found.value, found.half_width / stdtrit(_waves(blocks.s.size), 0.975)


@dataclass(frozen=True)
class Halves:
    """The difference of a window's halves, plain and adjusted (both at the whole's slope), as shares of the whole; and
    z^2: that difference over twice the standard error of the whole, squared: plain, by blocks, by turnovers."""

    apart: tuple[float, float]
    squares: tuple[float, float, float]

    @classmethod
    def of(cls, blocks: Blocks, mix: float) -> "Halves":
        count = blocks.s.size
        parts = [_part(blocks, 0, count // 2), _part(blocks, count - count // 2, count)]
        slope = intervals.adjusted(blocks.energy_j, blocks.output_tokens, blocks.prompt_tokens, mix).prompt_token.value
        ratios = [part.energy_j.sum() / part.output_tokens.sum() for part in parts]
        mixes = [part.prompt_tokens.sum() / part.output_tokens.sum() for part in parts]
        plainly = float(ratios[0] - ratios[1])
        adjustedly = plainly - slope * float(mixes[0] - mixes[1])
        whole = intervals.ratio(blocks.energy_j, blocks.output_tokens)
        errors = [whole.half_width / stdtrit(_waves(count), 0.975)]
        errors += [_known(blocks, mix, turnovers)[1] for turnovers in (np.inf, float(blocks.turnovers.sum()))]
        z = [one / (2 * error) for one, error in zip((plainly, adjustedly, adjustedly), errors, strict=True)]
        return cls((plainly / whole.value, adjustedly / whole.value), (z[0] ** 2, z[1] ** 2, z[2] ** 2))


def halves(windows: list[Published]) -> None:
    print("\n| B | windows | turnovers | plain | adjusted, by blocks | adjusted, by turnovers |")
    print("|---|---|---|---|---|---|")
    for batch in sorted({one.batch for one in windows}):
        of = [one for one in windows if one.batch == batch]
        turnovers = [one.turnovers for one in of]
        found = np.mean([Halves.of(one.blocks, one.prompt_per_output).squares for one in of], axis=0)
        squares = " | ".join(f"{value:.2f}" for value in found)
        print(f"| {batch} | {len(of)} | {min(turnovers):.1f} to {max(turnovers):.1f} | {squares} |")


def as_served(runs: int) -> None:
    """The published order of requests, B = 1,024 and 20 s, simulated; and orders at random of samples at random."""
    print(
        "\n| 8 B, B = 1,024, 20 s | halves apart, plain, % | adjusted, % | z^2 plain | by blocks | by turnovers |"
        " error of the whole, plain, % | adjusted, % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    sample = cases()[0].pool
    for says, seed in (("the published order", SEED), ("any", None)):
        rows = []
        for run in simulate(1024, 22.0, runs, 1, H100, 500, sample, seed):
            blocks = run.blocks(run.turned_s, 20.0)
            one = Halves.of(blocks, run.lengths.prompt_per_output)
            errors = [figure(blocks, run).value / run.true_j - 1 for figure in (plain, adjusted)]
            rows.append((*(100 * apart for apart in one.apart), *one.squares, *(100 * error for error in errors)))
        means, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        cells = [f"{means[i]:+.2f} +- {spread[i]:.2f}" for i in (0, 1)] + [f"{means[i]:.2f}" for i in (2, 3, 4)]
        cells += [f"{means[i]:+.2f} +- {spread[i]:.2f}" for i in (5, 6)]
        print(f"| {says} | {' | '.join(cells)} |")


def cut_short(windows: list[Published]) -> None:
    """The first so many turnovers of at least 2.5 s against the rest, where that holds twice as many.

    They agree where they differ by no more than the 95 % interval of their difference, with Welch's degrees of freedom.
    """
    print("\n| turnovers | windows | root mean square difference, % | agree, by blocks, % | agree, by turnovers, % |")
    print("|---|---|---|---|---|")
    for turnovers in (1.0, 1.5, 2.0, 3.0):
        agree: list[tuple[bool, ...]] = []
        apart = []
        for one in windows:
            if one.turnovers < 3 * turnovers:
                continue
            early = blocks_of(one.folder, one.batch, 0.0, turnovers)[1]
            late = blocks_of(one.folder, one.batch, turnovers)[1]
            if early.s.sum() < SHORTEST_S:
                continue
            row = []
            for by_turnovers in (False, True):
                parts = [
                    _known(part, one.prompt_per_output, float(part.turnovers.sum()) if by_turnovers else np.inf)
                    for part in (early, late)
                ]
                values, errors = zip(*parts, strict=True)
                waves = [_waves(part.s.size) for part in (early, late)]
                difference, error = values[0] - values[1], float(np.hypot(*errors))
                freedom = error**4 / sum(e**4 / n for e, n in zip(errors, waves, strict=True))
                row.append(bool(abs(difference) <= stdtrit(freedom, 0.975) * error))
            agree.append(tuple(row))
            apart.append(values[0] / values[1] - 1)
        shares = " | ".join(f"{100 * share:.0f}" for share in np.mean(agree, axis=0))
        print(f"| {turnovers} | {len(agree)} | {100 * np.sqrt(np.mean(np.square(apart))):.2f} | {shares} |")


def main(runs: int = 800) -> None:
    print(
        "| served | B | turnovers | window, s | bias plain, % | adjusted, % | error / stated, plain | adjusted "
        "| plain held, % | adjusted, by blocks | by turnovers | half-width plain, % | by blocks | by turnovers |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for case in cases():
        timed(runs, case)
    print("\n| served | B | by blocks held, % | seconds | turnovers | by turnovers held, % | seconds | turnovers |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases()[:4]:
        stopped(runs // 2, case)
    windows = published()
    halves(windows)
    as_served(CHUNK)
    cut_short(windows)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
