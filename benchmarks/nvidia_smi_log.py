"""How far a log of nvidia-smi may be off the counter: python benchmarks/nvidia_smi_log.py (seconds of a core).

The published records of one GPU have its power every 20 ms. Of each point a log is made as nvidia-smi would have
written it: once a second, ten times with another phase, of the mean power of the last second (what power.draw is on an
H100) and of the last 25 ms (what power.draw.instant is about). Each is integrated by trapezoids over the point's last
20 s, and held against the counter. Prints a Markdown table: the farthest of the ten phases, in %.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

RESULTS = Path(__file__).parents[1] / "results"
MEANS_S = {"the last second": 1.0, "the last 25 ms": 0.025}
EVERY_S = 1.002
"""HPML's own log at -l 1: 25 readings in 24.5 s, most of them 1.000 to 1.002 s apart."""
PHASES_S = np.arange(0.0, 1.0, 0.1)
WINDOW_S, SHORTEST_S = 20.0, 9.0


def integral(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(times))])


def farthest(folder: Path, mean_s: float) -> float | None:
    """The largest |counter / log - 1| over the phases, None where the point is too short or of several devices."""
    polls = pl.read_parquet(folder / "energy.parquet")
    if polls["device"].n_unique() != 1 or not polls["source"][0].startswith("nvml"):
        return None
    lasted_s = json.loads((folder / "point.json").read_text())["duration_s"] - 0.3
    ends = np.array([max(0.5, lasted_s - WINDOW_S), lasted_s])
    if ends[1] - ends[0] < SHORTEST_S:
        return None
    time_s, energy_j, power_w = (polls[name].to_numpy() for name in ("time_s", "energy_j", "power_w"))
    moved = np.concatenate([[True], np.diff(energy_j) != 0])
    counter_j = float(np.diff(np.interp(ends, time_s[moved], energy_j[moved]))[0])
    drawn_j = integral(time_s, power_w)
    off = []
    for phase_s in PHASES_S:
        at_s = np.arange(time_s[0] + 1.0 + phase_s, time_s[-1], EVERY_S)
        logged_w = (np.interp(at_s, time_s, drawn_j) - np.interp(at_s - mean_s, time_s, drawn_j)) / mean_s
        if at_s[0] <= ends[0] and at_s[-1] >= ends[1]:
            log_j = float(np.diff(np.interp(ends, at_s, integral(at_s, logged_w)))[0])
            off.append(abs(counter_j / log_j - 1))
    return max(off, default=None)


def main() -> None:
    print("| a reading is the mean of | windows | median | nine in ten | most |\n|---|---|---|---|---|")
    for words, mean_s in MEANS_S.items():
        folders = (file.parent for file in sorted(RESULTS.glob("h?00/runs/*/*/points/*/energy.parquet")))
        off = np.array([one for one in (farthest(folder, mean_s) for folder in folders) if one is not None])
        shown = " | ".join(f"{100 * value:.2g}" for value in (*np.quantile(off, (0.5, 0.9)), off.max()))
        print(f"| {words} | {off.size} | {shown} |")


if __name__ == "__main__":
    main()
