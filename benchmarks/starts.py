"""A start in equilibrium against a cold one, on one card: python benchmarks/starts.py [RESULTS]

Reads what `snakemake --cores all results/h100-equilibrium/points.csv results/h100-cold/points.csv --configfile
config/starts.yaml` left under RESULTS (results). For each batch size: J per output token over the window of a start in
equilibrium, and over what a cold start's window holds after two turnovers more than its own first, with their 95 %
intervals; and the seconds from the first submission to where the window opens, of both. Prints a Markdown table.
"""

import sys
from pathlib import Path

from seconds_to_precision import blocks_of

from joulebench.analysis.intervals import Estimate, adjusted
from joulebench.records.files import read_run
from joulebench.records.models import Point

RUN = Path("runs/llm-chat/meta-llama--Llama-3.1-8B-Instruct")
MORE_TURNOVERS = 2.0
"""After the one with which a cold start's window opens: three in all."""


def figure(folder: Path, point: Point) -> tuple[Estimate, float, float]:
    """J per output token, the seconds of its window, and the seconds from the first submission to the window of all."""
    more = 0.0 if point.begun else MORE_TURNOVERS
    opened_s, blocks = blocks_of(folder, point.max_batch_size, more, begun=point.begun)
    tokens = point.sample_tokens
    assert tokens is not None
    mix = tokens.prompt_tokens / tokens.output_tokens
    turnovers = float(blocks.turnovers.sum())
    found = adjusted(blocks.energy_j, blocks.output_tokens, blocks.prompt_tokens, mix, turnovers=turnovers)
    return found.per_output_token, float(blocks.s.sum()), opened_s


def main(results: Path) -> None:
    found = {}
    for start in ("equilibrium", "cold"):
        folder = results / f"h100-{start}" / RUN
        for point in read_run(folder).points:
            place = folder / "points" / point.folder
            found[start, point.max_batch_size] = figure(place, point)
    print(
        "| B | equilibrium, mJ per output token | over, s | cold, after three turnovers | over, s | difference | "
        "window opens, equilibrium, s | cold, s |\n|---|---|---|---|---|---|---|---|"
    )
    for batch in sorted({batch for _, batch in found}):
        (warm, warm_s, warm_at), (cold, cold_s, cold_at) = (found[start, batch] for start in ("equilibrium", "cold"))
        told = [f"{1e3 * one.value:.2f} +- {1e3 * one.half_width:.2f}" for one in (warm, cold)]
        print(
            f"| {batch} | {told[0]} | {warm_s:.0f} | {told[1]} | {cold_s:.0f} | {warm.value / cold.value - 1:+.2%} | "
            f"{warm_at:.1f} | {cold_at:.1f} |"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else "results"))
