"""Prompts and answers of exactly so many tokens, made of those of the dataset."""

from collections.abc import Sequence
from dataclasses import replace

from joulebench.engines.base import Prepared, TextEngine
from joulebench.engines.prompts import of_length
from joulebench.errors import UserError
from joulebench.loads.setting import Setting


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
    ids: list[int] = []
    while len(ids) < tokens:
        ids += prepared[place % len(prepared)].ids[: tokens - len(ids)]
        place += 1
    return ids
