"""What engines make of a request: the tokens of its prompt, its image, and how long its answer is."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from joulebench.checkpoints import chat
from joulebench.config.tasks import OutputLength
from joulebench.engines.base import Prepared
from joulebench.errors import UserError


def encoder(tokenizer: Any, as_chat: bool) -> Callable[[str], list[int]]:
    """What makes token ids of a prompt: one user turn of the tokenizer's chat template where it has one, or the text.

    An end of sequence that the tokenizer would add is left out: what follows it is another text. Raises UserError where
    the template refuses a lone user turn.
    """
    if as_chat and tokenizer.chat_template is not None:
        form = chat.form(tokenizer)
        return lambda prompt: list(chat.rendered(tokenizer, form(prompt), return_dict=True)["input_ids"])
    end = -1 if adds_end(tokenizer) else None
    return lambda prompt: list(tokenizer(prompt).input_ids)[:end]


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


def prepared(
    prompt: object, ids: Sequence[int], length: OutputLength, reference: str | None, tokenizer: Any
) -> Prepared:
    """A request of the engine's form `prompt`, whose token ids are `ids`, with the length of its answer.

    That is the dataset's own answer's where the kind is reference. Raises UserError where there is none.
    """
    if length.kind == "natural":
        return Prepared(prompt, len(ids), length.tokens, ids=ids)
    own = [] if reference is None else list(tokenizer(reference, add_special_tokens=False).input_ids)
    if length.kind == "fixed":
        return Prepared(prompt, len(ids), length.tokens, True, of_length(own or ids, length.tokens), ids)
    if reference is None:
        raise UserError("output_length: kind is reference, but the dataset has no answers; set natural or fixed")
    most = max(1, min(length.tokens, len(own)))
    return Prepared(prompt, len(ids), most, True, of_length(own or ids, most), ids)


def of_length(ids: Sequence[int], tokens: int) -> list[int]:
    """So many tokens of `ids`, from the start again where they end; of none, the first of the vocabulary."""
    ids = ids or [0]
    return [ids[place % len(ids)] for place in range(tokens)]


def with_prompt(one: Prepared, prompt: object, ids: Sequence[int]) -> Prepared:
    """`one` with another prompt: the token ids `ids`, which are `prompt` in the engine's form."""
    return replace(one, prompt=prompt, prompt_tokens=len(ids), ids=ids)


def ends_in(tokenizer: Any, stop: tuple[str, ...], tokens: list[int]) -> bool:
    """Whether an answer that has just got its last token holds a stop string; looks at its last tokens only."""
    reach = max(len(one.encode()) for one in stop) + 4
    tail = tokenizer.decode(tokens[-reach:], skip_special_tokens=False)
    return any(one in tail for one in stop)


def picture(request: int, content: bytes | None) -> Any:
    """The image in a JPEG, PNG or WebP file: Pillow's, upright, in RGB. Raises UserError where there is none."""
    from PIL import Image

    if content is None:
        raise UserError(f"request {request} has no image, its task needs one; set dataset.media and sample again")
    try:
        with (
            warnings.catch_warnings(action="ignore", category=UserWarning),  # of damaged EXIF
            Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as opened,
        ):
            opened.load()
            return _upright(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        raise UserError(
            f"request {request}: its image is no JPEG, PNG or WebP file that can be read "
            f"({' '.join(str(error).split())[:100]}); sample the prompts again"
        ) from error


def _upright(image: Any) -> Any:
    """Turned as the orientation in its EXIF says.

    Not ImageOps.exif_transpose: that writes the whole EXIF again, which Pillow cannot do for all that it reads.
    """
    from PIL import ExifTags, Image

    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 (an EXIF that cannot be read says nothing, whatever is wrong with it)
        return image
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(orientation)
    return image if turn is None else image.transpose(turn)
