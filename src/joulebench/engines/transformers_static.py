"""Text on transformers' `generate`, a static batch at a time, with or without images in the prompts.

What is waiting when a batch starts is the batch. Its prompts are padded on the left, its answers come back together
when the longest is done, and only then is the next batch admitted: how LLM-perf and the LLM Efficiency Benchmark
measure. The first iteration of a batch is its prefill, each later one a token of every answer.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, PositiveInt

from joulebench.checkpoints import chat
from joulebench.config.spec import RunSpec
from joulebench.engines import prompts, weight_formats
from joulebench.engines.base import Prepared, Step, Times
from joulebench.engines.loading import language_model, processor
from joulebench.engines.prompts import adds_end, encoder, end_tokens, ends_in, picture
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS

TASKS = ("llm-chat", "llm-code", "vlm-chat")
MOST_DEVICES = 1
QUANTIZATIONS = weight_formats.QUANTIZATIONS
ATTENTIONS = ("eager", "sdpa", "flash_attention_2")
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "pillow", *weight_formats.PACKAGES)


class Settings(BaseModel):
    """Nothing but torch's threads; the batch is the load's."""

    model_config = ConfigDict(extra="forbid")
    threads: PositiveInt | None = None


def against(spec: RunSpec, settings: Settings) -> str | None:
    """See joulebench.engines."""
    return weight_formats.refused(spec)


class Batch:
    """The requests of one call of `generate`, and how far each of its answers is."""

    def __init__(self, requests: Mapping[int, Prepared], ends: frozenset[int], tokenizer: Any, stop: tuple[str, ...]):
        self.requests = dict(requests)
        self._ends, self._tokenizer, self._stop = ends, tokenizer, stop
        self._answers: list[list[int]] = [[] for _ in requests]
        self.done = [False] * len(requests)

    @property
    def longest(self) -> int:
        return max(one.max_output_tokens for one in self.requests.values())

    def take(self, tokens: Sequence[int]) -> int:
        """Give each answer that is not done its next token; how many there were."""
        growing = [row for row, done in enumerate(self.done) if not done]
        for row, one in enumerate(self.requests.values()):
            if not self.done[row]:
                answer = self._answers[row]
                answer.append(tokens[row])
                self.done[row] = len(answer) == one.max_output_tokens or (not one.ignore_end and self._ended(answer))
        return len(growing)

    def _ended(self, answer: list[int]) -> bool:
        return answer[-1] in self._ends or (bool(self._stop) and ends_in(self._tokenizer, self._stop, answer))

    def lengths(self) -> dict[int, int]:
        """Request -> the tokens of its answer."""
        return {request: len(answer) for request, answer in self.answers().items()}

    def answers(self) -> dict[int, Sequence[int]]:
        """Request id -> the tokens of its answer so far."""
        return dict(zip(self.requests, self._answers, strict=True))


class Engine:
    """A language model, with or without eyes, behind `generate`. See engines.base.TextEngine.

    `generate` runs in a thread of its own, which a stopping criterion halts after every token until the next `step`:
    its loop, and each model's own way of preparing its inputs, stay transformers'.
    """

    whole_batches = True

    def __init__(self, spec: RunSpec, settings: Settings, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, GenerationConfig
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._torch, self._device = torch, spec.torch_device
        self._length, self._as_chat, self._stop = spec.output_length, spec.prompt_form == "chat", spec.stop
        sees = spec.task in IMAGE_TASKS
        self._processor = processor(spec, folder) if sees else None
        self._tokenizer = (
            self._processor.tokenizer if self._processor else chat.load_tokenizer(folder, spec.trust_remote_code)
        )
        self._adds_end = adds_end(self._tokenizer)
        self._encode = None if self._processor else encoder(self._tokenizer, self._as_chat)
        kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        self._model = language_model(kind, spec, folder)
        own = self._model.config
        self.longest: int | None = getattr(own.get_text_config(), "max_position_embeddings", None)
        self._ends = end_tokens(self._tokenizer, self._model.generation_config, own, own.get_text_config())
        known = self._model.get_input_embeddings().weight.shape[0]  # a tokenizer may name a token beyond them
        pads = (self._tokenizer.pad_token_id, *sorted(self._ends), 0)
        self._padding = next(id_ for id_ in pads if id_ is not None and id_ < known)
        # Not the model's own: its sampling and penalties are no greedy decoding, and `Batch` ends the answers.
        self._model.generation_config = GenerationConfig(do_sample=False, pad_token_id=self._padding)
        threads = settings.threads or torch.get_num_threads()
        # OpenMP's number of threads belongs to the thread that calls it.
        self._pool = ThreadPoolExecutor(1, "generate", initializer=torch.set_num_threads, initargs=(threads,))
        self._waiting: dict[int, Prepared] = {}
        self._batch: Batch | None = None
        self._future: Future[None] | None = None
        self._tokens: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        self._go = threading.Semaphore(0)
        self._stopped = False

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Raises UserError for a request without an image that can be read, or longer than the model's positions."""
        assert self._length is not None
        made = []
        columns = table.select("request", "prompt", "reference", "image")
        for request, prompt, reference, image in columns.iter_rows():
            inputs = self._inputs(request, prompt, image)
            tokens = int(inputs["input_ids"].shape[1])
            one = prompts.prepared(inputs, inputs["input_ids"][0].tolist(), self._length, reference, self._tokenizer)
            most = one.max_output_tokens
            if self.longest is not None and tokens + most > self.longest:
                raise UserError(
                    f"engine transformers-static: a request of {tokens} + {most} tokens is longer than the model's "
                    f"{self.longest}; lower output_length.tokens, or filter the dataset"
                )
            made.append(one)
        return made

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        """Only of prompts without an image."""
        return prompts.with_prompt(prepared, self._of_ids(ids), ids)

    def _of_ids(self, ids: Sequence[int]) -> dict[str, Any]:
        rows = self._torch.tensor([list(ids)])
        return {"input_ids": rows, "attention_mask": self._torch.ones_like(rows)}

    def _inputs(self, request: int, prompt: str, image: bytes | None) -> dict[str, Any]:
        if self._processor is None:
            assert self._encode is not None
            return self._of_ids(self._encode(prompt))
        content = chat.with_image(prompt, picture(request, image))
        inputs = dict(chat.rendered(self._processor, content, tokenize=True, return_dict=True, return_tensors="pt"))
        ids = inputs["input_ids"]
        if self._adds_end and ids[0, -1] == self._tokenizer.eos_token_id:
            inputs = {name: part[:, :-1] if along(part, ids) else part for name, part in inputs.items()}
        return inputs

    def text(self, ids: Sequence[int]) -> str:
        """See engines.base.TextEngine."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def submit(self, request: int, prepared: Prepared) -> None:
        self._waiting[request] = prepared

    def step(self) -> Step:
        """Raises what `generate` raised, out of memory among it."""
        first = self._batch is None
        if self._batch is None or self._future is None:
            self._batch, self._future = self._started()
        else:
            self._go.release()
        batch, tokens = self._batch, self._next(self._future)
        step = Step(running=len(batch.requests), waiting=len(self._waiting), output_tokens=batch.take(tokens))
        if first:
            step.admitted, step.first_output = list(batch.requests), list(batch.requests)
            step.first_tokens = len(batch.requests)
            step.prompt_tokens = sum(one.prompt_tokens or 0 for one in batch.requests.values())
        if all(batch.done):
            self._end()
            step.finished, step.answers = batch.lengths(), batch.answers()
        return step

    def _started(self) -> tuple[Batch, "Future[None]"]:
        if not self._waiting:
            raise RuntimeError("an iteration was asked for while no request was waiting")
        batch = Batch(self._waiting, self._ends, self._tokenizer, self._stop)
        self._waiting = {}
        self._stopped = False
        return batch, self._pool.submit(self._generate, batch)

    def _next(self, future: "Future[None]") -> list[int]:
        """The tokens of the next iteration, or the error that ended the batch."""
        tokens = self._tokens.get()
        if not tokens:
            self._batch = self._future = None
            future.result()
            raise RuntimeError("generate ended before its batch was done")
        return tokens

    def _end(self) -> None:
        """Let the batch's call of `generate` return, and wait for it."""
        self._stopped = True
        self._go.release()
        if self._future is not None:
            self._future.exception()
        self._batch = self._future = None
        self._go = threading.Semaphore(0)
        while not self._tokens.empty():
            self._tokens.get()

    def _generate(self, batch: Batch) -> None:
        from transformers import StoppingCriteriaList

        def hand_over(ids: Any, scores: Any, **_: Any) -> Any:
            self._tokens.put(ids[:, -1].tolist())  # waits for the device
            self._go.acquire()
            return self._torch.full((len(ids),), self._stopped, device=ids.device, dtype=self._torch.bool)

        try:
            inputs = self._collated([one.prompt for one in batch.requests.values()])
            self._model.generate(
                **inputs,
                max_new_tokens=batch.longest + 1,  # the criterion ends it
                stopping_criteria=StoppingCriteriaList([hand_over]),
            )
        finally:
            self._tokens.put([])

    def _collated(self, prompts: Sequence[Any]) -> dict[str, Any]:
        """One batch of the requests' inputs, on the device, in the model's precision."""
        dtype = self._model.dtype
        return {
            name: whole.to(self._device, dtype if whole.is_floating_point() else whole.dtype)
            for name, whole in collated(prompts, self._padding).items()
        }

    def abort(self) -> dict[int, Times]:
        self._waiting = {}
        if self._batch is not None:
            self._end()
        return {}

    def close(self) -> None:
        self.abort()
        self._pool.shutdown()
        self._model = None
        if self._device == "cuda":
            self._torch.cuda.empty_cache()


def along(part: Any, ids: Any) -> bool:
    """Whether a tensor of a request runs along its prompt: `ids` is the prompt's, (1, tokens)."""
    return bool(part.shape[:2] == ids.shape[:2])


def collated(prompts: Sequence[Mapping[str, Any]], padding: int) -> dict[str, Any]:
    """The requests' tensors in a row, filled up to one size: what a processor makes of them when given all at once.

    They were prepared one by one, ahead, so that the images' decoding and resizing is not in what is measured.

    What runs along the prompt is filled up on its left: token ids with `padding`, all else with 0. What differs between
    images (tiles, pixels) is filled up with 0 at its end, as processors do; what says how much of it is meant
    (`image_sizes`, masks) is among the tensors.
    """
    import torch

    longest = max(one["input_ids"].shape[1] for one in prompts)
    batch = {}
    for name in prompts[0]:
        parts = [one[name] for one in prompts]
        if all(along(part, one["input_ids"]) for part, one in zip(parts, prompts, strict=True)):
            fill = padding if name == "input_ids" else 0
            parts = [_filled(part, 1, longest, fill, before=True) for part in parts]
        for axis in range(1, parts[0].ndim):
            most = max(part.shape[axis] for part in parts)
            parts = [_filled(part, axis, most, 0, before=False) for part in parts]
        batch[name] = torch.cat(parts)
    return batch


def _filled(part: Any, axis: int, size: int, fill: int, before: bool) -> Any:
    import torch

    missing = size - part.shape[axis]
    if not missing:
        return part
    more = part.new_full((*part.shape[:axis], missing, *part.shape[axis + 1 :]), fill)
    return torch.cat([more, part] if before else [part, more], dim=axis)
