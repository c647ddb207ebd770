"""Made-up recordings whose true energy per token is known: a closed loop of B requests on something like an H100.

Requests have log-normal lengths; 500 of them are drawn anew for each run and repeated in a seeded order, as
`measure.serving` does. A step gives a token to each running request and prefills up to 8,192 prompt tokens of those
that came in; it draws

    base + per_token x output tokens + per_context x context tokens + per_prompt x prompt tokens     (J)

times a noise, and lasts as long as its work takes or, where that is more, as its energy takes at the power limit. The
counter moves every 100 ms, at a phase of its own, and is polled every 20 ms. With a cold start all requests begin at
once, so that the contexts are young at first; with one in equilibrium the first B are begun in the middle, as
joulebench.measure.equilibrium finds them.

How well it fits, by seconds of the stationary windows of three 8B models' llm-chat sweeps on an H100 (Llama 3.1,
Mistral, Qwen3; B = 8 to 512) and of as many simulated ones; standard deviations are shares of the mean:

    energy less the mean energy of its tokens        1.5 to 4.4 %       simulated 1.5 to 3.1 %
    the same, less what the prompts explain          0.7 to 1.5 %                 0.9 to 1.1 %
        its correlation with the next second         0.19 on average              0.19
        with the second after                        0.06                         0.04
    output tokens                                    1.0 to 4.9 %                 0.8 to 3.3 %
    prompt tokens, B = 8 and 512                     97, 22 %                     79, 18 %
        their correlation with the next second       -0.25                        -0.10
    J a prompt token, by regression                  0.011 to 0.018               0.015 to 0.017
    first turnover at B = 256, 512                   6.5, 11.2 s                  6.3, 11.1 s
    queue window against the stationary, the same    -2.1, -3.6 %                 -1.8, -2.8 %

The real three serve one and the same order of prompts, so that theirs is one draw, not three. gemma-2-2b's seconds are
twice as uneven as simulated; at B = 8 the real rest is alike over longer (0.45 with the next second, 0.26 with the
third): interval_coverage.py has rows of a noise twice as slow.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from served import H100, Ints, Lengths, Server

from joulebench.measure.equilibrium import found
from joulebench.measure.serving import serving_order

Floats = NDArray[np.float64]


TICK_S = 0.1
POLL_S = 0.02


@dataclass(frozen=True)
class Blocks:
    """What consecutive stretches of a window held."""

    s: Floats
    energy_j: Floats
    output_tokens: Floats
    prompt_tokens: Floats
    turnovers: Floats
    """Finished requests over the batch size."""


@dataclass(frozen=True)
class Recording:
    """One point: its steps in the order of time, and the counter's updates as they were polled."""

    batch: int
    lengths: Lengths
    end_s: Floats
    prompt_tokens: Floats
    output_tokens: Floats
    finished: Ints
    filled_s: float
    opened_s: float
    """When the requests that filled the batch first had all got their first token."""
    update_s: Floats
    update_j: Floats
    true_j: float = field(default=float("nan"))
    """Energy per output token of the long run."""

    @cached_property
    def turned_s(self) -> float:
        """When as many requests had finished as fill the batch."""
        return float(self.end_s[np.searchsorted(np.cumsum(self.finished), self.batch)])

    def blocks(self, start_s: float, seconds: float, block_s: float = 1.0) -> Blocks:
        """From the step that ended at `start_s` to the first `seconds` later, cut as `windows.blocks` cuts."""
        edges = start_s + block_s * np.arange(int(seconds / block_s) + 1)
        steps = np.searchsorted(self.end_s, edges, side="right") - 1
        steps[-1] = np.searchsorted(self.end_s, start_s + seconds)
        at = self.end_s[steps]
        counter = np.interp(at, self.update_s, self.update_j)
        outputs, prompts = np.cumsum(self.output_tokens)[steps], np.cumsum(self.prompt_tokens)[steps]
        ended = np.cumsum(self.finished)[steps]
        return Blocks(np.diff(at), np.diff(counter), np.diff(outputs), np.diff(prompts), np.diff(ended) / self.batch)


def simulate(
    batch: int,
    seconds: float,
    runs: int,
    seed: int,
    server: Server = H100,
    requests: int = 500,
    pool: Lengths | None = None,
    order_seed: int | None = None,
    equilibrium: bool = False,
) -> list[Recording]:
    """So many runs, each with requests of its own, of at least `seconds` after one turnover.

    The requests are drawn from `pool`, if there is one, instead of the log-normal distributions. With `order_seed` they
    are the pool itself, in the order in which a run of that seed serves them, so that the noise alone differs.
    """
    rng = np.random.default_rng([seed, batch])
    if pool is None:
        lengths = [Lengths.draw(rng, requests) for _ in range(runs)]
    else:
        lengths = [pool if order_seed is not None else pool.drawn_from(rng, requests) for _ in range(runs)]
    step_s = _least_step_s(batch, server)
    steps = int(1.05 * seconds / step_s) + 1200
    begun = [_begun(sampled, batch, rng) for sampled in lengths] if equilibrium else []
    prompts, outputs, finished, context, filled, opened = _serve(lengths, batch, steps, rng, server, order_seed, begun)
    made = []
    for run, sampled in enumerate(lengths):
        plain = (
            server.base_j
            + server.per_token_j * outputs[run]
            + server.per_context_j * context[run]
            + server.per_prompt_j * prompts[run]
        )
        work_s = (
            server.base_s
            + server.per_token_s * outputs[run]
            + server.per_context_s * context[run]
            + server.per_prompt_s * prompts[run]
        )
        expected_s = np.cumsum(np.maximum(work_s, plain / server.power_limit_w))
        noise = _noise(rng, int(expected_s[-1] / TICK_S) + 1, server)
        drawn = plain * (1 + noise[(expected_s / TICK_S).astype(int)])
        end = np.cumsum(np.maximum(work_s, drawn / server.power_limit_w))
        polled, counted = _counter(rng, end, np.cumsum(drawn))
        true_j = sampled.energy_per_output_token_j(batch, server)
        made.append(
            Recording(
                batch,
                sampled,
                end,
                prompts[run],
                outputs[run],
                finished[run].astype(np.int64),
                float(end[filled[run]]),
                float(end[opened[run]]),
                polled,
                counted,
                true_j,
            )
        )
    return made


def _least_step_s(batch: int, server: Server) -> float:
    """No mean step is shorter."""
    energy = server.base_j + server.per_token_j * batch + server.per_context_j * 200 * batch
    work = server.base_s + server.per_token_s * batch + server.per_context_s * 200 * batch
    return max(work, energy / server.power_limit_w)


def _noise(rng: np.random.Generator, ticks: int, server: Server) -> Floats:
    """Of the power, one value for each 100 ms, as a share."""
    kept = np.exp(-TICK_S / server.slow_s)
    shocks = rng.normal(0, server.slow * np.sqrt(1 - kept**2), ticks)
    shocks[0] = rng.normal(0, server.slow)
    return np.asarray(lfilter([1.0], [1.0, -kept], shocks) + rng.normal(0, server.white, ticks))


def _counter(rng: np.random.Generator, end: Floats, drawn: Floats) -> tuple[Floats, Floats]:
    """When a poll first saw each of the counter's updates, and its value then."""
    updated = np.arange(rng.uniform(-TICK_S, 0), end[-1], TICK_S)
    phase = rng.uniform(0, POLL_S)
    polled = phase + POLL_S * np.ceil((updated - phase) / POLL_S)
    return polled, np.interp(updated, np.insert(end, 0, 0.0), np.insert(drawn, 0, 0.0))


def _serve(
    lengths: list[Lengths],
    batch: int,
    steps: int,
    rng: np.random.Generator,
    server: Server,
    order_seed: int | None,
    begun: list[Lengths],
) -> tuple[Floats, Floats, Floats, Floats, Ints, Ints]:
    """Who is served in which step, all runs at once: prompt tokens, output tokens, requests finished and context
    tokens, each (run, step), the first step in which each run's batch was full, and that in which the last of the
    requests that filled it got its first token. `begun`: by run, those that come before the sample.

    The calendar holds, for each step, the runs in which a request ends: the queue's next one then takes its place.
    """
    runs, sampled = len(lengths), lengths[0].outputs.size
    served = int(1.5 * batch * steps / min(one.outputs.mean() for one in lengths)) + 3 * batch + 2 * sampled
    order = _order(rng, runs, sampled, served, order_seed)
    rows = np.arange(runs)[:, None]
    prompt_queue = np.stack([one.prompts for one in lengths])[rows, order]
    output_queue = np.stack([one.outputs for one in lengths])[rows, order]
    if begun:
        prompt_queue = np.hstack([np.stack([one.prompts for one in begun]), prompt_queue])
        output_queue = np.hstack([np.stack([one.outputs for one in begun]), output_queue])
    following = np.zeros(runs, dtype=np.int64)
    free = np.zeros(runs, dtype=np.int64)  # prompt tokens laid out so far, counted from step 0 at a full budget each
    calendar: list[list[Ints]] = [[] for _ in range(steps + 1)]
    calendar[0].append(np.repeat(np.arange(runs), batch))
    opened: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    filled = np.zeros(runs, dtype=np.int64)
    started = filled
    for step, due in enumerate(calendar[:steps]):
        if not due:
            continue
        run = np.sort(np.concatenate(due))
        firsts = np.flatnonzero(np.diff(run, prepend=-1))
        counts = np.diff(firsts, append=run.size)
        rank = np.arange(run.size) - firsts.repeat(counts)
        place = following[run] + rank
        prompt, output = prompt_queue[run, place], output_queue[run, place]
        active = run[firsts]
        following[active] += counts
        earliest = (step + (server.gap if step else 0)) * server.budget
        begins = np.maximum(free[active], earliest)
        laid = np.cumsum(prompt)
        laid -= prompt
        start = laid + (begins - laid[firsts]).repeat(counts)
        stop = start + prompt
        free[active] = np.maximum.reduceat(stop, firsts)
        first = (stop - 1) // server.budget
        if step == 0:
            filled = np.asarray(start // server.budget)[np.append(firsts[1:], run.size) - 1]
            started = np.maximum.reduceat(first, firsts)
        opened.append((run, start, stop, first, output))
        done = first + output
        for ends in np.unique(done[done < steps]):
            calendar[int(ends)].append(run[done == ends])
    run, start, stop, first, output = (np.concatenate(part) for part in zip(*opened, strict=True))
    prompts, outputs, finished, context = _tallied(run, start, stop, first, output, runs, steps, server)
    return prompts, outputs, finished, context, filled, started


def _begun(sampled: Lengths, batch: int, rng: np.random.Generator) -> Lengths:
    """The requests of `sampled` that a start in equilibrium begins with, their first tokens behind their prompts."""
    places = np.array(found(sampled.outputs.tolist(), batch, int(rng.integers(2**31))))
    request, age = places[:, 0], places[:, 1]
    return Lengths(sampled.prompts[request] + age, sampled.outputs[request] - age)


def _order(rng: np.random.Generator, runs: int, sampled: int, served: int, seed: int | None) -> Ints:
    """Which request is served when, of `served` at least: (run, place)."""
    if seed is not None:
        return np.tile(np.fromiter(serving_order(sampled, served, seed), np.int64), (runs, 1))
    as_sampled = np.broadcast_to(np.arange(sampled), (runs, 1, sampled))
    turns = -(-served // sampled)
    again = [rng.permuted(as_sampled, axis=2) for _ in range(turns - 1)]
    return np.concatenate([as_sampled, *again], axis=1).reshape(runs, -1)


def _tallied(
    run: Ints, start: Ints, stop: Ints, first: Ints, output: Ints, runs: int, steps: int, server: Server
) -> tuple[Floats, Floats, Floats, Floats]:
    def spread(at: Ints, weight: Floats | Ints) -> Floats:
        kept = at < steps
        sums = np.bincount(run[kept] * steps + at[kept], np.broadcast_to(weight, at.shape)[kept], runs * steps)
        return np.asarray(sums, dtype=float).reshape(runs, steps)

    last = first + output - 1
    one = np.ones(run.size)
    before = start // server.budget
    whole = before == first
    early = np.where(whole, 0, (before + 1) * server.budget - start)
    prompts = spread(before, early) + spread(first, stop - start - early)
    outputs = np.cumsum(spread(first, one) - spread(last + 1, one), axis=1)
    finished = spread(last, one)
    decoding = np.cumsum(spread(first + 1, one) - spread(last + 1, one), axis=1)
    offset = (stop - start) - first
    grown = np.cumsum(spread(first + 1, offset) - spread(last + 1, offset), axis=1)
    return prompts, outputs, finished, grown + decoding * np.arange(steps)
