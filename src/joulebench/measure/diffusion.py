"""The load of one point of a diffusion task: batches of B prompts, back to back."""

import math
import time
from collections.abc import Sequence

from joulebench.config import Fixed, Sweep
from joulebench.engines.base import DiffusionEngine, Prepared
from joulebench.measure.load import Load, Progress, Request, Watch
from joulebench.measure.order import serving_order

FEWEST = 2
"""Batches that a window holds at least."""


def batches(
    engine: DiffusionEngine,
    prepared: Sequence[Prepared],
    load: Load,
    batch: int,
    sweep: Sweep,
    seed: int,
    watch: Watch,
) -> None:
    """Run the warm-up batches, then whole batches until the protocol says that the point has ended.

    fixed: as many as its requests fill, rounded up. timed: until so many seconds have passed. At least two.
    Every batch, a warm-up one too, takes the model's own number of denoising steps.
    """
    protocol = sweep.protocol
    queue = serving_order(len(prepared), 2**31, seed)
    done = -sweep.warmup_batches
    opened = time.monotonic()
    while True:
        if done == 0:
            opened = time.monotonic()
        _one(engine, [prepared[next(queue)] for _ in range(batch)], load, warmup=done < 0)
        done += 1
        passed = load.ended - opened if done > 0 else 0.0
        if isinstance(protocol, Fixed):
            share = max(done, 0) / max(FEWEST, math.ceil(protocol.requests / batch))
        else:
            share = min(passed / protocol.seconds, done / FEWEST)
        watch(Progress(max(done, 0) * batch, load.ended - load.started, max(0.0, min(share, 1.0))))
        if share >= 1.0:
            return


def _one(engine: DiffusionEngine, batch: Sequence[Prepared], load: Load, warmup: bool) -> None:
    began = time.monotonic()
    rows = [Request(None, submitted=began, admitted=began) for _ in batch]
    load.requests += rows
    steps = engine.generate(batch)
    ended = time.monotonic()
    for row in rows:
        row.first_output = row.finished = ended
        row.status = "finished"
    load.iterations.append((began, ended, len(batch), steps, warmup))
