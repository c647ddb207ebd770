"""What a request to a server says of its prompt: token ids, a text, or a user's turn, with or without an image."""

import base64
from collections.abc import Sequence
from typing import Any

from joulebench.engines.prompts import picture
from joulebench.errors import UserError


def turn(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}]}


def turn_with_image(request: int, prompt: str, image: bytes | None) -> dict[str, Any]:
    """The image as a data URL, as it is in the sample. Raises UserError where there is none that can be read."""
    picture(request, image)
    content = image or b""
    url = f"data:image/{_kind(content)};base64,{base64.b64encode(content).decode('ascii')}"
    return {"messages": [{"role": "user", "content": [_image(url), {"type": "text", "text": prompt}]}]}


def with_name(content: dict[str, Any], name: str) -> dict[str, Any]:
    """`content` with a name for its image: vLLM's caches of images go by it, and else by what is in them."""
    (message,) = content["messages"]
    if not isinstance(message["content"], list):
        return content
    parts = [part | ({"uuid": name} if part["type"] == "image_url" else {}) for part in message["content"]]
    return content | {"messages": [message | {"content": parts}]}


def as_text(tokenizer: Any, ids: Sequence[int]) -> dict[str, Any]:
    """The text that a server's tokenizer makes these ids of, as ours does. Raises UserError where there is none.

    A tokenizer that opens every text by itself must not find its opening there already.
    """
    text = str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    for one in (text, text.removeprefix(tokenizer.bos_token or "")):
        if list(tokenizer(one).input_ids) == list(ids):
            return {"prompt": one}
    raise UserError(
        "the server takes no token ids, and a prompt of the sample is no text that its tokenizer makes the same ids "
        "of; take endpoint: chat, or a server that takes them"
    )


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _kind(image: bytes) -> str:
    """The format of a picture, by its first bytes: there are three."""
    return "png" if image.startswith(b"\x89PNG") else "webp" if image[8:12] == b"WEBP" else "jpeg"
