"""Text on ONNX Runtime: the graph that onnxruntime-genai's builder makes, in a continuous batch that is stepped here.

onnxruntime-genai's own Engine batches continuously with its paged attention alone, which is CUDA's in half precision:
on a CPU (0.18) it serves static batches of four, whatever its settings say. So the graph is run directly. Each request
has a row of the cache, which the graph's attention reads and writes in place; it takes rows of unequal lengths. An
iteration decodes one token of each row, and then takes in what waits, one prompt a call.
"""

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, PositiveInt

from joulebench.checkpoints.chat import load_tokenizer
from joulebench.config.spec import RunSpec
from joulebench.engines import onnx_export, prompts
from joulebench.engines.base import Prepared, Step, Times
from joulebench.engines.onnx_export import export_folder
from joulebench.engines.onnx_graph import Graph
from joulebench.engines.prompts import encoder, end_tokens, ends_in
from joulebench.errors import UserError

TASKS = ("llm-chat", "llm-code")
MOST_DEVICES = 1
QUANTIZATIONS = onnx_export.QUANTIZATIONS
ATTENTIONS: tuple[str, ...] = ()
PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-genai", "torch", "transformers", "tokenizers")

refused = onnx_export.refused
exports = onnx_export


class Settings(BaseModel):
    """`max_model_len` bounds a prompt with its answer: the cache holds as much of each request in flight.

    `threads`: ONNX Runtime's, within an operation; null: as many as torch takes.
    """

    model_config = ConfigDict(extra="forbid")
    max_model_len: PositiveInt = 2048
    threads: PositiveInt | None = None


def against(spec: RunSpec, settings: Settings) -> str | None:
    """See joulebench.engines."""
    return onnx_export.refused(spec)


@dataclass
class Row:
    """A request that is being served: how many of its tokens the cache holds, and its answer so far."""

    request: int
    asked: Prepared
    held: int = 0
    answer: list[int] = field(default_factory=list)


class Engine:
    """A causal language model in ONNX Runtime's session. See engines.base.TextEngine."""

    whole_batches = False

    def __init__(self, spec: RunSpec, settings: Settings, folder: Path) -> None:
        os.environ.update(onnx_export.QUIET)
        import torch
        from transformers import AutoConfig, GenerationConfig

        place = export_folder(spec, folder)
        own = AutoConfig.from_pretrained(folder, local_files_only=True)
        said = (folder / "generation_config.json").exists()
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True) if said else None
        self._torch, self._device = torch, spec.torch_device
        self._length, self._stop = spec.output_length, spec.stop
        self._as_chat = spec.prompt_form == "chat"
        self._tokenizer = load_tokenizer(folder, False)
        self._ends = end_tokens(self._tokenizer, generation, own, own.get_text_config())
        positions = getattr(own.get_text_config(), "max_position_embeddings", None)
        self._room = min(settings.max_model_len, positions or settings.max_model_len)
        self.longest: int | None = self._room
        self._slots = spec.sweep.largest_batch
        self._graph: Graph | None = Graph(
            spec, place, self._slots, self._room, settings.threads or torch.get_num_threads()
        )
        self._rows: list[Row] = []
        self._waiting: deque[tuple[int, Prepared]] = deque()

    def prepare(self, table: pl.DataFrame) -> list[Prepared]:
        """Raises UserError for a request that the cache could never hold."""
        assert self._length is not None
        encode, made = encoder(self._tokenizer, self._as_chat), []
        for prompt, reference in table.select("prompt", "reference").iter_rows():
            ids = encode(prompt)
            one = prompts.prepared(ids, ids, self._length, reference, self._tokenizer)
            if len(ids) + one.max_output_tokens > self._room:
                raise UserError(
                    f"engine onnxruntime: a request of {len(ids)} + {one.max_output_tokens} tokens is longer than "
                    f"{self._room}; raise max_model_len in engines.*.settings, if the model has the positions, or "
                    "lower output_length.tokens"
                )
            made.append(one)
        return made

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        return prompts.with_prompt(prepared, list(ids), ids)

    def text(self, ids: Sequence[int]) -> str:
        """See engines.base.TextEngine."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def submit(self, request: int, prepared: Prepared) -> None:
        self._waiting.append((request, prepared))

    def step(self) -> Step:
        """Raises torch.OutOfMemoryError where ONNX Runtime says that memory is not enough."""
        assert self._graph is not None
        rows, before = self._rows, len(self._rows)
        if not rows and not self._waiting:
            raise RuntimeError("an iteration was asked for while no request was in the engine")
        tokens = self._run(rows, [row.answer[-1:] for row in rows], 0) if rows else []
        step = Step(running=0, waiting=0)
        while self._waiting and len(rows) < self._slots:
            request, asked = self._waiting.popleft()
            assert isinstance(asked.prompt, list)
            rows.append(Row(request, asked))
            tokens += self._run(rows[-1:], [asked.prompt], len(rows) - 1)
            step.prompt_tokens += len(asked.prompt)
            step.admitted.append(request)
            step.first_output.append(request)
        step.running, step.waiting = len(rows), len(self._waiting)
        step.output_tokens, step.first_tokens = len(tokens), len(rows) - before
        step.kv_cache_usage = sum(row.held for row in rows) / (self._slots * self._room)
        for row, token in zip(rows, tokens, strict=True):
            row.answer.append(token)
        for place in reversed(range(len(rows))):
            if self._over(rows[place]):
                step.finished[rows[place].request] = len(rows[place].answer)
                step.answers[rows[place].request] = rows[place].answer
                self._leave(place)
        return step

    def _run(self, rows: Sequence[Row], ids: Sequence[Sequence[int]], first: int) -> list[int]:
        """Give each of `rows`, from cache row `first` on, its next tokens; the token that follows in each."""
        assert self._graph is not None
        tokens = self._graph.run(ids, [row.held for row in rows], first)
        for row, given in zip(rows, ids, strict=True):
            row.held += len(given)
        return tokens

    def _over(self, row: Row) -> bool:
        answer = row.answer
        if len(answer) == row.asked.max_output_tokens:
            return True
        if row.asked.ignore_end:
            return False
        return answer[-1] in self._ends or (bool(self._stop) and ends_in(self._tokenizer, self._stop, answer))

    def _leave(self, place: int) -> None:
        """Take a row out; the last one moves to its place, so that those in flight lie together."""
        assert self._graph is not None
        last = self._rows.pop()
        if place < len(self._rows):
            self._rows[place] = last
            self._graph.move(len(self._rows), place, last.held)

    def abort(self) -> dict[int, Times]:
        self._rows.clear()
        self._waiting.clear()
        return {}

    def close(self) -> None:
        self.abort()
        self._graph = None
        if self._device == "cuda":
            self._torch.cuda.empty_cache()
