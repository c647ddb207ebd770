"""What a server of OpenAI's API tells of itself beside its answers: its models, its version, its metrics.

The names are those of vLLM 0.25 (docs/usage/metrics), SGLang (references/production_metrics, with --enable-metrics) and
llama.cpp (tools/server/README, with --metrics), in Prometheus' text format.
"""

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Names:
    """A server's metrics; `cached`: prompt tokens that its cache of prefixes has served, or their share in `rate`.

    `preempted`: requests thrown out of memory so far; `usage`: the share of its KV cache that is in use.
    """

    kind: str
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    cached: tuple[str, ...] = ()
    rate: tuple[str, ...] = ()
    preempted: tuple[str, ...] = ()
    usage: tuple[str, ...] = ()


KNOWN = (
    Names(
        "vllm",
        ("vllm:num_requests_running",),
        ("vllm:num_requests_waiting",),
        ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits_total"),
        preempted=("vllm:num_preemptions_total", "vllm:num_preemptions"),
        usage=("vllm:kv_cache_usage_perc",),
    ),
    Names(
        "sglang",
        ("sglang:num_running_reqs",),
        ("sglang:num_queue_reqs",),
        ("sglang:cached_tokens_total",),
        ("sglang:cache_hit_rate",),
        ("sglang:num_retracted_requests_total",),
        ("sglang:token_usage",),
    ),
    Names("llama.cpp", ("llamacpp:requests_processing",), ("llamacpp:requests_deferred",)),
)
OFF = "--no-enable-prefix-caching of vLLM, --disable-radix-cache of SGLang, --no-cache-prompt of llama.cpp"


@dataclass(frozen=True)
class Metrics:
    """One look at /metrics; None for what is not there."""

    kind: str
    running: int | None
    waiting: int | None
    cached: float | None
    preempted: int | None = None
    usage: float | None = None


_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?\s+(\S+)")


def metrics(content: bytes) -> Metrics | None:
    """The metrics of a server that is known; None where nothing of them is there. Sums over labels (ranks, sources)."""
    sums: dict[str, float] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        if found := _SAMPLE.match(line):
            try:
                sums[found[1]] = sums.get(found[1], 0.0) + float(found[2])
            except ValueError:
                continue
    for names in KNOWN:
        if (running := _first(sums, names.running)) is not None:
            waiting, cached = _first(sums, names.waiting), _first(sums, names.cached)
            preempted, usage = _first(sums, names.preempted), _first(sums, names.usage)
            return Metrics(
                *(names.kind, _count(running), _count(waiting), _or(cached, _first(sums, names.rate))),
                *(_count(preempted), usage if usage is not None and 0 <= usage <= 1 else None),
            )
    return None


def models(content: bytes) -> list[dict[str, Any]]:
    """What GET /v1/models lists; nothing where it cannot be read."""
    found = _object(content).get("data")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def version(content: bytes) -> str | None:
    """Of GET /version (vLLM), /server_info or /get_server_info (SGLang), /props (llama.cpp)."""
    told = _object(content)
    found = told.get("version") or told.get("build_info")
    return str(found)[:60] if isinstance(found, str) else None


def _object(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _first(sums: dict[str, float], names: tuple[str, ...]) -> float | None:
    return next((sums[name] for name in names if name in sums), None)


def _or(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _count(value: float | None) -> int | None:
    return None if value is None or not 0 <= value < 2**31 else int(value)
