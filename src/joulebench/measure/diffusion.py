"""The load of one point of a diffusion task: batches of B prompts, back to back."""

import time
from collections.abc import Sequence

from joulebench.config.sweeps import Sweep
from joulebench.engines.base import DiffusionEngine, Prepared
from joulebench.measure.load import Load, Progress, Request, Watch
from joulebench.measure.order import serving_order
from joulebench.measure.protocol import batches_end
from joulebench.meters.following import Following


def batches(
    engine: DiffusionEngine,
    prepared: Sequence[Prepared],
    load: Load,
    batch: int,
    sweep: Sweep,
    seed: int,
    watch: Watch,
    repeat: int = 1,
    energy: Following | None = None,
) -> None:
    """Run the warm-up batches, then whole batches until the protocol says that the point has ended.

    fixed: as many as its requests fill, rounded up. timed: until so many seconds have passed. adaptive: until `energy`
    per output is known well enough. Three at least.
    Every batch, a warm-up one too, takes the model's own number of denoising steps.
    """
    end = batches_end(sweep.protocol, batch, energy)
    queue = serving_order(len(prepared), 2**31, seed, repeat)
    for _ in range(sweep.warmup_batches):
        _one(engine, [prepared[next(queue)] for _ in range(batch)], load, warmup=True)
        watch(Progress(0, load.ended - load.started, end.share))
    finished = 0
    over = end.over(time.monotonic(), finished)
    while not over:
        _one(engine, [prepared[next(queue)] for _ in range(batch)], load, warmup=False)
        finished += batch
        over = end.over(load.ended, finished, batch)
        watch(Progress(finished, load.ended - load.started, end.share))
    load.ended_by = end.ended_by


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
