"""Seconds of GPU that a sweep takes to know its energies to +-2 %: python benchmarks/seconds_to_precision.py [RUNS]

Replays the committed H100 sweeps of llm-chat, seven points of B = 8 to 512: when would the stop rule have ended each
point, given the plain energy per output token and given the adjusted one? A recording holds 20 s of stationary window.
Where the rule would not have stopped within it, the time is instead, and marked so, the mean of those of so many
simulated runs (simulated.py) of that B that took longer than 20 s too: nothing is extrapolated. Every point's ramp and
first turnover are in.

Beside it ML.ENERGY's protocol (version 3): 1,024 requests a point, and an engine start a point. A point is taken to
need 1,024 requests at the measured throughput, and the ramp and turnover once for both its ends; starts are as
measured. Prints Markdown tables.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from methods import by_rule, first
from simulated import Blocks, simulate

from joulebench.analysis import windows
from joulebench.analysis.energy import Drawn, headline
from joulebench.analysis.keyed import KEY, read_energy
from joulebench.analysis.stopping import Stopping
from joulebench.loads.stretch import inside, with_durations
from joulebench.records.files import read_parquet, read_point
from joulebench.records.schemas import REQUESTS as REQUESTS_SCHEMA

RUNS = Path(__file__).parents[1] / "results" / "h100" / "runs" / "llm-chat"
BATCHES = (8, 16, 32, 64, 128, 256, 512)
WANTED, MIN_SECONDS, WINDOW_S, LONGEST_S = 0.02, 10.0, 20.0, 120
REQUESTS = 1024


@dataclass(frozen=True)
class Replayed:
    """One point: seconds to the stationary window, of window until the rule stopped (None: not within it)."""

    turned_s: float
    plain_s: float | None
    adjusted_s: float | None
    responses_per_s: float


def blocks_of(
    folder: Path, batch: int, first: float = 0.0, last: float = np.inf, begun: int = 0
) -> tuple[float, Blocks]:
    """When a recorded point's stationary window opened, and what it held from its turnover `first` to `last`.

    `begun`: how many of its requests were begun in the middle.
    """
    iterations = pl.read_parquet(folder / "iterations.parquet").with_columns(key=pl.lit(0, KEY))
    lasted = with_durations(iterations.lazy()).collect()
    found = windows.text_windows(iterations.lazy(), windows.one_size(batch, begun)).collect()
    opened_s, fills = float(found["start_s"].item()), found["filled"].item()
    turned = inside(lasted, found).select("end_s", turned=pl.col("finished").cum_sum() / fills)
    passed = [turned.filter(pl.col("turned") >= turn)["end_s"].head(1).to_list() for turn in (first, last)]
    start_s, end_s = passed[0][0] if first else opened_s, passed[1][0] if passed[1] else found["end_s"].item()
    found = found.with_columns(start_s=pl.lit(start_s), end_s=pl.lit(end_s))
    cut = windows.blocks(inside(lasted, found))
    ends = pl.DataFrame(
        {"key": [0] * (cut.height + 1), "at_s": [start_s, *cut["end_s"]]}, schema_overrides={"key": KEY}
    )
    counter = Drawn(headline(read_energy({0: folder / "energy.parquet"}))).energy_j(ends, "at_s").to_numpy()
    blocks = Blocks(
        np.diff(ends["at_s"].to_numpy()),
        np.diff(counter),
        cut["output_tokens"].to_numpy().astype(float),
        cut["prompt_tokens"].to_numpy().astype(float),
        cut["finished"].to_numpy() / fills,
    )
    return opened_s, blocks


def replay(folder: Path, batch: int, prompt_per_output: float, mean_output_tokens: float) -> Replayed:
    start_s, blocks = blocks_of(folder, batch, begun=read_point(folder).begun)
    rate = blocks.output_tokens.sum() / blocks.s.sum() / mean_output_tokens
    return Replayed(start_s, _stops(blocks, None), _stops(blocks, prompt_per_output), float(rate))


def _stops(blocks: Blocks, prompt_per_output: float | None) -> float | None:
    rule = Stopping(WANTED, 0.95, MIN_SECONDS)
    for count in range(1, blocks.s.size + 1):
        got = first(blocks, count)
        if rule.enough(got.s, got.energy_j, got.output_tokens, got.prompt_tokens, prompt_per_output, got.turnovers):
            return float(got.s.sum())
    return None


def simulated_s(batch: int, runs: int, use_prompts: bool) -> float:
    """The mean of those that took longer than a recording's window."""
    stop = by_rule(use_prompts, WANTED)
    made = ((run, run.blocks(run.turned_s, LONGEST_S)) for run in simulate(batch, LONGEST_S, runs, batch))
    took = np.array([float(blocks.s[: stop(blocks, run)].sum()) for run, blocks in made])
    return float(took[took > WINDOW_S].mean())


def main(runs: int = 100) -> None:
    print("| model | B | turnover s | plain s | adjusted s | 1,024 requests s |\n|---|---|---|---|---|---|", flush=True)
    made_up: dict[tuple[int, bool], float] = {}
    sums = []
    for folder in sorted(RUNS.iterdir()):
        run = json.loads((folder / "run.json").read_text())
        engine_s = float(run["durations_s"]["engine_start"])
        last = read_parquet(folder / "points" / "06-b512" / "requests.parquet", REQUESTS_SCHEMA)
        whole = last.filter(pl.col("begun_output_tokens").is_null())
        sample = whole.sort("request").head(run["spec"]["sample"]["requests"])
        outputs, prompts = (float(sample[name].to_numpy().sum()) for name in ("asked_output_tokens", "prompt_tokens"))
        total = {"plain": engine_s, "adjusted": engine_s, "requests": 0.0}
        for point, batch in enumerate(BATCHES):
            place = folder / "points" / f"{point:02d}-b{batch}"
            found = replay(place, batch, prompts / outputs, outputs / sample.height)
            shown = []
            for name, seconds in (("plain", found.plain_s), ("adjusted", found.adjusted_s)):
                if seconds is None:
                    key = (batch, name == "adjusted")
                    if key not in made_up:
                        made_up[key] = simulated_s(batch, runs, name == "adjusted")
                    total[name] += found.turned_s + made_up[key]
                    shown.append(f"> {WINDOW_S:.0f}; simulated {made_up[key]:.1f}")
                else:
                    total[name] += found.turned_s + seconds
                    shown.append(f"{seconds:.1f}")
            served_s = found.turned_s + REQUESTS / found.responses_per_s
            total["requests"] += engine_s + served_s
            print(
                f"| {folder.name} | {batch} | {found.turned_s:.1f} | {' | '.join(shown)} | {served_s:.1f} |", flush=True
            )
        sums.append((folder.name, engine_s, total))
    print(
        "\n| model | engine start s | plain s | adjusted s | 1,024 requests a point s | adjusted | without the starts |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, engine_s, total in sums:
        saved = total["requests"] / total["adjusted"]
        points = (total["requests"] - len(BATCHES) * engine_s) / (total["adjusted"] - engine_s)
        figures = " | ".join(f"{seconds:.0f}" for seconds in (engine_s, *total.values()))
        print(f"| {name} | {figures} | {saved:.1f} times less | {points:.1f} times |", flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
