"""A start in equilibrium: the requests that a closed loop is found with when it is looked at late.

A closed loop that begins with whole requests has young contexts first, and every token cheap, until they are gone: a
turnover and more. Renewal theory (Cox, Renewal Theory, 1962, chapter 5) says what a place of it holds when it is looked
at late: a request drawn in proportion to its length L, its age uniform in [0, L). So it begins there. For each place a
request of the sample is found in the middle of its answer: the first `age` tokens stand behind its prompt, and L - age
are asked for. From then on each place goes through the sample as it would have without end.

That holds once all places have begun (`Opening`). Where many begun answers end before the last one begins, as with long
prompts and short answers, or where memory holds fewer than B, the places are not what the theory says: there one
turnover is waited for, as after a cold start.

The places are drawn by systematic sampling (Cochran, Sampling Techniques, 1977, chapter 8): one offset, then equal
steps along the sample's lengths laid end to end, each of which falls on a request and an age at once. So the mean
context is off by less than 1 % at B = 1,024, where independent draws leave it off by 3 %.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from joulebench.config.sweeps import Sweep
from joulebench.engines.base import Prepared, TextEngine
from joulebench.errors import UserError

STREAM = 0x65717569
"""Keeps these draws apart from those of the serving order."""


def check(sweep: Sweep, prepared: Sequence[Prepared], whole_batches: bool) -> None:
    """Raises UserError where the config asks for a start in equilibrium that cannot be.

    It cannot where a model ends its answers by itself, so that no lengths are known, nor on an engine of whole batches,
    none of whose requests is ever found apart from its batch.
    """
    if sweep.start == "equilibrium" and (whole_batches or not all(one.answer for one in prepared)):
        raise UserError(
            "sweep.start is equilibrium, which takes answers of given lengths (output_length: reference or fixed) and "
            "an engine that serves request by request; set start: cold"
        )


def begun(engine: TextEngine, one: Prepared, age: int) -> Prepared:
    """`one`, `age` tokens into its answer: they stand behind its prompt, and the rest is asked for."""
    aged = engine.with_prompt(one, [*one.ids, *one.answer[:age]])
    return replace(aged, max_output_tokens=one.max_output_tokens - age)


def found(lengths: Sequence[int], batch: int, seed: int, repeat: int = 1) -> list[tuple[int, int]]:
    """(request, age in tokens) of each of `batch` places, in a seeded order; `lengths`: tokens of each answer."""
    generator = np.random.default_rng([seed, STREAM, batch, repeat])
    ends = np.cumsum(lengths)
    step = ends[-1] / batch
    at = np.minimum((generator.random() + np.arange(batch)) * step, ends[-1] - 1).astype(np.int64)
    request = np.searchsorted(ends, at, side="right")
    age = at - (ends[request] - np.asarray(lengths)[request])
    pairs = list(zip(request.tolist(), age.tolist(), strict=True))
    return [pairs[place] for place in generator.permutation(batch)]
