"""What is left of a point's start in its stationary window: Geweke's test.

At the start all requests are young, their contexts short, and each token cheap. If the window opens too early, its
first part draws less per token than its last. Geweke (1992), Evaluating the accuracy of sampling-based approaches to
the calculation of posterior moments, Bayesian Statistics 4, sets the mean of a series' first tenth against that of
its last half, over the standard error that its spectrum at frequency zero gives. A window holds tens of blocks, not
thousands: so the first part is 15 %, and the spectrum that of the rest alone, which the start has not touched (Newey
and West 1987, Bartlett weights, two lags, and never under the variance of independent blocks).
"""

import numpy as np
from numpy.typing import ArrayLike

LIMIT = 3.0
"""The |z| over which a window drifts; docs/measurements.md says how often windows with and without a start pass."""

FIRST, LAST = 0.15, 0.5
LAGS = 2
FEWEST_BLOCKS = 10


def geweke(energy_j: ArrayLike, amount: ArrayLike) -> float:
    """|z| of the energy per amount in the window's first part against that in its last half.

    One value a block, of about a second or one batch, in the order of time. NaN for fewer than 10 blocks, and where a
    value is not finite or the amounts sum to nothing.
    """
    energy, served = np.asarray(energy_j, dtype=float), np.asarray(amount, dtype=float)
    if energy.size < FEWEST_BLOCKS or not (np.isfinite(energy).all() and np.isfinite(served).all()):
        return float("nan")
    if served.sum() <= 0:
        return float("nan")
    rest = energy - energy.sum() / served.sum() * served
    split = max(2, int(FIRST * rest.size))
    first, last, after = rest[:split], rest[-int(LAST * rest.size) :], rest[split:] - rest[split:].mean()
    lagged = [float(after[lag:] @ after[: after.size - lag]) / (after.size - 1) for lag in range(LAGS + 1)]
    weighted = 2 * sum((1 - lag / (LAGS + 1)) * lagged[lag] for lag in range(1, LAGS + 1))
    error = float(np.sqrt(max(lagged[0], lagged[0] + weighted) * (1 / first.size + 1 / last.size)))
    apart = float(abs(first.mean() - last.mean()))
    unit = 1e-9 * float(np.abs(energy).mean())
    if error <= unit:
        return 0.0 if apart <= unit else float("inf")
    return apart / error
