"""Latency targets: a task's own, and those of services that recommendations are made for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PositiveFloat, StringConstraints

from joulebench.inputs.checked import Strict
from joulebench.names import TaskName

OWN_TARGET = "config"
"""The service that a task's own latency target stands for."""


def _service_name(value: str) -> str:
    if value == OWN_TARGET:
        raise ValueError(f"'{OWN_TARGET}' is what the tasks' own latency targets are called; take another name")
    return value


ServiceName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64), AfterValidator(_service_name)
]


class LatencyTarget(Strict):
    metric: Literal["ttft", "submission_ttft", "tpot", "itl", "latency"]
    quantile: Literal[50, 90, 95, 99] = 50
    at_most_s: PositiveFloat

    @property
    def column(self) -> str:
        """The column of tables.POINTS that it is about."""
        return f"{self.metric}_p{self.quantile}_s"

    def __str__(self) -> str:
        return f"{self.column} <= {self.at_most_s:g}"


Targets = Mapping[str, LatencyTarget | None]
"""Task -> its own latency target."""


def targets_of(plain: Mapping[str, Any]) -> Targets:
    """Targets from plain keys and values, as a rule gives them to its script."""
    return {task: None if target is None else LatencyTarget(**target) for task, target in plain.items()}


class Service(Strict):
    """What a service promises: every one of `at_most`, for each of `tasks`."""

    tasks: Annotated[tuple[TaskName, ...], Field(min_length=1)]
    at_most: Annotated[tuple[LatencyTarget, ...], Field(min_length=1)]
    source: str | None = Field(default=None, description="Who set it, and where.")


def services_of(plain: Mapping[str, Any]) -> dict[str, Service]:
    """Services from plain keys and values, as `targets_of`."""
    return {name: Service(**service) for name, service in plain.items()}


def _text(source: str, ttft_s: float, tpot_s: float) -> Service:
    return Service(
        tasks=("llm-chat", "llm-code", "vlm-chat"),
        at_most=(
            LatencyTarget(metric="submission_ttft", quantile=99, at_most_s=ttft_s),
            LatencyTarget(metric="tpot", quantile=99, at_most_s=tpot_s),
        ),
        source=source,
    )


_CONF = "loadgen/mlperf.conf of github.com/mlcommons/inference"
_V50 = f"MLPerf Inference v5.0, datacenter, server scenario: {_CONF} at 982b206"
_V51 = (
    f"MLPerf Inference v5.1, datacenter, server scenario: {_CONF} at 001712e; "
    "NVIDIA, Blackwell Ultra Sets New Inference Records in MLPerf Debut, 2025-09-09"
)
_V60 = (
    f"MLPerf Inference v6.0, datacenter, server scenario: {_CONF} at 001712e; "
    "MLCommons, GPT-OSS 120B and DeepSeek-R1 interactive, mlcommons.org/2026/03/mlperf-inference-gpt-oss"
)

SERVICES: dict[str, Service] = {
    "mlperf-llama3.1-8b": _text(_V51, 2.0, 0.1),
    "mlperf-llama3.1-8b-interactive": _text(_V51, 0.5, 0.03),
    "mlperf-llama2-70b": _text(_V50, 2.0, 0.2),
    "mlperf-llama2-70b-interactive": _text(_V50, 0.45, 0.04),
    "mlperf-mixtral-8x7b": _text(_V50, 2.0, 0.2),
    "mlperf-llama3.1-405b": _text(_V50, 6.0, 0.175),
    "mlperf-llama3.1-405b-interactive": _text(_V51, 4.5, 0.08),
    "mlperf-deepseek-r1": _text(_V51, 2.0, 0.08),
    "mlperf-deepseek-r1-interactive": _text(_V60, 1.5, 0.015),
    "mlperf-sdxl": Service(
        tasks=("text-to-image",),
        at_most=(LatencyTarget(metric="latency", quantile=99, at_most_s=20.0),),
        source=_V50,
    ),
}
"""The latencies that known services promise, each at the 99th percentile.

They are MLPerf's, by the model that each was set for; here they are asked of every model of a task, since what they
bound is how long a person waits. Its time to first token counts from a request's arrival. Here that is
`submission_ttft`, from when the load generator hands a request over, and not `ttft`, from when the engine takes it in:
the two differ where memory, not the maximum batch size, limits what is served at once, and there the person waits all
the same. Arrivals are not MLPerf's: it draws them from a Poisson process, and the closed loop sends a request when
another has finished. So nobody waits here because many came at once, and the time to the first token is rather a lower
bound of what the server scenario would see at the same throughput.

Left out: GPT-OSS-120B and Qwen3-VL-235B, new in v6.0, whose limits could not be read in MLPerf's own file; GPT-J and
Whisper, whose tasks are others.
"""
