"""95 % intervals of energy per token or output: batch means of a ratio.

The window is cut into k blocks, long enough to be nearly independent; block i drew E_i joules for T_i tokens.
The ratio r = sum E / sum T has the residuals e_i = E_i - r T_i and the half-width

    t(0.975, k - 1) sqrt(k / (k - 1) sum e_i^2) / sum T

Batch means: Law, Simulation Modeling and Analysis, chapter on output data analysis for a single system.
Variance of a ratio estimator: Cochran, Sampling Techniques, chapter 6.
"""

import polars as pl
from scipy.special import stdtrit

from joulebench.analysis.keyed import whole_sum

CONFIDENCE = 0.95
FEWEST_BLOCKS = 5


def half_widths(blocks: pl.DataFrame, amounts: list[str]) -> pl.DataFrame:
    """Half-width of sum(energy_j) / sum(amount), for each of `amounts`, by key.

    `blocks`: key, energy_j (that of the block) and the amounts. The result has a row a key and a column
    `{amount}_half_width`, J a unit of the amount; null for fewer than 5 blocks, an unknown energy or no amount.
    """
    count, energy = pl.len(), pl.col("energy_j")
    squares = [
        (energy - energy.sum() / pl.col(amount).sum() * pl.col(amount)).pow(2).sum().alias(f"{amount}_squares")
        for amount in amounts
    ]
    sums = blocks.group_by("key", maintain_order=True).agg(
        *squares, *(whole_sum(amount) for amount in amounts), count=count, known=energy.null_count() == 0
    )
    quantile = stdtrit(sums["count"].cast(pl.Float64).to_numpy() - 1, (1 + CONFIDENCE) / 2)
    k = pl.col("count")
    return sums.with_columns(t=pl.Series(quantile, dtype=pl.Float64)).select(
        "key",
        *(
            pl.when(pl.col("known") & (k >= FEWEST_BLOCKS) & (pl.col(amount) > 0))
            .then(pl.col("t") * (k / (k - 1) * pl.col(f"{amount}_squares")).sqrt() / pl.col(amount))
            .alias(f"{amount}_half_width")
            for amount in amounts
        ),
    )
