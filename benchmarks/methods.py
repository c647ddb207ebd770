"""What interval_coverage.py compares: figures with intervals, and when a window ends."""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit
from simulated import Blocks, Floats, Recording

from joulebench.analysis import intervals
from joulebench.analysis.intervals import Estimate
from joulebench.analysis.stopping import Stopping
from joulebench.records.models import Start

Figure = Callable[[Blocks, Recording], Estimate]
Stop = Callable[[Blocks, Recording], int]
"""How many of the blocks the window holds."""


def plain(blocks: Blocks, _: Recording) -> Estimate:
    return intervals.ratio(blocks.energy_j, blocks.output_tokens)


def adjusted(blocks: Blocks, run: Recording) -> Estimate:
    return intervals.adjusted(
        blocks.energy_j,
        blocks.output_tokens,
        blocks.prompt_tokens,
        run.lengths.prompt_per_output,
        turnovers=float(blocks.turnovers.sum()),
    ).per_output_token


def adjusted_by_length(blocks: Blocks, run: Recording) -> Estimate:
    """With as many waves as its blocks allow, however few turnovers they are."""
    return intervals.adjusted(
        blocks.energy_j, blocks.output_tokens, blocks.prompt_tokens, run.lengths.prompt_per_output
    ).per_output_token


def independent(blocks: Blocks, _: Recording) -> Estimate:
    """The plain ratio, with its blocks taken for independent."""
    value = blocks.energy_j.sum() / blocks.output_tokens.sum()
    return Estimate(value, _independent(blocks.energy_j - value * blocks.output_tokens, blocks))


def adjusted_independent(blocks: Blocks, run: Recording) -> Estimate:
    found = intervals.adjusted(
        blocks.energy_j, blocks.output_tokens, blocks.prompt_tokens, run.lengths.prompt_per_output
    )
    rest = blocks.energy_j - found.output_token.value * blocks.output_tokens
    rest = rest - found.prompt_token.value * blocks.prompt_tokens
    return Estimate(found.per_output_token.value, _independent(rest, blocks))


def _independent(rest: Floats, blocks: Blocks) -> float:
    count = rest.size
    return float(stdtrit(count - 1, 0.975) * np.sqrt(count * np.var(rest, ddof=1)) / blocks.output_tokens.sum())


def at_once(figure: Figure, wanted: float) -> Stop:
    """Stops at the first block, from the third (adjusted: eighth) on, at which the interval is narrow enough."""

    def stop(blocks: Blocks, run: Recording) -> int:
        for count in range(3, blocks.s.size):
            found = figure(first(blocks, count), run)
            if found.half_width <= wanted * found.value:
                return count
        return blocks.s.size

    return stop


def by_rule(use_prompts: bool, wanted: float, by_turnovers: bool = True, start: Start = "cold") -> Stop:
    rule = Stopping(wanted, 0.95, 10.0, start)

    def stop(blocks: Blocks, run: Recording) -> int:
        for count in range(3, blocks.s.size):
            got = first(blocks, count)
            prompts = (got.prompt_tokens, run.lengths.prompt_per_output) if use_prompts else (None, None)
            turnovers = got.turnovers if by_turnovers else None
            if rule.enough(got.s, got.energy_j, got.output_tokens, *prompts, turnovers):
                return count
        return blocks.s.size

    return stop


def first(blocks: Blocks, count: int) -> Blocks:
    return Blocks(**{name: part[:count] for name, part in vars(blocks).items()})


TIMED: dict[str, Figure] = {
    "plain": plain,
    "plain, independent blocks": independent,
    "adjusted": adjusted,
    "adjusted, independent blocks": adjusted_independent,
}
