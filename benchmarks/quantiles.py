"""How often the intervals of latency quantiles cover: python benchmarks/quantiles.py [windows].

Latencies are exponential, with an autocorrelation (of the normal variables behind them, AR(1)) as given, so that the
true quantiles are known; so many of them, at random times, fill each window. Prints, for each quantile, the share of
the windows whose 95 % interval holds the truth, and the mean half-width in percent; `-` where there is no interval.
"""

import argparse
from math import log, sqrt

import numpy as np
import polars as pl
from scipy.signal import lfilter
from scipy.special import ndtr

from joulebench.analysis.keyed import KEY
from joulebench.analysis.latency import request_latency
from joulebench.tables.columns import QUANTILES

CORRELATIONS, COUNTS = (0.0, 0.5, 0.9), (30, 100, 300, 1000, 3000)
WINDOW_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("windows", nargs="?", type=int, default=1000)
    windows = parser.parse_args().windows
    print("correlation  requests " + "".join(f"{f'p{q}':>16}" for q in QUANTILES))
    for correlation in CORRELATIONS:
        for count in COUNTS:
            found = request_latency(*simulated(windows, count, correlation))
            print(f"{correlation:11} {count:9} " + "".join(f"{told(found, q):>16}" for q in QUANTILES))


def simulated(windows: int, count: int, correlation: float, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Requests and windows, as `request_latency` takes them: each window is a key of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(windows, count)) * sqrt(1 - correlation**2)
    noise[:, 0] /= sqrt(1 - correlation**2)
    waited = -np.log1p(-ndtr(lfilter([1.0], [1.0, -correlation], noise, axis=1)))
    first = np.sort(rng.uniform(0, WINDOW_S, (windows, count)), axis=1)
    keys = np.repeat(np.arange(windows), count)
    requests = pl.DataFrame({"key": keys, "first_output_s": first.ravel(), "admitted_s": (first - waited).ravel()})
    requests = requests.with_columns(
        submitted_s="admitted_s", finished_s=pl.lit(None, pl.Float64), output_tokens=1, status=pl.lit("aborted")
    )
    bounds = pl.DataFrame({"key": np.arange(windows)}).with_columns(start_s=0.0, end_s=WINDOW_S)
    return requests.cast({"key": KEY}), bounds.cast({"key": KEY})


def told(found: pl.DataFrame, q: int) -> str:
    low, high = (found[f"ttft_p{q}_{end}_s"].drop_nulls().to_numpy() for end in ("low", "high"))
    if not low.size:
        return "-"
    truth = -log(1 - q / 100)
    covered = np.mean((low <= truth) & (truth <= high))
    return f"{100 * covered:.1f} % +-{100 * np.mean(high - low) / 2 / truth:.0f} %"


if __name__ == "__main__":
    main()
