"""The load of one point of a text task: one loop for all of joulebench.loads."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any

import polars as pl

from joulebench.config.spec import RunSpec
from joulebench.engines.base import Prepared, Step, TextEngine, Watched
from joulebench.engines.prompts import of_length
from joulebench.errors import UserError
from joulebench.loads import LOADS
from joulebench.loads.base import Arrivals
from joulebench.loads.closed_loop import Opening
from joulebench.loads.setting import Setting
from joulebench.measure.equilibrium import begun, check, found
from joulebench.measure.protocol import text_end
from joulebench.measure.serving import Load, Progress, Request, Serving, Watch, sample_tokens, serving_order

IDLE_S = 0.25
"""So long at most does the loop sleep before it lets its watchers look."""


class TextServer:
    """See serving.Server. Raises UserError for a start in equilibrium that cannot be."""

    def __init__(self, spec: RunSpec, engine: TextEngine, prepared: Sequence[Prepared]) -> None:
        check(spec.sweep, prepared, engine.whole_batches)
        self._settings, self._engine, self._prepared = spec.sweep.settings, engine, prepared
        self._watched: Callable[[], Watched] | None = getattr(engine, "watched", None)
        """Of the engine that asks a server."""
        self._of_server: dict[str, float | None] = {}

    def make_ready(self) -> None:
        for setting in self._settings:  # what cannot be held is told before anything is measured
            self.prepared(setting)
        warm_up(self._engine, self._prepared)

    def prepared(self, setting: Setting) -> Sequence[Prepared]:
        return of_setting(self._engine, self._prepared, setting)

    def serve(self, what: Serving, load: Load, watch: Watch) -> None:
        self._of_server, before = {}, self._watched() if self._watched else None
        serve(self._engine, what, load, watch)
        if self._watched and before and load.ended > load.started:
            now = self._watched()
            seen, in_engine = now.in_flight - before.in_flight, now.in_engine - before.in_engine
            self._of_server = {
                "client_busy_share": (now.busy_s - before.busy_s) / (load.ended - load.started),
                "outside_engine_share": 1 - in_engine / seen if seen else None,
            }

    def overloaded(self, what: Serving, requests: pl.DataFrame, iterations: pl.DataFrame) -> str | None:
        batch = what.setting.max_batch_size
        begun = batch if what.start == "equilibrium" else 0
        return LOADS[what.setting.load].overloaded(iterations, requests, batch, begun)

    def facts(self, what: Serving) -> dict[str, Any]:
        return {
            "setting": what.setting,
            "start": what.start,
            "sample_tokens": sample_tokens(what.prepared),
            **self._of_server,
        }


def serve(engine: TextEngine, what: Serving, load: Load, watch: Watch) -> None:
    """Submit requests as the setting's load has them arrive, at most its B of them in flight, until the point ends.

    A load that counts its requests ends with the last answer. Else the protocol says when: fixed: when all its requests
    have finished. timed: so many seconds once the load is stationary. adaptive: from then on until the energy per
    output token is known well enough. Both end after a batch, three after the turnover, where an engine serves whole
    ones; elsewhere what is in flight is aborted. Stationary it is after one turnover; with a start in equilibrium, as
    closed_loop.Opening says.
    With `what.whole_sample` none ends before each of the sample's requests has been answered once, unless it serves
    fewer requests than the sample has.
    A request that fails ends the point, and `load.failure` says why. `watch` is called after each iteration.
    Where nothing is in flight and nothing is due the loop sleeps, and records that as an iteration that ran nothing.
    """
    prepared, batch = what.prepared, what.setting.max_batch_size
    end = text_end(what, engine.whole_batches)
    queue = serving_order(len(prepared), end.requests, what.seed, what.repeat)
    wanted, finished, in_engine = end.requests, 0, 0
    outputs = prompts = 0
    ends, over, opening = False, False, None
    unanswered = set(range(len(prepared))) if what.whole_sample and end.requests >= len(prepared) else set()
    if what.start == "equilibrium":
        opening = Opening(batch)
        lengths = [one.max_output_tokens for one in prepared]
        for request, age in found(lengths, batch, what.seed, what.repeat):
            aged = begun(engine, prepared[request], age)
            engine.submit(_submitted(load, aged, time.monotonic(), age), aged)
        wanted, in_engine = wanted - batch, batch
    arrivals = LOADS[what.setting.load].arrivals(what.setting, wanted, what.seed, what.repeat)
    held: deque[tuple[int, Prepared]] = deque()
    while not over:
        now_s = time.monotonic() - load.started
        for due_s in arrivals.due(now_s, batch - in_engine - len(held)):
            one = prepared[next(queue)]
            held.append((_submitted(load, one, load.started + due_s), one))
        while held and in_engine < batch:
            engine.submit(*held.popleft())
            in_engine += 1
        if in_engine == 0:
            _idle(load, arrivals, watch, Progress(finished, now_s, end.share))
            continue
        began = time.monotonic()
        step = engine.step()
        ended = time.monotonic()
        _record(load, step, began, ended, len(held) + arrivals.waiting)
        if load.failure is not None:
            break
        ending = len(step.finished)
        in_engine -= ending
        finished += ending
        outputs += step.output_tokens
        prompts += step.prompt_tokens
        unanswered.difference_update(step.finished)
        if ending == step.running or not engine.whole_batches:
            towards = opening.towards(step.running, step.first_tokens, ending) if opening else finished / batch
            ends = end.over(ended, finished, outputs, prompts, towards)
            over = ends and not unanswered
            outputs = prompts = 0
        answered = len(prepared) - len(unanswered) if ends and unanswered else None
        watch(Progress(finished, ended - load.started, end.share, answered, len(prepared)))
    load.ended_by = end.ended_by
    for number, told in engine.abort().items():
        dropped = load.requests[number]
        dropped.admitted, dropped.first_output = told.admitted, told.first_output


def _idle(load: Load, arrivals: Arrivals, watch: Watch, progress: Progress) -> None:
    next_s = arrivals.next_s()
    if next_s is None:
        raise RuntimeError("nothing is in flight, and nothing will be")
    while (left_s := load.started + next_s - time.monotonic()) > 0:
        time.sleep(min(left_s, IDLE_S))
        watch(progress)
    load.iterations.append((time.monotonic(), 0, 0, 0, 0, 0, 0, 0, None, None))


def warm_up(engine: TextEngine, prepared: Sequence[Prepared], tokens: int = 8) -> None:
    """Serve one short answer outside every record, so that the first point does not pay for first calls."""
    one = prepared[0]
    engine.submit(0, Prepared(one.prompt, one.prompt_tokens, min(tokens, one.max_output_tokens), True))
    step = engine.step()
    while not (step.finished or step.failed):
        step = engine.step()
    engine.abort()


def _submitted(load: Load, one: Prepared, at: float, begun: int | None = None) -> int:
    """The number of a request that was submitted at the monotonic second `at`."""
    asked = one.max_output_tokens if one.ignore_end else None
    made = Request(prompt_tokens=one.prompt_tokens, submitted=at, asked_output_tokens=asked, begun_output_tokens=begun)
    load.requests.append(made)
    return len(load.requests) - 1


def _record(load: Load, step: Step, began: float, ended: float, waiting: int) -> None:
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
            step.waiting + waiting,
            step.prompt_tokens,
            step.output_tokens,
            step.first_tokens,
            len(step.finished),
            step.preempted,
            step.kv_cache_usage,
            step.token_gaps_s,
        )
    )


def of_setting(engine: TextEngine, prepared: Sequence[Prepared], setting: Setting) -> Sequence[Prepared]:
    """`prepared` with the lengths that a point stands for, where it names any.

    A prompt is cut, or joined with those that follow it in the sample, to have `input_tokens`; an answer is made to
    have `output_tokens`, the end of sequence being ignored. Raises UserError where the engine cannot hold both.
    """
    if setting.input_tokens is not None:
        prepared = [
            engine.with_prompt(one, _joined(prepared, place, setting.input_tokens))
            for place, one in enumerate(prepared)
        ]
    if setting.output_tokens is not None:
        length = setting.output_tokens
        prepared = [
            replace(one, max_output_tokens=length, ignore_end=True, answer=of_length(one.answer or one.ids, length))
            for one in prepared
        ]
    if (setting.input_tokens or setting.output_tokens) and engine.longest is not None:
        most = max((one.prompt_tokens or 0) + one.max_output_tokens for one in prepared)
        if most > engine.longest:
            raise UserError(
                f"{setting.label}: a prompt and its answer of {most} tokens, the engine holds {engine.longest}; take "
                "fewer input_tokens or output_tokens, or raise the engine's limit in engines.*.settings"
            )
    return prepared


def _joined(prepared: Sequence[Prepared], place: int, tokens: int) -> list[int]:
    """So many token ids: of the prompt at `place`, then of those after it, from the first again after the last."""
    following = (prepared[at % len(prepared)].ids for at in count(place))
    return list(islice(chain.from_iterable(following), tokens))
