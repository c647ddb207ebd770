"""What the config says of a server that is measured, and what does not fit together."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PositiveFloat,
    StringConstraints,
    model_validator,
)

from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.names import IMAGE_TASKS

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_ADDRESS = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*|http://(127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}(/v1)?/?")
OURS = {
    *("model", "prompt", "messages", "max_tokens", "temperature", "stream", "stream_options", "n", "stop"),
    *("ignore_eos", "min_tokens", "return_token_ids"),
}
"""What each request says by itself."""


class Filled(NamedTuple):
    """What stands in a command's words for the names in braces, beside {host} and {port}."""

    model: str
    dtype: str
    batch: str
    tensor_parallel: str
    quantization: str

    @classmethod
    def of(cls, spec: RunSpec, folder: Path) -> Self:
        """Of a run; `folder`: its model's."""
        return cls(
            model=str(folder),
            dtype=spec.dtype,
            batch=str(spec.sweep.largest_batch),
            tensor_parallel=str(spec.tensor_parallel),
            quantization=spec.quantization or "",
        )


PLACES = {*Filled._fields, "host", "port"}
_PLACE = re.compile(r"\{([a-z_]+)\}")
_SECRET = re.compile(r"(?i)(^|[-_])(api[-_]?key|(hf|auth|access|bearer)[-_]?token|secret|password)(=|$)")


def _can_be_asked(url: str) -> bool:
    """Whether an address names a host; a user's name has no colon in it (RFC 7617, 2)."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    plain = not parts.query and not re.search(r"\s", url)
    return parts.scheme in ("http", "https") and named and plain and ":" not in unquote(parts.username or "")


def _is_an_address(url: str) -> str:
    if not _ADDRESS.fullmatch(url) or not (url.startswith("$") or _can_be_asked(url)):
        raise ValueError(
            "expected http://127.0.0.1:PORT (or localhost, or [::1]) without a path but /v1, or $NAME, an environment "
            "variable that has the address"
        )
    return url


class Settings(BaseModel):
    """A server of OpenAI's API on this machine: one that runs (`url`), or one that the run starts (`command`).

    A spec is published with its records. So the url is of this machine's own loopback, or $NAME, an environment
    variable that has it; a key is in the environment variable that `api_key_env` names. In `command`, {model} is the
    model's folder, {host} and {port} where it has to listen; {dtype}, {tensor_parallel}, {quantization} and
    {batch}, the most in flight, are the run's. `parameters` go into each request as they are. `ignore_eos` says how an
    answer is made as long as asked: by vLLM's ignore_eos (SGLang and llama.cpp have it too), by min_tokens, or not.
    `start_s`: until it is there; `stall_s`: without a token of a request, its wait in the server included.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())
    url: Annotated[str, AfterValidator(_is_an_address)] | None = None
    command: tuple[str, ...] | None = None
    endpoint: Literal["completions", "chat"] = "completions"
    model_name: str | None = None
    api_key_env: Variable | None = None
    ignore_eos: Literal["vllm", "min_tokens", "none"] = "none"
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    start_s: PositiveFloat = 600.0
    stall_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise ValueError(f"found {'both' if self.url else 'neither'} of url and command; a server is one of them")
        if self.command is not None and not any("{port}" in word for word in self.command):
            raise ValueError("command has no {port}, so that nobody knows where the server listens; give it one")
        for word in self.command or ():
            if unknown := set(_PLACE.findall(word)) - PLACES:
                known = ", ".join(f"{{{name}}}" for name in sorted(PLACES))
                raise ValueError(f"command has {{{min(unknown)}}}; what is filled in is {known}")
            if (word.startswith("-") or "=" in word) and _SECRET.search(word):
                raise ValueError(f"command has {word.split('=')[0]}, and is published; let its environment hold it")
        if ours := sorted(OURS & self.parameters.keys()):
            raise ValueError(f"parameters has {', '.join(ours)}, which each request says by itself; leave it out")
        return self

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.endpoint == "chat" else "/v1/completions"

    def address(self) -> str:
        """Where the server of `url` is, without the /v1 that clients of OpenAI's API are given.

        Raises UserError where the variable that it names is not set.
        """
        assert self.url is not None
        if not self.url.startswith("$"):
            return _without_v1(self.url)
        found = _without_v1(os.environ.get(self.url[1:], "").strip())
        if not _can_be_asked(found):
            raise UserError(
                f"engines.*.settings.url: {self.url} is {'no address' if found else 'not set'}; expected http://HOST:PORT"
            )
        return found

    def key(self) -> str | None:
        """The key that the server wants. Raises UserError where the variable that has it is not set."""
        if self.api_key_env is None:
            return None
        found = os.environ.get(self.api_key_env, "").strip()
        if not found or not found.isascii() or not found.isprintable():
            raise UserError(
                f"engines.*.settings.api_key_env: {self.api_key_env} is {'no key' if found else 'not set'}; export it"
            )
        return found


def _without_v1(address: str) -> str:
    return address.rstrip("/").removesuffix("/v1").rstrip("/")


def against(spec: RunSpec, settings: Settings) -> str | None:
    """Why the settings do not fit a run, in one line; None where they do."""
    chat, sweep = settings.endpoint == "chat", spec.sweep
    given = spec.output_length is not None and not spec.natural
    if (given or any(one.output_tokens for one in sweep.settings)) and settings.ignore_eos == "none":
        return (
            "answers of given lengths (output_length: reference or fixed, output_tokens) need settings.ignore_eos: "
            "vllm or min_tokens, and a server that knows it; or set output_length to natural"
        )
    if spec.task in IMAGE_TASKS and not chat:
        return f"{spec.task} has images, which endpoint: completions does not take; set endpoint: chat"
    if chat and spec.prompt_form == "completion":
        return "prompts that are completed as they are (prompt_form: completion) go to endpoint: completions"
    if chat and sweep.start == "equilibrium":
        return (
            "a start in equilibrium puts an answer's first tokens behind its prompt, which endpoint: chat does not "
            "take; set start: cold, or endpoint: completions"
        )
    if chat and any(one.input_tokens for one in sweep.settings):
        return "prompts of input_tokens are token ids, which endpoint: chat does not take; set endpoint: completions"
    words = " ".join(settings.command or ())
    for name, asked in (("tensor_parallel", spec.tensor_parallel > 1), ("quantization", spec.quantization is not None)):
        if asked and settings.command and f"{{{name}}}" not in words:
            return f"variant {spec.variant} wants {name}, of which settings.command says nothing; give it {{{name}}}"
    return None
