"""When a point knows enough to end.

To stop as soon as an interval looks narrow enough is to stop where chance made it narrow, and such intervals hold the
truth too seldom. That goes away as the wanted width goes to 0 (Chow and Robbins 1965, On the asymptotic theory of
fixed-width sequential confidence intervals; Glynn and Whitt 1992, The asymptotic validity of sequential stopping rules
for stochastic simulations), and is bad before (Singham and Schruben 2012, Finite-sample performance of absolute
precision stopping rules). Three things keep the coverage here: intervals of few but honest degrees of freedom, a least
number of blocks, and that one narrow look is not enough: the interval has to have stayed narrow while the window grew
(PATIENCE says by how much, and how many blocks are the least). benchmarks/interval_coverage.py and start_coverage.py
say what that gives, and what stopping at the first narrow look would.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from joulebench.analysis import intervals
from joulebench.records.models import Start


@dataclass(frozen=True)
class Patience:
    """How long a rule waits before it believes a narrow interval."""

    blocks: int
    seconds: float
    """Whichever of the two comes first, and 3 blocks at least: batches may be long, and few are then enough."""
    growth: float
    """The interval has to have stayed narrow while the window grew so many times as long."""


PATIENCE: dict[Start, Patience] = {"cold": Patience(15, 15.0, 1.5), "equilibrium": Patience(13, 13.0, 1.25)}
"""By the start of the point: behind a cold one the requests still change what they are for a while."""

LOOKS = 6
"""The interval is looked at so often while the window grew, the last time included."""


@dataclass(frozen=True)
class Stopping:
    """Stop once the interval of energy per output is known to +- `half_width` of the figure (a share, 0.02 for 2 %)."""

    half_width: float
    confidence: float
    min_seconds: float
    start: Start = "cold"

    def enough(
        self,
        block_s: ArrayLike,
        energy_j: ArrayLike,
        output_tokens: ArrayLike,
        prompt_tokens: ArrayLike | None = None,
        prompt_per_output: float | None = None,
        turnovers: ArrayLike | None = None,
    ) -> bool:
        """Whether the blocks of the stationary window so far are enough; may be asked as often as wanted.

        One value a block, in the order of time: its seconds, J, output tokens and prompt tokens. With the prompts and
        their ratio to the outputs in the sample, it is the adjusted energy that has to be known; `turnovers`, the
        block's finished requests over those that fill the batch, then make its interval what the point's will be.
        Diffusion has one block a batch, with its outputs as the amounts.
        """
        seconds = np.asarray(block_s, dtype=float)
        energy, outputs = np.asarray(energy_j, dtype=float), np.asarray(output_tokens, dtype=float)
        count, passed = energy.size, float(seconds.sum())
        if count < intervals.FEWEST_BLOCKS or passed < self.min_seconds:
            return False
        patience = PATIENCE[self.start]
        if count < patience.blocks and passed < patience.seconds:
            return False
        prompts = None if prompt_tokens is None else np.asarray(prompt_tokens, dtype=float)
        turned = np.full(count, np.inf) if turnovers is None else np.cumsum(np.asarray(turnovers, dtype=float))

        def narrow(blocks: int) -> bool:
            if prompts is None or prompt_per_output is None:
                known = intervals.ratio(energy[:blocks], outputs[:blocks], self.confidence)
            else:
                known = intervals.adjusted(
                    energy[:blocks],
                    outputs[:blocks],
                    prompts[:blocks],
                    prompt_per_output,
                    self.confidence,
                    float(turned[blocks - 1]),
                ).per_output_token
            return known.half_width <= self.half_width * known.value

        first = max(intervals.FEWEST_BLOCKS, int(np.ceil(count / patience.growth)))
        return all(narrow(blocks) for blocks in sorted({*np.linspace(first, count, LOOKS).astype(int)}, reverse=True))
