"""What a step that vLLM launches kernel by kernel costs: python benchmarks/large_steps.py B TASK RESULTS...

vLLM 0.25 replays a step of at most 512 tokens as a CUDA graph; a larger one, which is one that takes long prompts in,
is launched piece by piece by the engine core, on one core of the host. It is launched before the step ahead of it is
told as ended: so what it costs stands in that one's duration. For each single-GPU run of TASK below the folders
RESULTS (results/h100): the median duration of steps ahead of a large one, with what 80 % of them lie between, and of
those that neither are large nor come ahead of one, at batch size B; and the share of the time in the former. The
first four seconds of the load, in which the batch is filled, are left out. Prints a Markdown table.
"""

import sys
from pathlib import Path

import polars as pl

from joulebench.analysis.sources import card
from joulebench.records.files import read_run

GRAPH_TOKENS = 512
START_S = 4.0


def steps(file: Path) -> pl.DataFrame:
    """One row a step after the load's start: ms, large (it is), ahead (the next one is)."""
    tokens = pl.col("output_tokens") + pl.col("prompt_tokens")
    return (
        pl.read_parquet(file)
        .filter(pl.col("end_s") > START_S)
        .select(ms=1e3 * pl.col("end_s").diff(), large=tokens > GRAPH_TOKENS)
        .with_columns(ahead=pl.col("large").shift(-1))
        .drop_nulls()
    )


def main(batch: int, task: str, results: list[Path]) -> None:
    if missing := [str(one) for one in results if not (one / "runs" / task).is_dir()]:
        sys.exit(f"{', '.join(missing)}: found no runs/{task} there, expected a hardware's folder, as results/h100")
    print("| run | card | other steps, ms | ahead of a large one, ms | 80 % between | share of the time |")
    print("|---|---|---|---|---|---|")
    for folder in sorted(run for one in results for run in (one / "runs" / task).iterdir()):
        run = read_run(folder)
        for point in run.points:
            if point.max_batch_size != batch or len(run.machine.devices) != 1:
                continue
            found = steps(folder / "points" / point.folder / "iterations.parquet")
            ahead, other = found.filter("ahead")["ms"], found.filter(~pl.col("ahead") & ~pl.col("large"))["ms"]
            low, high = ahead.quantile(0.1), ahead.quantile(0.9)
            share = ahead.sum() / found["ms"].sum()
            print(
                f"| {folder.name} | {card(run.machine)} | {other.median():.1f} | {ahead.median():.1f} | "
                f"{low:.1f} to {high:.1f} | {share:.0%} |"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [Path(word) for word in sys.argv[3:]])
