"""Text, with or without images in the prompts, on vLLM: its engine core in a process of its own, stepped by the load.

vLLM does not promise its statistics classes to anybody: what is read of them is looked for when the engine opens, and
a version that lacks any of it is refused by name. Prefix caching is off, and each image that is sent has a name of its
own, since vLLM's encoder cache would otherwise serve a repeated image without looking at it.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from joulebench.checkpoints import chat
from joulebench.config.spec import RunSpec
from joulebench.engines import prompts, vllm_start
from joulebench.engines.base import Prepared, Step, Times
from joulebench.engines.prompts import adds_end, encoder, end_tokens, picture
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS
from joulebench.records.models import EngineStart

log = logging.getLogger(__name__)

TASKS = ("llm-chat", "llm-code", "vlm-chat")
MOST_DEVICES = 8
QUANTIZATIONS = ("fp8", "bitsandbytes", "awq", "gptq")
ATTENTIONS: tuple[str, ...] = ()
PACKAGES = ("vllm", "torch", "transformers", "tokenizers")

READ = {
    "SchedulerStats": ("num_running_reqs", "num_waiting_reqs", "kv_cache_usage", "prefix_cache_stats"),
    "PrefixCacheStats": ("hits",),
    "IterationStats": ("num_generation_tokens", "num_prompt_tokens", "num_preempted_reqs", "time_to_first_tokens_iter"),
    "RequestStateStats": ("num_generation_tokens", "scheduled_ts", "first_token_ts", "last_token_ts"),
}
"""What is read of the classes of vllm.v1.metrics.stats (found in 0.25)."""

LAST = -1
"""The request that follows aborted ones."""

ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",  # and so no logger of its own a step
    "HF_HUB_OFFLINE": "1",
}


class Settings(BaseModel):
    """vLLM's own names. `max_model_len` bounds a prompt with its answer; null: what the model's configuration says."""

    model_config = ConfigDict(extra="forbid")
    max_model_len: PositiveInt | None = None
    max_num_batched_tokens: PositiveInt | None = None
    gpu_memory_utilization: float = Field(0.9, gt=0, lt=1)
    enforce_eager: bool = False


class Engine:
    """A language model, with or without eyes, behind vLLM's LLMEngine. See engines.base.TextEngine."""

    whole_batches = False

    def __init__(self, spec: RunSpec, settings: Settings, folder: Path) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import vllm
        from vllm import envs
        from vllm.v1.engine.llm_engine import LLMEngine
        from vllm.v1.metrics import stats
        from vllm.v1.metrics.loggers import StatLoggerBase

        check_statistics(stats, vllm.__version__)
        self._vllm, self._spec = vllm, spec
        self._sees = spec.task in IMAGE_TASKS
        self._submitted = 0
        self._shortest: Prepared | None = None
        self._ours: dict[str, int] = {}
        self._latest: Any = None
        self._running = self._waiting = 0
        engine = self

        class Recorder(StatLoggerBase):  # type: ignore[misc]
            """Hands each iteration's statistics to the engine."""

            def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
                pass

            def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
                engine._latest = (scheduler_stats, iteration_stats)

            def log_engine_initialized(self) -> None:
                pass

        arguments = vllm.EngineArgs(
            model=str(folder),
            dtype=spec.dtype,
            seed=spec.sample.seed,
            trust_remote_code=spec.trust_remote_code,
            load_format="dummy" if spec.weights == "synthetic" else "safetensors",
            tensor_parallel_size=spec.tensor_parallel,
            enable_expert_parallel=spec.expert_parallel,
            quantization=spec.quantization,
            max_num_seqs=spec.sweep.largest_batch,
            max_model_len=settings.max_model_len,
            max_num_batched_tokens=settings.max_num_batched_tokens,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            enforce_eager=settings.enforce_eager,
            enable_prefix_caching=False,
            mm_processor_cache_gb=0,
            **({"limit_mm_per_prompt": {"image": 1}} if self._sees else {}),
        )
        if os.environ.setdefault(vllm_start.METHOD, "spawn") == "fork" and (why := vllm_start.against_fork(spec)):
            log.warning("vLLM's engine core is spawned, not forked: %s", why)
            os.environ[vllm_start.METHOD] = "spawn"
        before = vllm_start.compiled(envs.VLLM_CACHE_ROOT)
        try:
            self._engine = LLMEngine.from_engine_args(arguments, stat_loggers=[Recorder])
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"engine vllm {vllm.__version__}: did not start with {spec.model} "
                f"({' '.join(str(error).split())[:300]}); the lines above say why"
            ) from error
        after = vllm_start.compiled(envs.VLLM_CACHE_ROOT)
        keeps = not (settings.enforce_eager or envs.VLLM_DISABLE_COMPILE_CACHE)
        self.start = EngineStart(
            process=vllm_start.process(),
            compile_cache=vllm_start.compile_cache(before, after) if keeps else None,
        )
        if not hasattr(self._engine.output_processor, "request_states"):
            raise UserError(
                f"engine vllm: found vLLM {vllm.__version__}, whose output processor has no request_states, which tell "
                "when aborted requests got their first token; install the version of envs/vllm.txt"
            )
        loggers = self._engine.logger_manager
        loggers.stat_loggers = loggers.stat_loggers[:1]  # without Prometheus, which walks over every token of a step
        tokenizer, model = self._engine.get_tokenizer(), self._engine.model_config
        chat.take_template(tokenizer, folder, self._sees)
        self.longest = model.max_model_len
        told = SimpleNamespace(**model.try_get_generation_config())
        self._ends = sorted(end_tokens(tokenizer, told, model.hf_config, model.hf_text_config))

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Raises UserError for a request without its image, or over `max_model_len`."""
        length = self._spec.output_length
        assert length is not None
        tokenizer = self._engine.get_tokenizer()
        columns = table.select("request", "prompt", "reference", "image")
        encode = None if self._sees else encoder(tokenizer, self._spec.prompt_form == "chat")
        asked = [
            {"prompt_token_ids": encode(prompt)} if encode else self._seen(tokenizer, request, prompt, image)
            for request, prompt, _, image in columns.iter_rows()
        ]
        made = []
        for inputs, reference in zip(self._engine.renderer.render_cmpl(asked), table["reference"], strict=True):
            one = prompts.prepared(inputs, inputs["prompt_token_ids"], length, reference, tokenizer)
            tokens, most = len(inputs["prompt_token_ids"]), one.max_output_tokens
            if tokens + most > self.longest:
                raise UserError(
                    f"engine vllm: a request of {tokens} + {most} tokens is longer than max_model_len, {self.longest}; "
                    "raise it in engines.*.settings, or lower output_length.tokens"
                )
            made.append(one)
        self._shortest = min(made, key=lambda one: one.prompt_tokens or 0)
        return made

    def _seen(self, tokenizer: Any, request: int, prompt: str, image: bytes | None) -> dict[str, Any]:
        text = chat.rendered(tokenizer, chat.with_image(prompt), tokenize=False)
        special = not (tokenizer.bos_token and text.startswith(tokenizer.bos_token))  # as transformers' processors
        ids = list(tokenizer(text, add_special_tokens=special).input_ids)
        if special and adds_end(tokenizer):
            del ids[-1]
        return {"prompt_token_ids": ids, "multi_modal_data": {"image": picture(request, image)}}

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        inputs: Any = prepared.prompt
        return prompts.with_prompt(prepared, {**inputs, "prompt_token_ids": list(ids)}, ids)

    def text(self, ids: Sequence[int]) -> str:
        """See engines.base.TextEngine."""
        return str(self._engine.get_tokenizer().decode(ids, skip_special_tokens=True))

    def submit(self, request: int, prepared: Prepared) -> None:
        from vllm.sampling_params import RequestOutputKind

        inputs: Any = prepared.prompt
        self._submitted += 1
        if "mm_hashes" in inputs:
            hashes = inputs["mm_hashes"].items()
            own = {kind: [f"{self._submitted}-{place}" for place in range(len(found))] for kind, found in hashes}
            inputs = {**inputs, "mm_hashes": own}
        stop, ends = ([], []) if prepared.ignore_end else (list(self._spec.stop), self._ends)
        name = str(self._submitted)
        self._ours[name] = request
        self._engine.add_request(
            name,
            inputs,
            self._vllm.SamplingParams(
                temperature=0.0,
                max_tokens=prepared.max_output_tokens,
                ignore_eos=prepared.ignore_end,
                stop=stop or None,
                stop_token_ids=ends or None,
                detokenize=bool(stop),
                output_kind=RequestOutputKind.FINAL_ONLY,
            ),
        )

    def step(self) -> Step:
        """Raises RuntimeError where a token came from a cache."""
        outputs = self._engine.step()
        (scheduler, iteration), self._latest = self._latest or (None, None), None
        ended = {self._ours.pop(one.request_id): one for one in outputs if one.finished}
        step = Step(running=self._running, waiting=self._waiting)
        if scheduler is not None:
            if scheduler.prefix_cache_stats is not None and scheduler.prefix_cache_stats.hits:
                raise RuntimeError("vLLM's prefix cache served tokens; it has to be off")
            self._running, self._waiting = scheduler.num_running_reqs, scheduler.num_waiting_reqs
            step.running, step.waiting = self._running + len(ended), self._waiting
            step.kv_cache_usage = float(scheduler.kv_cache_usage)
        if iteration is not None:
            step.prompt_tokens, step.output_tokens = iteration.num_prompt_tokens, iteration.num_generation_tokens
            step.first_tokens = len(iteration.time_to_first_tokens_iter)
            step.preempted = iteration.num_preempted_reqs
        for request, output in ended.items():
            told = output.metrics
            step.finished[request] = told.num_generation_tokens
            step.answers[request] = output.outputs[0].token_ids
            step.times[request] = Times(told.scheduled_ts, told.first_token_ts, told.last_token_ts)
        return step

    def abort(self) -> dict[int, Times]:
        """What the core had counted of them may still be on its way: one token of one request that is sent behind them
        comes back after all of it.
        """
        dropped: dict[int, Times] = {}
        if self._ours:
            for state in self._engine.output_processor.request_states.values():
                told, request = state.stats, self._ours.get(state.external_req_id)
                if request is not None:
                    dropped[request] = Times(told.scheduled_ts or None, told.first_token_ts or None, None)
            self._engine.abort_request(list(self._ours))
            self._ours = {}
            assert self._shortest is not None
            self.submit(LAST, replace(self._shortest, max_output_tokens=1, ignore_end=True))
            while self._ours:
                self.step()
        self._latest = None
        self._running = self._waiting = 0
        return dropped

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.engine_core.shutdown()


def check_statistics(stats: ModuleType, version: str) -> None:
    """Look for everything that is read of vLLM's statistics. Raises UserError that names the version."""
    for name, read in READ.items():
        found = getattr(stats, name, None)
        has = _attributes(found) if found is not None else set()
        if missing := [one for one in read if one not in has]:
            what = f"no {', '.join(missing)} in {name}" if found is not None else f"no class {name}"
            raise UserError(
                f"engine vllm: found vLLM {version}, whose statistics have {what}; install the version of envs/vllm.txt"
            )


def _attributes(kind: type) -> set[str]:
    return {one.name for one in fields(kind)} if is_dataclass(kind) else {*vars(kind()), *vars(kind)}
