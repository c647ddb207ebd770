"""The JSON files among the raw records: point.json, run.json, and what was sampled and prepared for a run."""

import math
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from joulebench.loads import is_last
from joulebench.loads.setting import Setting

Status = Literal["measured", "overloaded", "out_of_memory", "failed"]
EndedBy = Literal["precision", "max_seconds", "max_requests"]
Start = Literal["cold", "equilibrium"]


class Record(BaseModel):
    """A JSON file of the raw records."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Count = Annotated[int, Field(gt=0, lt=2**53)]
Watts = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SampleTokens(Record):
    """Tokens of all the requests that a run may serve, where their answers are given lengths: sums over the sample."""

    requests: Count
    prompt_tokens: Count
    output_tokens: Count


Megabytes = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Memory(Record):
    """The most that a point needed, MB (10^6 bytes); null of what cannot be told (measure.memory).

    `allocated_mb`, `reserved_mb`: of the GPUs, by torch in the measuring process. `process_mb`: of the GPUs, held by
    the measured processes when the point ended. `ram_mb`: of the machine's, by the same processes.
    """

    allocated_mb: Megabytes | None
    reserved_mb: Megabytes | None
    process_mb: Megabytes | None
    ram_mb: Megabytes | None


class Point(Record):
    """point.json: one setting of a run, and how it ended (`ended_by`: under the adaptive protocol).

    `setting`: what it stands for; earlier records have none, of a closed loop at `max_batch_size`.
    `loaded_idle_power_w`: GPU -> what it drew before the first point, the model loaded and nothing running; null where
    it was not at rest, or where there is no GPU. `start`: of a text task, with whole requests or with such as are found
    in the middle (measure/equilibrium.py). `generation`: what each call of a diffusion pipeline was given, by its own
    names; a guidance scale that the config leaves out is there as the pipeline's default. `spec_hash`,
    `requests_sha256`, `device`: what it was measured of and on, as run.json has them. Earlier records have none of
    these, nor `sample_tokens` or `memory`; they began cold. `client_busy_share`: for how much of the point's duration
    the client of a server was not waiting for it. `outside_engine_share`: how many of the requests in flight the
    server's engine neither ran nor had waiting, by its metrics; both null without a server. `load_began`: when its
    times are 0, by the machine's clock and zone. All null in earlier records.
    """

    point: int
    max_batch_size: Annotated[int, Field(gt=0, lt=2**31)]
    setting: Setting | None = None
    status: Status
    reason: str | None = None
    started_utc: str
    duration_s: float
    ended_by: EndedBy | None = None
    start: Start | None = None
    loaded_idle_power_w: dict[str, Watts] | None = None
    sample_tokens: SampleTokens | None = None
    memory: Memory | None = None
    client_busy_share: Annotated[float, Field(ge=0)] | None = None
    outside_engine_share: Annotated[float, Field(ge=0, le=1)] | None = None
    generation: dict[str, Any] | None = None
    spec_hash: str | None = None
    requests_sha256: str | None = None
    device: str | None = None
    load_began: AwareDatetime | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "Point":
        if self.setting is not None and self.setting.max_batch_size != self.max_batch_size:
            raise ValueError(f"max_batch_size is {self.max_batch_size}, its setting's {self.setting.max_batch_size}")
        return self

    @property
    def at(self) -> Setting:
        return self.setting or Setting(max_batch_size=self.max_batch_size)

    @property
    def folder(self) -> str:
        return point_folder(self.point, self.at.label)

    @property
    def is_last(self) -> bool:
        """Whether its sweep has no other after it."""
        return is_last(self.status, self.at.load)

    @property
    def begun(self) -> int:
        """How many of its requests were begun in the middle."""
        return self.max_batch_size if self.start == "equilibrium" else 0


class Prompts(Record):
    """results/prompts/{name}.json beside the Parquet file: how it was sampled, and what could not be used."""

    dataset: dict[str, Any]
    sample: dict[str, Any]
    origin: dict[str, str]
    rows: int
    looked_at: int | None = None
    unusable: dict[str, int]


class Origin(Record):
    """Where a checkpoint's files are from that are not the hub's snapshot; of a path on this machine its last name.

    `sha256` is the source's, as the config may pin it. Of GGUF: `quantization` is what the file says that it is,
    `weights` how many weights are of which type. It is the file's alone: what is served was unpacked.
    """

    kind: Literal["local", "package", "hub"]
    file: str
    sha256: str
    quantization: str | None = None
    weights: dict[str, int] | None = None


class Model(Record):
    """model.json beside a model's weights: what they are, and what the config said of them (spec.model_spec).

    `commit`: of the hub's repository, where the config has the name of a tag or branch.
    """

    model: str
    made_from: dict[str, Any]
    parameters: int
    licence: str | None
    origin: Origin | None = None
    commit: str | None = None
    files_sha256: dict[str, str]


class Export(Record):
    """export.json beside what an engine serves in place of a model's own files, made once of them.

    `made_from`, `model_files_sha256`: the model's, as its model.json has them. `arguments`: what the builder was given
    beside precision and provider.
    """

    model: str
    made_from: dict[str, Any]
    model_files_sha256: dict[str, str]
    precision: str
    provider: str
    arguments: list[str]
    versions: dict[str, str]
    files_sha256: dict[str, str]


class Machine(Record):
    """What the measuring machine says of itself."""

    host: str
    cpu: str
    cores: int
    memory_mb: float
    device: str
    devices: list[dict[str, Any]]
    tdp_w: float | None
    tdp_source: str | None
    energy_sources: dict[str, str | None]

    @field_validator("devices")
    @classmethod
    def _known(cls, devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for one in devices:
            for name in ("name", "uuid"):
                if not isinstance(one.get(name), str | None):
                    raise ValueError(f"{name} is {one[name]!r:.60}, expected text")
            watts = one.get("idle_power_w")
            number = isinstance(watts, int | float) and not isinstance(watts, bool)
            if watts is not None and not (number and 0 <= watts < math.inf):
                raise ValueError(f"idle_power_w is {watts!r:.60}, expected a number of W from 0 on")
        return devices

    def others(self, reports_as: str | None) -> list[str]:
        """The names of its GPUs, or else of its CPU, that do not hold `reports_as`, in any case."""
        names = [str(gpu["name"]) for gpu in self.devices if gpu.get("name") is not None] or [self.device]
        return [name for name in names if reports_as is not None and reports_as.casefold() not in name.casefold()]


class ServerTold(Record):
    """A server of OpenAI's API that was measured, as it tells of itself and was asked; null for what it does not tell.

    `command`: its words, where the run started it; of a `url`, its host is not told. `name`: its `server` header.
    `metrics`: whose names its /metrics have. `prefix_cache`: what would have told of tokens from a cache of prefixes.
    `prompts`: how they were sent; `counted`: by what tokens were counted before an answer's end.
    """

    reached: Literal["url", "command"]
    command: list[str] | None = None
    name: str | None = None
    version: str | None = None
    model: str
    metrics: str | None = None
    prefix_cache: Literal["metrics", "usage"] | None = None
    prompts: Literal["token ids", "text", "messages"]
    counted: Literal["token ids", "usage", "chunks", "text"]


class EngineStart(Record):
    """How an engine started.

    `process`: how vLLM's engine core came to be. `compile_cache`: warm where vLLM found what it had compiled for the
    same settings before; null where it compiles nothing, or keeps nothing. `server`: of the engine `server` alone.
    """

    process: Literal["fork", "spawn"] | None = None
    compile_cache: Literal["warm", "cold"] | None = None
    server: ServerTold | None = None


class Run(Record):
    """run.json: what was measured, with what, and how each point ended.

    `durations_s` and `energies_j` tell what its last session took and drew by part: engine_start (the model's loading
    among it), first_call, points, engine_stop; an energy is None where nothing measures it. `engine_start`: which kind
    of start that was, None of an engine that has but one. `points_sha256`: a point's folder -> its file -> SHA-256.
    `export`: of what an engine served that was made of the model's files, None of one that serves those.
    `model_commit`: as model.json has it. Records of an earlier version lack some of them.
    """

    spec: dict[str, Any]
    spec_hash: str
    parameters: int = Field(ge=0, lt=2**63)
    model_files_sha256: dict[str, str]
    requests_sha256: str
    versions: dict[str, str | None]
    machine: Machine
    started_utc: str
    ended_utc: str
    durations_s: dict[str, float] | None = None
    energies_j: dict[str, float | None] | None = None
    engine_start: EngineStart | None = None
    export: Export | None = None
    model_commit: str | None = None
    points: list[Point]
    points_sha256: dict[str, dict[str, str]] | None = None


class Score(Record):
    """How right a model's answers are: `right` of `asked`, with Wilson's 95 % interval of the share.

    Of images `right` is null, and so are `mean_output_tokens` and `ended`: `quality` is the mean of their scores, with
    its 95 % interval (Student's t; null of a single one). `judged`: what the config said of it (config.quality).
    `ended`: so many ended by themselves, before they had as many tokens as they might get. `judge`: the model that
    judged, as its model.json has it, null where none did; `cut`: so many prompts were longer than it reads. `export`:
    as run.json has it.
    """

    spec: dict[str, Any]
    metric: str
    judged: dict[str, Any]
    right: int | None = Field(ge=0)
    asked: Count
    quality: float = Field(ge=0)
    quality_low: float | None = Field(ge=0)
    quality_high: float | None = Field(ge=0)
    mean_output_tokens: float | None = Field(gt=0)
    ended: int | None = Field(ge=0)
    cut: int | None = Field(None, ge=0)
    judge: Model | None = None
    started_utc: str
    duration_s: float
    model_files_sha256: dict[str, str]
    export: Export | None = None
    requests_sha256: str
    versions: dict[str, str | None]

    @model_validator(mode="after")
    def _shares_are_no_more_than_all(self) -> "Score":
        bounds = (self.quality_low, self.quality, self.quality_high)
        if self.right is not None and any(bound is None or bound > 1 for bound in bounds):
            raise ValueError(f"quality is {bounds} of {self.right} right, expected a share with its interval")
        return self

    def __str__(self) -> str:
        low, high = self.quality_low, self.quality_high
        if self.right is not None and low is not None and high is not None:
            share = f"{100 * self.quality:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"
            return f"{self.right} of {self.asked} right, {share}"
        known = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
        return f"{self.metric} {self.quality:.2f}{known}, the mean of {self.asked}"


def point_folder(index: int, label: str) -> str:
    """`02-b8`: the folder of a run's third point, by the label of its setting."""
    return f"{index:02d}-{label}"
