"""The load of one point of a text task: a closed loop that keeps B requests in flight."""

import time
from collections.abc import Sequence

from joulebench.analysis.windows import Opening
from joulebench.engines.base import Prepared, Step, TextEngine
from joulebench.measure.ends import text_end
from joulebench.measure.equilibrium import found
from joulebench.measure.load import Load, Progress, Request, Watch
from joulebench.measure.order import serving_order
from joulebench.meters.following import Following
from joulebench.records import Start
from joulebench.sweeps import Ending


def closed_loop(
    engine: TextEngine,
    prepared: Sequence[Prepared],
    load: Load,
    batch: int,
    protocol: Ending,
    seed: int,
    watch: Watch,
    repeat: int = 1,
    energy: Following | None = None,
    start: Start = "cold",
) -> None:
    """Keep `batch` requests in flight until the protocol says that the point has ended.

    fixed: until all its requests have finished. timed: so many seconds once the load is stationary. adaptive: from then
    on until `energy` per output token is known well enough. Both end after a batch, three after the turnover, where
    an engine serves whole ones; elsewhere what is in flight is aborted.
    Stationary it is after one turnover; with a `start` in equilibrium, as windows.Opening says.
    A request that fails ends the point, and `load.failure` says why. `watch` is called after each iteration.
    """
    end = text_end(protocol, prepared, batch, energy, engine.whole_batches)
    queue = serving_order(len(prepared), end.requests, seed, repeat)
    left, room, finished = end.requests, batch, 0
    outputs = prompts = 0
    over, opening = False, None
    if start == "equilibrium":
        opening = Opening(batch)
        lengths = [one.max_output_tokens for one in prepared]
        for request, age in found(lengths, batch, seed, repeat):
            _submit(engine, engine.begun(prepared[request], age), load, age)
        left, room = left - batch, 0
    while not over:
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
        outputs += step.output_tokens
        prompts += step.prompt_tokens
        if room == step.running or not engine.whole_batches:
            towards = opening.towards(step.running, step.first_tokens, room) if opening else finished / batch
            over = end.over(ended, finished, outputs, prompts, towards)
            outputs = prompts = 0
        watch(Progress(finished, ended - load.started, end.share))
    load.ended_by = end.ended_by
    for number, told in engine.abort().items():
        one = load.requests[number]
        one.admitted, one.first_output = told.admitted, told.first_output


def warm_up(engine: TextEngine, prepared: Sequence[Prepared], tokens: int = 8) -> None:
    """Serve one short answer outside every record, so that the first point does not pay for first calls."""
    one = prepared[0]
    engine.submit(0, Prepared(one.prompt, one.prompt_tokens, min(tokens, one.max_output_tokens), True))
    step = engine.step()
    while not (step.finished or step.failed):
        step = engine.step()
    engine.abort()


def _submit(engine: TextEngine, one: Prepared, load: Load, begun: int | None = None) -> None:
    asked = one.max_output_tokens if one.ignore_end else None
    load.requests.append(Request(one.prompt_tokens, time.monotonic(), asked, begun))
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
