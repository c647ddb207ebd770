"""What every engine of text makes of a request: the tokens of its prompt, and how long its answer is."""

from typing import Any

from joulebench import chat
from joulebench.config import OutputLength
from joulebench.errors import UserError


def encoded(tokenizer: Any, prompt: str, as_chat: bool) -> list[int]:
    """The prompt's token ids: one user turn of the tokenizer's chat template where it has one, or the text as it is.

    An end of sequence that the tokenizer would add is left out: what follows it is another text. Raises UserError where
    the template refuses a lone user turn.
    """
    if not as_chat or tokenizer.chat_template is None:
        ids = list(tokenizer(prompt).input_ids)
        return ids[:-1] if adds_end(tokenizer) else ids
    return list(chat.rendered(tokenizer, chat.form(tokenizer)(prompt), return_dict=True)["input_ids"])


def adds_end(tokenizer: Any) -> bool:
    """Whether the tokenizer puts its end of sequence behind every text (`add_eos_token`), which ends no prompt."""
    end = tokenizer.eos_token_id
    return end is not None and tokenizer("a").input_ids[-1:] == [end]


def end_tokens(tokenizer: Any, *configurations: Any) -> frozenset[int]:
    """The tokens that end an answer: all that a checkpoint's tokenizer and any of its configurations name.

    They often disagree: a fine-tuned model's tokenizer names the end of a turn, its configuration still the end of a
    text. A configuration that is None, or names none, adds none.
    """
    told = [getattr(one, "eos_token_id", None) for one in (tokenizer, *configurations)]
    told.append(getattr(tokenizer, "eot_token_id", None))
    lists = [one if isinstance(one, list | tuple) else [one] for one in told]
    return frozenset(int(id_) for ids in lists for id_ in ids if id_ is not None)


def output_tokens(length: OutputLength, reference: str | None, tokenizer: Any) -> int:
    """Tokens that an answer has at most, or exactly: the dataset's own answer counts where the kind is reference.

    Raises UserError where there is none.
    """
    if length.kind != "reference":
        return length.tokens
    if reference is None:
        raise UserError("output_length: kind is reference, but the dataset has no answers; set natural or fixed")
    return max(1, min(length.tokens, len(tokenizer(reference, add_special_tokens=False).input_ids)))


def ends_in(tokenizer: Any, stop: tuple[str, ...], tokens: list[int]) -> bool:
    """Whether an answer that has just got its last token holds a stop string; looks at its last tokens only."""
    reach = max(len(one.encode()) for one in stop) + 4
    tail = tokenizer.decode(tokens[-reach:], skip_special_tokens=False)
    return any(one in tail for one in stop)
