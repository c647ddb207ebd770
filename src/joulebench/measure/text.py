"""The load of one point of a text task: a closed loop that keeps B requests in flight."""

import time
from collections.abc import Sequence

from joulebench.config import Fixed, Timed
from joulebench.engines.base import Prepared, Step, TextEngine
from joulebench.measure.load import Load, Progress, Request, Watch
from joulebench.measure.order import serving_order

ENDLESS = 1_000_000
"""Requests that a timed point may ask for: its queue is never empty."""


def closed_loop(
    engine: TextEngine,
    prepared: Sequence[Prepared],
    load: Load,
    batch: int,
    protocol: Fixed | Timed,
    seed: int,
    watch: Watch,
) -> None:
    """Keep `batch` requests in flight until the protocol says that the point has ended.

    fixed: until all its requests have finished. timed: one turnover, then so many seconds (and the rest of its batch,
    where an engine serves whole batches); what is in flight then is aborted.
    A request that fails ends the point, and `load.failure` says why. `watch` is called after each iteration.
    """
    total = protocol.requests if isinstance(protocol, Fixed) else ENDLESS
    queue = serving_order(len(prepared), total, seed)
    left = total
    finished = 0
    turned_over: float | None = None
    room = batch
    while finished < total:
        for _ in range(min(room, left)):
            _submit(engine, prepared[next(queue)], load)
            left -= 1
        began = time.monotonic()
        step = engine.step()
        ended = time.monotonic()
        _record(load, step, began, ended, left)
        if load.failure is not None:
            break
        room = len(step.finished)
        finished += room
        if turned_over is None and finished >= batch:
            turned_over = ended
        between = room == step.running or not engine.whole_batches
        timed_out = turned_over is not None and isinstance(protocol, Timed) and ended - turned_over >= protocol.seconds
        if timed_out and between:
            break
        watch(
            Progress(finished, ended - load.started, _share(protocol, finished / batch, finished, turned_over, ended))
        )
    engine.abort()


def warm_up(engine: TextEngine, prepared: Sequence[Prepared], tokens: int = 8) -> None:
    """Serve one short answer outside every record, so that the first point does not pay for first calls."""
    one = prepared[0]
    engine.submit(0, Prepared(one.prompt, one.prompt_tokens, min(tokens, one.max_output_tokens), True))
    step = engine.step()
    while not (step.finished or step.failed):
        step = engine.step()
    engine.abort()


def _submit(engine: TextEngine, one: Prepared, load: Load) -> None:
    asked = one.max_output_tokens if one.ignore_end else None
    load.requests.append(Request(one.prompt_tokens, time.monotonic(), asked))
    engine.submit(len(load.requests) - 1, one)


def _record(load: Load, step: Step, began: float, ended: float, left: int) -> None:
    for number in step.admitted:
        if load.requests[number].admitted is None:
            load.requests[number].admitted = began
    for number in step.first_output:
        load.requests[number].first_output = ended
    for number, tokens in step.finished.items():
        one = load.requests[number]
        one.output_tokens, one.finished, one.status = tokens, ended, "finished"
        if number in step.times:
            told = step.times[number]
            one.admitted, one.first_output, one.finished = told.admitted, told.first_output, told.finished
    for number, reason in step.failed.items():
        load.requests[number].status = "failed"
        load.failure = f"request {number} failed: {reason}"
    load.iterations.append(
        (
            ended,
            step.running,
            step.waiting + left,
            step.prompt_tokens,
            step.output_tokens,
            step.first_tokens,
            len(step.finished),
            step.preempted,
            step.kv_cache_usage,
        )
    )


def _share(protocol: Fixed | Timed, turnover: float, finished: int, turned_over: float | None, now: float) -> float:
    """How much of the point is done, 0 to 1; a timed point's turnover counts as its first fifth."""
    if isinstance(protocol, Fixed):
        return finished / protocol.requests
    if turned_over is None:
        return 0.2 * min(1.0, turnover)
    return 0.2 + 0.8 * min(1.0, (now - turned_over) / protocol.seconds)
