"""What one run of the matrix stands for: the resolved spec that its records carry."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue, PositiveInt

from joulebench.config.models import (
    Attention,
    Checkpoint,
    Dtype,
    Generation,
    Quantization,
    Source,
    Synthetic,
    Tokenizer,
    Variant,
)
from joulebench.config.quality import ClipScore, Quality
from joulebench.config.sweeps import Sweep
from joulebench.config.tasks import Dataset, OutputLength, PromptForm, Sample, StopString
from joulebench.config.whole import Config
from joulebench.families import DIFFUSION, of
from joulebench.inputs.checked import Strict
from joulebench.inputs.yaml_files import read_yaml
from joulebench.names import Device, TaskName


class RunSpec(Strict):
    """Everything that the config says of one run's measuring: what its records stand for.

    Facts that only the tables use (latency targets, TDP, licences) are not part of it.
    """

    hardware: str
    device: Device
    reports_as: str | None
    server_processes: int = 0
    task: TaskName
    model: str
    variant: str | None
    weights: Literal["checkpoint", "synthetic"]
    revision: str | None
    source: Source | None = None
    repo: str | None = None
    replaces_drawn: bool = False
    trust_remote_code: bool
    architecture: dict[str, JsonValue] | None
    weights_seed: int | None
    tokenizer: Tokenizer | None
    dtype: Dtype
    generation: Generation | None
    tensor_parallel: int = 1
    expert_parallel: bool = False
    quantization: Quantization | None = None
    attention: Attention | None = None
    engine: str
    engine_settings: dict[str, JsonValue]
    dataset: Dataset
    sample: Sample
    output_length: OutputLength | None
    prompt_form: PromptForm = "chat"
    stop: tuple[StopString, ...] = ()
    sweep: Sweep
    repeat: PositiveInt = 1

    @property
    def run(self) -> str:
        """The run's folder name: `run_folder` of the model id, with '+variant' where there is one, and the repeat."""
        run = self.model if self.variant is None else f"{self.model}+{self.variant}"
        return run_folder(run, self.repeat, self.replaces_drawn)

    @property
    def natural(self) -> bool:
        """Whether the model ends its answers itself, where a point does not say how long they are."""
        return self.output_length is not None and self.output_length.kind == "natural"

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def torch_device(self) -> str:
        """As PyTorch calls it, to which a GPU is `cuda` under ROCm too."""
        return "cuda" if self.on_gpu else "cpu"

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON of every field that is not at its default.

        A field that is added later, with a default that means what was always done, leaves old records valid. A
        guidance scale that was left out once meant 0, and is in no hash: there, and there alone, 0 is the default.
        """
        fields = self.model_dump(mode="json", exclude_defaults=True)
        if self.generation is not None:
            scale = self.generation.guidance_scale
            fields["generation"].pop("guidance_scale", None)
            fields["generation"] |= {} if scale == 0 else {"guidance_scale": scale}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def run_folder(run: str, repeat: int = 1, replaces_drawn: bool = False) -> str:
    """`owner/name+variant` -> `owner--name+variant`, its third repeat `owner--name+variant@3`.

    With its own weights in place of drawn ones `owner--name--hub+variant`: no id holds '--', and neither folder is
    ever the other's.
    """
    name, plus, variant = run.replace("/", "--").partition("+")
    return f"{name}{'--hub' if replaces_drawn else ''}{plus}{variant}" + (f"@{repeat}" if repeat > 1 else "")


def model_folder(name: str, replaces_drawn: bool = False) -> Path:
    """Where the files of the model `name` lie: results/models/{owner}--{name}, or as `run_folder` has it."""
    return Path("results", "models", run_folder(name, replaces_drawn=replaces_drawn))


def run_spec(config: Config, hardware: str, group: str, run: str, repeat: int = 1) -> RunSpec:
    """Resolve one run of the matrix or of a study; `run` is a model id, with `+variant` where there is one.

    `group`: the task, or the study's name.
    """
    name, _, variant_name = run.partition("+")
    task = config.task_of(hardware, group)
    model, place = config.model(name), config.hardware[hardware]
    variant = config.variants[variant_name] if variant_name else Variant()
    engine, asked = config.engine_of(hardware, group, run), config.tasks[task]
    dataset, sample = config.prompts[config.prompts_of(hardware, group)]
    sweep, length = config.sweep_of(hardware, group, run), config.length_of(hardware, group, run)
    if length is not None and length.kind == "natural":
        sweep = sweep.model_copy(update={"start": "cold"})  # none can be found in the middle of an unknown length
    return RunSpec(
        hardware=hardware,
        device=place.device,
        reports_as=place.reports_as,
        server_processes=place.server_processes if engine.kind == "server" else 0,
        task=task,
        model=name,
        variant=variant_name or None,
        **model_spec(name, model),
        replaces_drawn=config.replaces_drawn(name),
        dtype=variant.dtype or model.dtype,
        generation=model.generation if of(task) is DIFFUSION else None,
        tensor_parallel=variant.tensor_parallel,
        expert_parallel=variant.expert_parallel,
        quantization=variant.quantization,
        attention=variant.attention,
        engine=engine.kind,
        engine_settings=engine.settings,
        dataset=dataset,
        sample=sample,
        output_length=length if of(task).has_tokens else None,
        prompt_form=asked.prompt_form,
        stop=asked.stop,
        sweep=sweep,
        repeat=repeat,
    )


def model_spec(name: str, model: Checkpoint | Synthetic) -> dict[str, Any]:
    """What a model's files are made from: the fields of RunSpec that results/models/{model}/ stands for."""
    if isinstance(model, Synthetic):
        made = {
            "architecture": architecture(name, model),
            "weights_seed": model.seed,
            "tokenizer": model.tokenizer.model_dump(),
        }
        return {"weights": "synthetic", "revision": None, "source": None, "trust_remote_code": False, **made}
    source = None if model.source is None else model.source.model_dump()
    code = {"revision": model.revision, "source": source, "trust_remote_code": model.trust_remote_code}
    code |= {} if model.repo is None else {"repo": model.repo}
    return {"weights": "checkpoint", **code, "architecture": None, "weights_seed": None, "tokenizer": None}


class Judge(NamedTuple):
    """A model that judges what another made: its id, what its files are made from (model_spec), and their folder."""

    model: str
    made_from: dict[str, Any]
    folder: Path


def judge_of(config: Config, quality: Quality) -> Judge | None:
    """The model that judges by `quality`, where one does."""
    if not isinstance(quality, ClipScore):
        return None
    return Judge(quality.clip, model_spec(quality.clip, config.models[quality.clip]), model_folder(quality.clip))


def architecture(name: str, model: Synthetic) -> dict[str, JsonValue]:
    """A synthetic model's architecture, read from its YAML file where the config names one."""
    if isinstance(model.architecture, dict):
        return model.architecture
    return read_yaml(Path(model.architecture), f"models.{name}.architecture")
