"""How a server is asked: what it knows of what a run wants, tried with a short request before anything is measured."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joulebench.config.spec import RunSpec
from joulebench.engines import server_prompts, server_told
from joulebench.engines.base import Prepared
from joulebench.engines.server_client import Client
from joulebench.engines.server_settings import Settings
from joulebench.engines.server_start import Process
from joulebench.engines.server_stream import Ask
from joulebench.errors import UserError
from joulebench.records.models import ServerTold

log = logging.getLogger(__name__)

REFUSED = (400, 422)
"""What servers answer to a parameter that they do not know, or to token ids where they take text alone."""
PROBE = "Hello, how are you?"
VERSIONS = ("/version", "/server_info", "/get_server_info", "/props")
TOKENS = 8


@dataclass(frozen=True)
class Api:
    """How requests are put: `extras` of vLLM's that this server takes; prompts as text where it takes no token ids."""

    settings: Settings
    model: str
    takes_text: bool
    returns_ids: bool
    continuous: bool
    longest: int | None
    told: ServerTold

    def body(self, one: Prepared, stop: Sequence[str], number: int) -> dict[str, Any]:
        """A request's own words. `number`: no other request has it."""
        content: Any = one.prompt
        if self.told.metrics == "vllm" and "messages" in content:
            content = server_prompts.with_name(content, str(number))
        return {
            "model": self.model,
            **content,
            "max_tokens": one.max_output_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True, **({"continuous_usage_stats": True} if self.continuous else {})},
            **({"return_token_ids": True} if self.returns_ids else {}),
            **(made_long(self.settings, one.max_output_tokens) if one.ignore_end else {}),
            **({"stop": list(stop)} if stop and not one.ignore_end else {}),
            **self.settings.parameters,
        }


def made_long(settings: Settings, tokens: int) -> dict[str, Any]:
    """What makes an answer as long as asked."""
    ways: dict[str, dict[str, Any]] = {
        "vllm": {"ignore_eos": True},
        "min_tokens": {"min_tokens": tokens},
        "none": {},
    }
    return ways[settings.ignore_eos]


def opened(
    spec: RunSpec, settings: Settings, folder: Path, client: Client, process: Process | None, tokenizer: Any
) -> Api:
    """Wait for the server and ask what it is and takes. Raises UserError."""
    if process is not None:
        process.wait(lambda: _why_not(client) is None, settings.start_s)
    elif (why := _why_not(client)) is not None:
        raise UserError(f"engines.*.settings.url: {why} at {client.address}; start the server first, or give its port")
    status, content, header = client.get("/v1/models")
    listed = server_told.models(content)
    model = _model(settings, folder, [str(one.get("id")) for one in listed], status)
    longest = next((one.get("max_model_len") for one in listed if one.get("id") == model), None)
    _, content, _ = client.get("/metrics")
    metrics = server_told.metrics(content)
    versions = (server_told.version(client.get(path)[1]) for path in VERSIONS)
    told = ServerTold(
        reached="command" if process else "url",
        command=list(settings.command) if settings.command else None,
        name=client.scrubbed(header) or None,
        version=next((one for one in versions if one), None),
        model=folder.name if model == str(folder) else model,
        metrics=None if metrics is None else metrics.kind,
        prefix_cache="metrics" if metrics is not None and metrics.cached is not None else None,
        prompts="messages" if settings.endpoint == "chat" else "token ids",
        counted="text",
    )
    return _tried(spec, Api(settings, model, False, True, True, _length(longest), told), client, process, tokenizer)


def _tried(spec: RunSpec, api: Api, client: Client, process: Process | None, tokenizer: Any) -> Api:
    """`api` as the server takes it: what it refuses is left out, the least needed first."""
    ids = list(tokenizer(PROBE).input_ids)
    content: dict[str, Any] = {"prompt": ids}
    text: dict[str, Any] = {"prompt": PROBE}
    if api.settings.endpoint == "chat":
        content = text = server_prompts.turn(PROBE)
    forms = [
        (content, True, True),
        (content, False, True),
        (content, False, False),
        *([] if content is text else [(text, False, False)]),
    ]
    given = api.settings.ignore_eos != "none"
    ask = None
    for long in (True, False) if given else (False,):
        for said, returns_ids, continuous in forms:
            made = Api(
                *(api.settings, api.model, said is text and content is not text, returns_ids, continuous),
                *(api.longest, api.told),
            )
            one = Prepared(said, None, TOKENS, long, ids=ids)
            ask = client.asked(Ask(0, json.dumps(made.body(one, (), 0)).encode(), api.model, TOKENS, long))
            if ask.status in REFUSED:
                continue
            if ask.why is not None:
                ended = process.ended() if process else None
                raise UserError(f"{ask.why}; the server {ended}" if ended else ask.why)
            if given and not long:
                raise UserError(
                    f"the server does not know {'ignore_eos' if api.settings.ignore_eos == 'vllm' else 'min_tokens'} "
                    "(settings.ignore_eos), which answers of given lengths need; set output_length to natural, or take "
                    "a server that does"
                )
            return _settled(made, ask, client)
    assert ask is not None
    raise UserError(f"{ask.why}; nothing less was taken either")


def _settled(api: Api, ask: Ask, client: Client) -> Api:
    counted = "token ids" if ask.ids else "usage" if ask.continuous else "text"
    if counted == "text" and ask.tokens - len(ask.text) in (0, 1):  # one without text ends an answer
        counted, client.tokenizer = "chunks", None
    told = api.told.model_copy(
        update={
            "prompts": "text" if api.takes_text else api.told.prompts,
            "counted": counted,
            "prefix_cache": api.told.prefix_cache or (None if ask.cached is None else "usage"),
        }
    )
    log.info("the server: %s", told.model_dump_json(exclude_none=True))
    if told.metrics is None:
        log.info("the server has no /metrics that are known: how many requests wait in it is not known")
    if told.prefix_cache is None:
        log.warning("whether the server's cache of prefixes serves tokens is not known; see that it is off")
    return Api(*(api.settings, api.model, api.takes_text, api.returns_ids, api.continuous, api.longest, told))


def _why_not(client: Client) -> str | None:
    """What says that the server is not there; None where it is."""
    page, status = "/health", client.get("/health", 2.0)[0]
    if status == 404:
        page, status = "/v1/models", client.get("/v1/models", 2.0)[0]
    if status == 200:
        return None
    return "nobody answered in 2 s" if status is None else f"{page} answered {status}, expected 200,"


def _model(settings: Settings, folder: Path, names: Sequence[str], status: int | None) -> str:
    """What the model is called: as the config says, or the folder where we started it, or the only one there is.

    `status`: of the answer that lists `names`.
    """
    if settings.model_name is not None:
        return settings.model_name.replace("{model}", str(folder))
    if settings.command is not None and (str(folder) in names or len(names) != 1):
        return str(folder)
    if status != 200:
        said = "did not answer" if status is None else f"answered {status}"
        raise UserError(
            f"the server's /v1/models {said}, so that nobody knows what it calls its model; say it in "
            "engines.*.settings.model_name"
        )
    if len(names) != 1:
        found = ", ".join(names[:5]) or "none"
        raise UserError(f"the server has the models {found}; name one in engines.*.settings.model_name")
    return names[0]


def _length(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None
