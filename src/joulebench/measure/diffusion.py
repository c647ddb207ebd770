"""The load of one point of a diffusion task: batches of B prompts, back to back."""

import time
from collections.abc import Sequence
from typing import Any

import polars as pl

from joulebench.config.spec import RunSpec
from joulebench.engines.base import DiffusionEngine, Prepared
from joulebench.loads.setting import Setting
from joulebench.measure.protocol import batches_end
from joulebench.measure.serving import Load, Progress, Request, Serving, Watch, serving_order


class DiffusionServer:
    def __init__(self, spec: RunSpec, engine: DiffusionEngine, prepared: Sequence[Prepared]) -> None:
        self._engine, self._prepared = engine, prepared

    def make_ready(self) -> None:
        """Each point has its own warm-up batches."""

    def prepared(self, setting: Setting) -> Sequence[Prepared]:
        return self._prepared

    def serve(self, what: Serving, load: Load, watch: Watch) -> None:
        batches(self._engine, what, load, watch)

    def overloaded(self, what: Serving, requests: pl.DataFrame, iterations: pl.DataFrame) -> None:
        """Its batches wait for nobody."""

    def facts(self, what: Serving) -> dict[str, Any]:
        return {"generation": self._engine.arguments}


def batches(engine: DiffusionEngine, what: Serving, load: Load, watch: Watch) -> None:
    """Run the warm-up batches, then whole batches until the protocol says that the point has ended.

    fixed: as many as its requests fill, rounded up. timed: until so many seconds have passed. adaptive: until the
    energy per output is known well enough. Three at least.
    Every batch, a warm-up one too, takes the model's own number of denoising steps.
    """
    batch, prepared = what.setting.max_batch_size, what.prepared
    end = batches_end(what)
    queue = serving_order(len(prepared), 2**31, what.seed, what.repeat)
    for _ in range(what.warmup_batches):
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
    rows = [Request(prompt_tokens=None, submitted=began, admitted=began) for _ in batch]
    load.requests += rows
    steps = engine.generate(batch)
    ended = time.monotonic()
    for row in rows:
        row.first_output = row.finished = ended
        row.status = "finished"
    load.iterations.append((began, ended, len(batch), steps, warmup))
