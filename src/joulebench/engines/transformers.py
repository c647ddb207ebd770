"""Text on transformers' continuous batching, stepped by the caller instead of by its background thread.

The manager's thread would hide the iterations; its parts are called in the same order here, one iteration a call.
They are not public, so another version of transformers than the tried one is refused by name.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, PositiveInt

from joulebench.checkpoints.chat import load_tokenizer
from joulebench.config.spec import RunSpec
from joulebench.engines import prompts, weight_formats
from joulebench.engines.base import Prepared, Step, Times
from joulebench.engines.loading import language_model
from joulebench.engines.prompts import encoder, end_tokens, ends_in
from joulebench.errors import UserError

TASKS = ("llm-chat", "llm-code")
MOST_DEVICES = 1
QUANTIZATIONS = weight_formats.QUANTIZATIONS
ATTENTIONS = ("eager", "sdpa", "flash_attention_2")
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", *weight_formats.PACKAGES)
TRIED = "5.17"


class Settings(BaseModel):
    """The paged cache holds num_blocks x block_size tokens; an iteration takes max_batch_tokens at most."""

    model_config = ConfigDict(extra="forbid")
    block_size: PositiveInt = 16
    num_blocks: PositiveInt = 512
    max_batch_tokens: PositiveInt = 256
    threads: PositiveInt | None = None


def against(spec: RunSpec, settings: Settings) -> str | None:
    """See joulebench.engines."""
    return weight_formats.refused(spec)


class Engine:
    """A causal language model behind transformers' continuous batching. See engines.base.TextEngine."""

    whole_batches = False

    def __init__(self, spec: RunSpec, settings: Settings, folder: Path) -> None:
        import torch
        import transformers
        from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

        if not transformers.__version__.startswith(f"{TRIED}."):
            raise UserError(
                f"engine transformers: found transformers {transformers.__version__}, its continuous batching was "
                f"tried with {TRIED}; install the pinned environment"
            )
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.WARNING)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._torch = torch
        self._length = spec.output_length
        self._as_chat = spec.prompt_form == "chat"
        self._stop = spec.stop
        self._tokenizer = load_tokenizer(folder, spec.trust_remote_code)
        self._model = language_model(AutoModelForCausalLM, spec, folder)
        own = self._model.config
        self._ends = end_tokens(self._tokenizer, self._model.generation_config, own, own.get_text_config())
        generation = GenerationConfig(do_sample=False, eos_token_id=-1)
        self._manager = self._model.init_continuous_batching(
            generation,
            ContinuousBatchingConfig(
                block_size=settings.block_size,
                num_blocks=settings.num_blocks,
                max_batch_tokens=settings.max_batch_tokens,
                max_requests_per_batch=settings.max_batch_tokens,
                allow_block_sharing=False,
                use_cuda_graph=False,
                use_async_batching=False,
            ),
        )
        self._processor: Any = self._manager._create_batch_processor()
        self._capacity = settings.num_blocks * settings.block_size
        positions = getattr(own.get_text_config(), "max_position_embeddings", None)
        self.longest = min(self._capacity, positions or self._capacity)
        self._blocks = settings.num_blocks
        self._prompt_left: dict[int, int] = {}
        self._produced: dict[int, int] = {}
        self._active: set[int] = set()
        self._may_stop: set[int] = set()

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Raises UserError for a request that the cache could never hold."""
        assert self._length is not None
        encode, made = encoder(self._tokenizer, self._as_chat), []
        for prompt, reference in table.select("prompt", "reference").iter_rows():
            ids = encode(prompt)
            one = prompts.prepared(ids, ids, self._length, reference, self._tokenizer)
            most = one.max_output_tokens
            if len(ids) + most > self._capacity:
                raise UserError(
                    f"engine transformers: a request of {len(ids)} + {most} tokens does not fit the cache of "
                    f"{self._capacity}; raise num_blocks in engines.*.settings or lower output_length.tokens"
                )
            made.append(one)
        return made

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        return prompts.with_prompt(prepared, list(ids), ids)

    def text(self, ids: Sequence[int]) -> str:
        """See engines.base.TextEngine."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def submit(self, request: int, prepared: Prepared) -> None:
        assert isinstance(prepared.prompt, list)
        self._prompt_left[request], self._produced[request] = len(prepared.prompt), 0
        if self._stop and not prepared.ignore_end:
            self._may_stop.add(request)
        self._manager.add_request(
            prepared.prompt,
            request_id=str(request),
            max_new_tokens=prepared.max_output_tokens,
            eos_token_id=-1 if prepared.ignore_end else list(self._ends),
        )

    def step(self) -> Step:
        processor = self._processor
        if not processor.prepare_next_batch():
            raise RuntimeError("an iteration was asked for while no request could be scheduled")
        scheduled = [
            (int(one.state.request_id), bool(one.has_new_token), int(one.query_length))
            for one in processor.inputs_and_outputs.requests_in_batch
        ]
        running = {int(key) for key in processor.scheduler.active_requests}
        step = Step(
            running=len(running),
            waiting=len(processor.scheduler.waiting_requests),
            preempted=len(self._active - running),
            kv_cache_usage=1.0 - processor.cache.get_num_free_blocks() / self._blocks,
        )
        step.admitted = sorted(running - self._active)
        processor._generation_step(self._model)
        processor.update_batch()
        for request, has_token, query_length in scheduled:
            prompt = min(query_length, self._prompt_left[request])
            self._prompt_left[request] -= prompt
            step.prompt_tokens += prompt
            if has_token:
                step.output_tokens += 1
                if not self._produced[request]:
                    step.first_output.append(request)
                    step.first_tokens += 1
                self._produced[request] += 1
                if request in self._may_stop:
                    self._end_at_stop(request, step)
        self._active = {int(key) for key in processor.scheduler.active_requests}
        self._collect(step)
        return step

    def _end_at_stop(self, request: int, step: Step) -> None:
        """Finish a request whose answer has come to hold a stop string."""
        state = self._processor.scheduler.active_requests.get(str(request))
        if state is None:
            return
        if ends_in(self._tokenizer, self._stop, state.generated_tokens):
            self._processor.scheduler.finish_request(str(request))
            step.finished[request] = self._forget(request)
            step.answers[request] = state.generated_tokens

    def _forget(self, request: int) -> int:
        """Drop what is kept of a request; how many tokens it got."""
        del self._prompt_left[request]
        self._may_stop.discard(request)
        return self._produced.pop(request)

    def _collect(self, step: Step) -> None:
        outputs = self._manager.output_router.output_queue
        while not outputs.empty():
            output = outputs.get()
            request = int(output.request_id)
            tokens = self._forget(request)
            if output.error is None:
                step.finished[request] = tokens
                step.answers[request] = output.generated_tokens
            else:
                step.failed[request] = str(output.error)

    def abort(self) -> dict[int, Times]:
        self._processor.reset()
        for waiting in (self._manager.input_queue, self._manager.output_router.output_queue):
            while not waiting.empty():
                waiting.get()
        self._prompt_left.clear()
        self._produced.clear()
        self._may_stop.clear()
        self._active = set()
        return {}

    def close(self) -> None:
        self._processor = None
        self._manager.batch_processor = None
        self._manager.destroy()
        if self._torch.cuda.is_available():
            self._torch.cuda.empty_cache()
