"""Text, with or without images in the prompts, on any server of OpenAI's API, by HTTP: network and server included.

A server does not show its iterations: a tick stands for one (server_ticks). `running` is what has been sent and has
not ended, less what the server's /metrics say is waiting; a request is admitted when it is sent, since nobody tells
when the server begins it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.checkpoints import chat
from joulebench.config.spec import RunSpec
from joulebench.engines import prompts, server_prompts, server_told
from joulebench.engines.base import Prepared, Step, Times, Watched
from joulebench.engines.prompts import encoder
from joulebench.engines.server_client import Client
from joulebench.engines.server_open import Api, opened
from joulebench.engines.server_settings import Filled
from joulebench.engines.server_settings import Settings as Settings
from joulebench.engines.server_settings import against as against
from joulebench.engines.server_start import Process
from joulebench.engines.server_stream import Ask
from joulebench.engines.server_ticks import Ticks, token_gaps_s
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS
from joulebench.records.models import EngineStart

log = logging.getLogger(__name__)

TASKS = ("llm-chat", "llm-code", "vlm-chat")
MOST_DEVICES = 8
QUANTIZATIONS = ("fp8", "bitsandbytes", "awq", "gptq")
ATTENTIONS: tuple[str, ...] = ()
PACKAGES = ("aiohttp", "transformers", "tokenizers")

METRICS_EVERY_S = 1.0
AT_ONCE = 8
"""Requests of `prepare` that are on their way together."""
LEAVE_S = 10.0
"""For so long a server may have requests whose connections are closed."""
LAST = -1
"""The request that follows aborted ones."""


class Engine:
    """A language model, with or without eyes, behind a server. See engines.base.TextEngine."""

    whole_batches = False

    def __init__(self, spec: RunSpec, settings: Settings, folder: Path) -> None:
        """Raises UserError where no server is there in time, or it cannot be asked as the run needs it."""
        self._spec, self._settings = spec, settings
        self._key = settings.key()
        self._tokenizer = chat.load_tokenizer(folder, spec.trust_remote_code)
        if spec.task in IMAGE_TASKS:
            chat.take_template(self._tokenizer, folder, sees=True)
        self._process: Process | None = None
        self._client: Client | None = None
        self._open: dict[int, Ask] = {}
        self._shortest: Prepared | None = None
        self._owed = self._submitted = self._in_flight = self._in_engine = 0
        self._failed = False
        self._ticks = Ticks()
        self._metrics: server_told.Metrics | None = None
        try:
            if settings.command is not None:
                self._process = Process(settings.command, Filled.of(spec, folder)._asdict(), self._key)
            address = self._process.address if self._process else settings.address()
            self._client = Client(address, settings.path, self._key, self._tokenizer, settings.stall_s)
            self._api: Api = opened(spec, settings, folder, self._client, self._process, self._tokenizer)
            self._cached_before = self._look()
            self._preempted_before = (self._metrics.preempted or 0) if self._metrics else 0
            self._client.start(self._watch())
        except BaseException:
            self.close()
            raise
        self.longest = self._api.longest
        self.start = EngineStart(server=self._api.told)

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """A prompt with an image is sent once for one token: the server alone knows how many tokens it has."""
        assert self._spec.output_length is not None
        encode, made = encoder(self._tokenizer, self._spec.prompt_form == "chat"), []
        sees = self._spec.task in IMAGE_TASKS
        for request, prompt, reference, image in table.select("request", "prompt", "reference", "image").iter_rows():
            ids = self._seen(prompt) if sees else encode(prompt)
            one = prompts.prepared(
                self._content(request, prompt, ids, image), ids, self._spec.output_length, reference, self._tokenizer
            )
            made.append(one)
        if sees:
            made = self._counted(made)
        self._shortest = min(made, key=lambda one: one.prompt_tokens or 0)
        return made

    def _content(self, request: int, prompt: str, ids: Sequence[int], image: bytes | None) -> dict[str, Any]:
        if self._spec.task in IMAGE_TASKS:
            return server_prompts.turn_with_image(request, prompt, image)
        if self._settings.endpoint == "chat":
            return server_prompts.turn(prompt)
        return server_prompts.as_text(self._tokenizer, ids) if self._api.takes_text else {"prompt": list(ids)}

    def _seen(self, prompt: str) -> list[int]:
        text = chat.rendered(self._tokenizer, chat.with_image(prompt), tokenize=False)
        return list(self._tokenizer(text).input_ids)

    def _counted(self, made: list[Prepared]) -> list[Prepared]:
        """With the prompt tokens that the server counts."""
        counted: dict[int, int] = {}
        left = list(enumerate(made))
        while left or self._open:
            while left and len(self._open) < AT_ONCE:
                place, one = left.pop(0)
                self.submit(place, replace(one, prompt_tokens=None, max_output_tokens=1, ignore_end=True))
            asks = dict(self._open)
            step = self.step()
            if step.failed:
                raise UserError(next(iter(step.failed.values())))
            for place in step.finished:
                tokens = asks[place].told_prompt_tokens
                if tokens is None:
                    raise UserError("the server tells no prompt_tokens in its usage; serve with one that does")
                counted[place] = tokens
        return [replace(one, prompt_tokens=counted[place]) for place, one in enumerate(made)]

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        """Raises UserError where prompts are not token ids."""
        if self._settings.endpoint == "chat" or self._api.takes_text:
            raise UserError(
                "the server takes no token ids, which a start in equilibrium and input_tokens need; set start: cold "
                "and leave input_tokens out, or take a server whose /v1/completions does"
            )
        return prompts.with_prompt(prepared, {"prompt": list(ids)}, ids)

    def text(self, ids: Sequence[int]) -> str:
        """See engines.base.TextEngine."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def watched(self) -> Watched:
        """What has been seen of the server and of its client so far."""
        assert self._client is not None
        return Watched(self._client.busy_s(), self._in_flight, self._in_engine)

    def submit(self, request: int, prepared: Prepared) -> None:
        assert self._client is not None
        self._submitted += 1
        body = self._api.body(prepared, self._spec.stop, self._submitted)
        exact = prepared.ignore_end and self._settings.ignore_eos != "none"
        ask = Ask(
            request,
            json.dumps(body).encode(),
            self._api.model,
            prepared.max_output_tokens,
            exact,
            prepared.prompt_tokens,
        )
        self._open[request] = ask
        self._client.submit(ask)

    def step(self) -> Step:
        """Wait for the next tick. Raises UserError where the server's cache of prefixes has served tokens."""
        assert self._client is not None
        running = len(self._open)
        waiting = min(self._metrics.waiting or 0, running) if self._metrics else 0
        step = Step(running=running - waiting, waiting=waiting, preempted=self._preempted())
        step.kv_cache_usage = self._metrics.usage if self._metrics else None
        came = self._ticks.next(self._client.arrivals, self._settings.stall_s + LEAVE_S)
        tick = [one for one in came if self._open.get(one.ask.request) is one.ask]
        step.token_gaps_s = token_gaps_s(tick)
        for one in tick:
            ask = one.ask
            step.output_tokens += one.tokens
            if one.is_first:
                step.first_tokens += 1
                step.prompt_tokens += ask.prompt_tokens or 0
            if one.ended:
                self._end(ask, step)
        ended = len(step.finished) + len(step.failed)
        if step.running < ended:
            step.running, step.waiting = ended, running - ended
        self._repay(step)
        self._require_uncached()
        return step

    def _preempted(self) -> int:
        """Requests that were thrown out since the last step, as far as the metrics say."""
        found = self._metrics.preempted if self._metrics else None
        new = max(0, (found or 0) - self._preempted_before)
        self._preempted_before = max(found or 0, self._preempted_before)
        return new

    def _end(self, ask: Ask, step: Step) -> None:
        del self._open[ask.request]
        if ask.cached:
            ask.why = f"the server's cache of prefixes served {ask.cached} tokens; it has to be off: {server_told.OFF}"
        if ask.why is not None:
            ended = self._process.ended() if self._process else None
            step.failed[ask.request] = f"{ask.why}; the server {ended}" if ended else ask.why
            self._failed = True
            return
        step.finished[ask.request] = ask.tokens
        step.answers[ask.request] = ask.ids or self._tokenizer("".join(ask.text), add_special_tokens=False).input_ids
        step.times[ask.request] = Times(ask.sent, ask.first, ask.last)

    def _repay(self, step: Step) -> None:
        """Tokens that were counted of a text, and are not in the server's usage, are taken off the next that come.

        Their gaps stay: nobody knows which of them were none.
        """
        found = step.output_tokens - self._owed
        step.output_tokens = max(found, step.first_tokens)
        self._owed = step.output_tokens - found
        if self._owed and not self._open and not step.failed and step.finished:
            request = next(iter(step.finished))
            del step.finished[request]
            step.failed[request] = (
                f"the server's usage has {self._owed} tokens fewer than its text by the checkpoint's tokenizer; take a "
                "server that tells token_ids or usage in each chunk"
            )

    async def _watch(self) -> None:
        """Look at the metrics once a second while requests are on their way."""
        assert self._client is not None
        while self._api.told.metrics is not None:
            await asyncio.sleep(METRICS_EVERY_S)
            if in_flight := len(self._open):
                status, content, _ = await self._client.look("/metrics")
                if status != 200:
                    continue
                self._metrics = server_told.metrics(content)
                if self._metrics is not None:
                    self._in_flight += in_flight
                    self._in_engine += min(in_flight, (self._metrics.running or 0) + (self._metrics.waiting or 0))

    def _look(self) -> float | None:
        """Tokens that the server's cache has served so far; None where it does not say."""
        assert self._client is not None
        if self._api.told.metrics is None:
            return None
        status, content, _ = self._client.get("/metrics")
        self._metrics = server_told.metrics(content) if status == 200 else None
        return None if self._metrics is None else self._metrics.cached

    def _require_uncached(self) -> None:
        found = self._metrics.cached if self._metrics else None
        if found is not None and found > (self._cached_before or 0.0):
            raise UserError(
                f"the server's cache of prefixes served tokens (/metrics); it has to be off: {server_told.OFF}"
            )

    def abort(self) -> dict[int, Times]:
        """Raises UserError where the server goes on with what nobody waits for any more, or its cache served tokens."""
        assert self._client is not None
        dropped = {request: Times(ask.sent, ask.first, None) for request, ask in self._open.items()}
        self._open.clear()
        self._owed = 0
        self._client.abort()
        if self._failed:
            self._failed = False
            return dropped
        if dropped and self._shortest is not None:
            self._let_drop(self._shortest)
        self._look()
        self._require_uncached()
        return dropped

    def _let_drop(self, one: Prepared) -> None:
        """One token of one request comes back after all that was begun before; then the metrics say who is left."""
        give_up_s = time.monotonic() + LEAVE_S
        while True:
            self.submit(LAST, replace(one, prompt_tokens=None, max_output_tokens=1, ignore_end=True))
            while self._open:
                if failed := self.step().failed:
                    raise UserError(failed[LAST])
            self._look()
            if self._metrics is None or (self._metrics.running or 0) + (self._metrics.waiting or 0) <= 1:
                return
            if time.monotonic() > give_up_s:
                raise UserError(
                    f"the server goes on with requests whose connections are closed, {LEAVE_S:g} s later; take load: "
                    "at-once or protocol: fixed, whose requests all end"
                )
            time.sleep(0.2)

    def close(self) -> None:
        """End the server where the run started it. Safe to call twice."""
        client, process = self._client, self._process
        self._client = self._process = None
        if client is not None:
            client.close()
        if process is not None:
            process.close()
