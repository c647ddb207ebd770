"""What a server of OpenAI's API streams for one request: its lines, and how many tokens each of them brought.

Servers tell tokens in three ways, and the best that a line has counts: the tokens' ids (`token_ids`, vLLM's
return_token_ids), the tokens so far (`usage` in each line, vLLM's and SGLang's continuous_usage_stats), or text alone.
Of a text, each chunk is a token where that was so in a first answer, as most servers do it; else the checkpoint's own
tokenizer encodes it, which may count more than were made, since a model need not spell as its tokenizer does. The usage
at the end has the last word.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_LINE_BYTES = 2**20
"""Of one line of a stream: a token's takes under 1,000."""
TAIL_LETTERS = 64
"""So much of a text is encoded again with what comes behind it: a token's text depends on what is before it."""


class StreamError(Exception):
    """What a server does that no server should: one line, which begins behind 'the server'."""


@dataclass
class Ask:
    """One request on its way: what is sent, what is wanted, and what has come of it. Times are monotonic seconds.

    `model`: what the server has to call itself. `most`: tokens of the answer at most, `exact`: and at least.
    `prompt_tokens`: what the server has to count, None where nobody knows yet. `tokens`: of the answer so far;
    `ids`: the tokens themselves where the server tells them. `why`: what went wrong, `status` the HTTP status of a
    refusal.
    """

    request: int
    body: bytes
    model: str
    most: int
    exact: bool = False
    prompt_tokens: int | None = None
    sent: float | None = None
    first: float | None = None
    last: float | None = None
    tokens: int = 0
    ids: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    """The chunks that had any."""
    told_prompt_tokens: int | None = None
    continuous: bool = False
    """Whether the server told its usage before the end."""
    cached: int | None = None
    """Prompt tokens that a cache of prefixes served; None where the server does not say."""
    why: str | None = None
    status: int | None = None


class Lines:
    """A stream's bytes -> the payloads of its events (WHATWG HTML, 9.2: lines `data: ...`)."""

    def __init__(self) -> None:
        self._left = b""

    def of(self, data: bytes) -> Iterator[bytes]:
        """The payloads that `data` completes. Raises StreamError for a line beyond MOST_LINE_BYTES."""
        *lines, self._left = (self._left + data).split(b"\n")
        if len(self._left) > MOST_LINE_BYTES:
            raise StreamError(f"sends a line of over {MOST_LINE_BYTES:,} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
            else:
                _require_streamed(line)

    def end(self) -> None:
        """Raises StreamError where what is left is no part of an event."""
        _require_streamed(self._left)


class Growing:
    """How many tokens a text has that grows, by a tokenizer; never fewer than before."""

    def __init__(self, tokenizer: Any) -> None:
        self._encode = tokenizer
        self._tail, self._before, self._most = "", 0, 0

    def add(self, text: str) -> int:
        """Tokens of the whole text, `text` added to it."""
        self._tail += text
        count = self._before + self._length(self._tail)
        self._most = max(self._most, count)
        if len(self._tail) > TAIL_LETTERS and len(text) < len(self._tail):
            self._before, self._tail = count - self._length(text), text
        return self._most

    def _length(self, text: str) -> int:
        return len(self._encode(text, add_special_tokens=False).input_ids)


class Answer:
    """Reads the stream of one request into its Ask."""

    def __init__(self, ask: Ask, tokenizer: Any | None) -> None:
        """`tokenizer`: what counts the tokens of a text; None where each chunk is one."""
        self._ask = ask
        self._growing = None if tokenizer is None else Growing(tokenizer)
        self._usage: int | None = None
        self._reason: str | None = None

    def take(self, payload: bytes, at: float) -> int | None:
        """Tokens that an event brought, which came at `at`; None where it says that it was the last.

        Negative where more had been counted than the server now tells. Raises StreamError.
        """
        if payload == b"[DONE]":
            return None
        told = self._read(payload)
        ask, before = self._ask, self._ask.tokens
        choices = told.get("choices") or []
        choice = choices[0] if choices else {}
        if not isinstance(choice, dict):
            raise StreamError(f"sends {_shown(payload)}, expected a choice")
        delta = choice.get("delta") or {}
        text = choice.get("text") or delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning")
        if text:
            ask.text.append(str(text))
        reason = choice.get("finish_reason")
        ids, usage = choice.get("token_ids"), _counted(told.get("usage"))
        if usage is not None:
            self._told(told["usage"], told)
            ask.continuous |= self._reason is None and reason is None
            self._usage = usage
        if ids:
            ask.ids += ids
        if usage is not None:
            ask.tokens = usage
        elif ids:
            ask.tokens += len(ids)
        elif text and not ask.ids:
            ask.tokens = len(ask.text) if self._growing is None else self._growing.add(str(text))
        self._reason = reason or self._reason
        if ask.tokens > ask.most and (usage is not None or ids):
            raise StreamError(f"sends more than the {ask.most} tokens that were asked for")
        if ask.tokens > 2 * ask.most + 16:
            raise StreamError(f"sends text without end: {ask.tokens} tokens, where {ask.most} were asked for")
        if ask.tokens > before:
            ask.first = at if ask.first is None else ask.first
            ask.last = at
        return ask.tokens - before

    def end(self) -> None:
        """The stream is at its end. Raises StreamError where the answer is not whole."""
        ask = self._ask
        if self._reason is None:
            raise StreamError(f"cut its stream after {ask.tokens} of {ask.most} tokens")
        if self._usage is None:
            raise StreamError("tells no usage at the end of its stream (stream_options.include_usage)")
        if ask.tokens == 0:
            raise StreamError(f"ended an answer without a token ({self._reason})")
        if ask.exact and ask.tokens < ask.most:
            raise StreamError(
                f"ended an answer after {ask.tokens} of {ask.most} tokens ({self._reason}): it does not heed what makes"
                " answers as long as asked; set engines.*.settings.ignore_eos to what it knows, or output_length to "
                "natural"
            )
        if ask.prompt_tokens is not None and ask.told_prompt_tokens != ask.prompt_tokens:
            raise StreamError(
                f"counts {ask.told_prompt_tokens} tokens in a prompt that has {ask.prompt_tokens} by the checkpoint's "
                "tokenizer and chat template; serve the same checkpoint, or take endpoint: completions"
            )
        if ask.ids and len(ask.ids) != ask.tokens:
            raise StreamError(f"sent {len(ask.ids)} tokens, and tells a usage of {ask.tokens}")

    def _read(self, payload: bytes) -> dict[str, Any]:
        try:
            told = json.loads(payload)
        except ValueError:
            raise StreamError(f"sends broken JSON: {_shown(payload)}") from None
        if not isinstance(told, dict):
            raise StreamError(f"sends {_shown(payload)}, expected an object")
        if told.get("error"):
            raise StreamError(f"says in its stream: {_shown(json.dumps(told['error']).encode())}")
        name = told.get("model")
        if name is not None and name != self._ask.model and not str(name).startswith(f"{self._ask.model}@"):
            raise StreamError(f"answers as the model {str(name)[:80]!r}, asked was {self._ask.model!r}")
        return told

    def _told(self, usage: dict[str, Any], told: dict[str, Any]) -> None:
        """What a usage says beside the answer's tokens; llama.cpp tells of its cache in `timings`."""
        ask = self._ask
        prompt = usage.get("prompt_tokens")
        ask.told_prompt_tokens = prompt if isinstance(prompt, int) else None
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if cached is None:
            cached = (told.get("timings") or {}).get("cache_n")
        if isinstance(cached, int):
            ask.cached = cached


def _require_streamed(line: bytes) -> None:
    if line.startswith(b"{"):
        raise StreamError(f"does not stream: it sends {_shown(line)}, expected 'data: ...'")


def _counted(usage: Any) -> int | None:
    found = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return found if isinstance(found, int) and found >= 0 else None


def _shown(payload: bytes) -> str:
    return " ".join(payload[:120].decode("utf-8", "replace").split())
