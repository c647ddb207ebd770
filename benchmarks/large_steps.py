"""What steps outside vLLM's CUDA graphs cost, and how evenly: python benchmarks/large_steps.py B TASK RESULTS...

vLLM 0.25 replays a step of at most 512 tokens as a CUDA graph; a larger one, which is one that takes long prompts in,
the engine core launches kernel by kernel, before the step ahead of it is told as ended. So what it costs stands in its
own duration, in that of the step ahead, or in both. For the runs of TASK on one GPU below the folders RESULTS
(results/h100), at batch size B, from the fourth second of the load on, in ms: the mean of steps that are neither large
nor next to one; the medians of steps ahead of a large one, and of large ones; and what a large step adds, which is the
time of all that are large or next to one, less as many others, over the large ones' number. "Varies": its standard
deviation over stretches of 2.5 s. "With energy": over the same stretches, the correlation of the energy of an output
token with the time that large steps add to one, the stretch's prompt tokens allowed for in both by least squares.
Prints a Markdown table.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from simulated import Floats

from joulebench.analysis.sources import card
from joulebench.records.files import read_run

GRAPH_TOKENS = 512
START_S, STRETCH_S = 4.0, 2.5


def steps(iterations: pl.DataFrame) -> pl.DataFrame:
    """One row a step after the load's start: end_s, output_tokens, prompt_tokens, ms, large, ahead, apart."""
    tokens = pl.col("output_tokens") + pl.col("prompt_tokens")
    ahead, behind = (pl.col("large").shift(by, fill_value=False) for by in (-1, 1))
    return (
        iterations.filter(pl.col("end_s") > START_S)
        .select("end_s", "output_tokens", "prompt_tokens", ms=1e3 * pl.col("end_s").diff(), large=tokens > GRAPH_TOKENS)
        .with_columns(ahead=ahead, apart=~(pl.col("large") | ahead | behind))
        .drop_nulls()
    )


def stretches(found: pl.DataFrame, energy: pl.DataFrame) -> tuple[Floats, float]:
    """What a large step added in each stretch, ms; and its correlation with the energy of a token."""
    edges = np.arange(found["end_s"].min(), found["end_s"].max(), STRETCH_S)

    def of(column: str) -> Floats:
        return np.diff(np.interp(edges, found["end_s"], found[column].cast(pl.Float64).cum_sum()))

    outputs, prompts, added = of("output_tokens"), of("prompt_tokens"), of("added_ms")
    drawn = np.diff(np.interp(edges, energy["time_s"], energy["energy_j"]))
    more = prompts - outputs * prompts.sum() / outputs.sum()

    def net(amounts: Floats) -> Floats:
        rest = amounts - outputs * amounts.sum() / outputs.sum()
        return np.asarray((rest - more * (more @ rest) / (more @ more)) / outputs)

    return added / of("large"), float(np.corrcoef(net(drawn), net(added))[0, 1])


def line(name: str, folder: Path) -> str:
    found = steps(pl.read_parquet(folder / "iterations.parquet"))
    other = found.filter("apart")["ms"].mean()
    ahead, large = (found.filter(which)["ms"].median() for which in ("ahead", "large"))
    found = found.with_columns(added_ms=pl.when("apart").then(0.0).otherwise(pl.col("ms") - other))
    added = found["added_ms"].sum()
    each, correlation = stretches(found, pl.read_parquet(folder / "energy.parquet"))
    parts = (
        f"{other:.1f} | {ahead:.1f} | {large:.1f} | {added / found['large'].sum():.1f} | {each.std():.1f} | "
        f"{added / found['ms'].sum():.0%} | {correlation:.2f}"
    )
    return f"| {name} | {parts} |"


def main(batch: int, task: str, results: list[Path]) -> None:
    if missing := [str(one) for one in results if not (one / "runs" / task).is_dir()]:
        sys.exit(f"{', '.join(missing)}: found no runs/{task} there, expected a hardware's folder, as results/h100")
    print("| run | card | other steps | ahead of large | large | adds | varies | of the time | with energy |")
    print("|---|---|---|---|---|---|---|---|---|")
    for folder in sorted(run for one in results for run in (one / "runs" / task).iterdir()):
        run = read_run(folder)
        for point in run.points:
            if point.max_batch_size == batch and len(run.machine.devices) == 1:
                print(line(f"{folder.name} | {card(run.machine)}", folder / "points" / point.folder), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(str(__doc__).splitlines()[0])
    main(int(sys.argv[1]), sys.argv[2], [Path(word) for word in sys.argv[3:]])
