"""A checkpoint's tokenizer and its chat template: what one user's turn becomes."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from joulebench.errors import UserError, in_one_line
from joulebench.inputs import apart
from joulebench.inputs.reading import GIB, MIB, size_in_words

Content = str | list[dict[str, Any]]

PROBE = "joulebench"
"""What has to be in a rendered turn that says it."""

LONGEST_S, MOST_MEMORY_BYTES = 50.0, 8 * GIB
MOST_SIGNS = MIB
"""A template is a program: loops in loops of it end in years. So it is tried in a process apart, libraries and all,
before any engine takes it."""


def check(folder: Path, trust_remote_code: bool, speaks: bool, sees: bool) -> None:
    """Load the tokenizer in `folder`, and give its chat template a lone user's words (`speaks`), and an image (`sees`).

    Raises UserError where the tokenizer cannot be loaded, where the template refuses, or where it takes longer or more
    memory than any that is meant.
    """
    asked = json.dumps([str(folder), trust_remote_code, speaks, sees])
    try:
        apart.asked(__spec__.name, [asked], seconds=LONGEST_S, memory_bytes=MOST_MEMORY_BYTES)
    except apart.RefusedError as error:
        raise UserError(f"the tokenizer or its chat template: {error}") from None


def _tried(words: list[str]) -> bytes:
    folder, trust_remote_code, speaks, sees = json.loads(words[0])
    if not trust_remote_code:
        sys.modules["torch"] = None  # type: ignore[assignment]  # tokenizers do without, in a third of the time
    tokenizer = load_tokenizer(Path(folder), trust_remote_code)
    if speaks and tokenizer.chat_template is not None:
        form(tokenizer)
    if sees:
        take_template(tokenizer, Path(folder), sees=True)
        check_image(tokenizer)
    return b""


def load_tokenizer(folder: Path, trust_remote_code: bool) -> Any:
    """The tokenizer in a model's folder, with the processor's chat template where it has none of its own.

    Raises UserError where it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    except Exception as error:
        remedy = "take a revision with a whole tokenizer.json"
        if not (folder / "tokenizer.json").exists():
            missing = "sentencepiece" if find_spec("sentencepiece") is None else "what it asks for"
            remedy = f"install {missing}, or {remedy}"
        raise UserError(f"{folder}: its tokenizer cannot be loaded ({in_one_line(error)}); {remedy}") from error
    take_template(made, folder)
    return made


def take_template(tokenizer: Any, folder: Path, sees: bool = False) -> None:
    """Give a tokenizer the chat template that only the processor in `folder` has; before its own where the task `sees`.

    As transformers' processors have it: chat_template.json in older repositories, or a key of processor_config.json.
    """
    if tokenizer.chat_template is not None and not sees:
        return
    for file in ("chat_template.json", "processor_config.json"):
        try:
            found = json.loads((folder / file).read_bytes()).get("chat_template")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{folder / file}: not readable JSON ({in_one_line(error)}); take another revision"
            ) from None
        if isinstance(found, str):
            tokenizer.chat_template = found
            return


def rendered(holder: Any, content: Content, **how: Any) -> Any:
    """What the chat template of a tokenizer or processor makes of one user's turn, up to where the answer begins.

    Raises UserError where the template refuses it.
    """
    turn = [{"role": "user", "content": content}]
    try:
        return holder.apply_chat_template(turn, add_generation_prompt=True, **how)
    except Exception as error:
        raise UserError(
            f"the chat template takes no lone user turn ({in_one_line(error)}); set the task's prompt_form to "
            "completion, or take another checkpoint"
        ) from error


def form(tokenizer: Any) -> Callable[[str], Content]:
    """How the chat template wants a user's words: as a text, or as a list of parts.

    A template for parts renders a text as nothing, without a word. Raises UserError where it renders neither.
    """
    problem = None
    for made in (_text, _parts):
        try:
            text = rendered(tokenizer, made(PROBE), tokenize=False)
            if len(text) > MOST_SIGNS:
                raise UserError(f"the chat template makes {size_in_words(len(text))} of text of one word")
            if PROBE in text:
                return made
        except UserError as error:
            problem = problem or error
    raise problem or UserError(
        "the chat template leaves out what the user says; set the task's prompt_form to completion, or take another "
        "checkpoint"
    )


def check_image(tokenizer: Any) -> None:
    """Raises UserError where the chat template makes nothing of an image in a user's turn."""
    if tokenizer.chat_template is None:
        raise UserError("no chat template, neither the tokenizer's nor the processor's; a task with images needs one")
    seen = rendered(tokenizer, with_image(PROBE), tokenize=False)
    if PROBE not in seen or seen == rendered(tokenizer, _parts(PROBE), tokenize=False):
        raise UserError("the chat template leaves out the image or the words beside it; take another checkpoint")


def with_image(prompt: str, image: Any = None) -> list[dict[str, Any]]:
    """A user's words below a picture."""
    shown = {"type": "image"} if image is None else {"type": "image", "image": image}
    return [shown, {"type": "text", "text": prompt}]


def _text(prompt: str) -> Content:
    return prompt


def _parts(prompt: str) -> Content:
    return [{"type": "text", "text": prompt}]


if __name__ == "__main__":
    apart.answer(_tried)
