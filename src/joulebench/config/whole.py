"""config.yaml as pydantic models: what may be written there, and what it means.

The JSON schema for editors is generated from these models (joulebench.config.schema).
"""

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from pydantic import Field, field_validator, model_validator

from joulebench.config.footprint import Footprint
from joulebench.config.matrix import Engine, Entry, Hardware, Repeats, Study
from joulebench.config.models import Checkpoint, Model, ModelFacts, Synthetic, TrainedTokenizer, Variant
from joulebench.config.published import PublishedScores
from joulebench.config.quality import ClipScore, PassAt1, Quality
from joulebench.config.services import Service, ServiceName
from joulebench.config.sweeps import Sweep
from joulebench.config.tasks import Dataset, HubFolder, LocalFile, Original, OutputLength, Sample, Task, UrlFolder
from joulebench.errors import UserError
from joulebench.families import DIFFUSION, of
from joulebench.files import write_text
from joulebench.inputs.checked import Strict, checked, nearest
from joulebench.inputs.yaml_files import read_yaml
from joulebench.loads.setting import CLOSED_LOOP
from joulebench.names import IMAGE_TASKS, VIDEO_TASKS, HardwareName, ModelId, StudyName, TaskName, VariantName

VARIABLE = "JOULEBENCH_CONFIG"
"""Names the resolved config, overrides and all, to the processes that the workflow starts."""

MOST_RUNS = 10_000
"""Of the whole matrix: each is a job for Snakemake, and takes minutes to measure."""


class Config(Strict):
    """The whole of config.yaml."""

    measure_on: tuple[HardwareName, ...] = Field(description="The hardware that `snakemake all` covers.")
    repeats: Repeats = Field(1, description="How often each run is measured, each time from a new engine's start.")
    publish_flagged: bool = Field(False, description="Take flagged points into the leaderboard; invalid ones never.")
    published_weights: bool = Field(
        False,
        description="Serve a model's own weights of the hub where `published` names them, in place of drawn ones.",
    )
    hardware: dict[HardwareName, Hardware] = Field(description="The machines, by the names of their result folders.")
    tasks: dict[TaskName, Task] = Field(description="What is asked of models, and how it is measured.")
    models: dict[ModelId, Model] = Field(
        description="Where each model's weights come from, or the shape whose weights are drawn."
    )
    originals: dict[str, Original] = Field(
        default_factory=dict,
        description="A path that a dataset is read from -> where to fetch it, where nothing lies there.",
    )
    variants: dict[VariantName, Variant] = Field(
        default_factory=dict, description="Other ways to serve a model: owner/name+variant in the matrix."
    )
    engines: dict[str, Engine] = Field(description="What serves, with its settings and its interpreter.")
    matrix: dict[HardwareName, dict[TaskName, Entry]] = Field(
        default_factory=dict,
        description="Which models run which task on which hardware; none: studies alone.",
    )
    studies: dict[HardwareName, dict[StudyName, Study]] = Field(
        default_factory=dict,
        description="Beside the matrix: results/{hardware}/studies/{study}.csv, asked for by name.",
    )
    services: dict[ServiceName, Service] = Field(
        default_factory=dict, description="Latency targets to recommend for, beside the tasks' own and the presets."
    )
    footprint: Footprint = Field(default_factory=Footprint, description="Carbon and cost of a response.")
    published_scores: tuple[PublishedScores, ...] = Field(
        (), description="Scores that others published; a model has the first of these that knows it."
    )

    @field_validator("studies", mode="before")
    @classmethod
    def _lie_under_their_hardware(cls, value: Any) -> Any:
        for name, found in value.items() if isinstance(value, dict) else ():
            if isinstance(found, dict) and isinstance(found.get("task"), str):
                raise ValueError(f"'{name}' is a study, expected a hardware that has studies: {{cpu: {{{name}: ...}}}}")
        return value

    @model_validator(mode="after")
    def _refers_to_what_is_there(self) -> "Config":
        def known(value: str, names: Any, where: str, what: str) -> None:
            if value not in names:
                raise ValueError(f"{where}: no {what} '{value}' in the config{nearest(value, names)}")

        for task, own in self.tasks.items():
            _images_fit(task, own.dataset, f"tasks.{task}")
        for name, facts in self.models.items():
            if isinstance(facts, Synthetic) and isinstance(facts.tokenizer, TrainedTokenizer):
                known(facts.tokenizer.train_on, self.prompts, f"models.{name}.tokenizer.train_on", "prompts")
        for where, dataset in self._datasets():
            self._original_fits(where, dataset)
        for hardware in self.measure_on:
            known(hardware, self.matrix, "measure_on", "matrix entry")
        for hardware in self.footprint.price_per_gpu_hour:
            known(hardware, self.hardware, "footprint.price_per_gpu_hour", "hardware")
        for hardware in (*self.matrix, *self.studies):
            known(hardware, self.hardware, "matrix" if hardware in self.matrix else "studies", "hardware")
        for hardware, group, entry in self.entries():
            task, where = self.task_of(hardware, group), self.where(hardware, group)
            known(task, self.tasks, where, "task")
            known(entry.engine, self.engines, f"{where}.engine", "engine")
            _images_fit(task, entry.dataset, where)
            if len(set(entry.models)) < len(entry.models):
                raise ValueError(f"{where}.models: a model variant is listed twice in {list(entry.models)}")
            for run in entry.sweeps:
                known(run, entry.models, f"{where}.sweeps", "model variant of this entry")
            for run in entry.models:
                model, _, variant = run.partition("+")
                known(model, self.models, f"{where}.models", "model")
                if "+" in run:
                    known(variant, self.variants, f"{where}.models", "variant")
                    if (engine := self.variants[variant].engine) is not None:
                        known(engine, self.engines, f"variants.{variant}.engine", "engine")
                self._fits(hardware, group, run)
        runs = sum(len(entry.models) * (entry.repeats or self.repeats) for _, _, entry in self.entries())
        if runs > MOST_RUNS:
            raise ValueError(f"matrix: {runs:,} runs with their repeats, expected at most {MOST_RUNS:,}")
        return self

    @cached_property
    def prompts(self) -> dict[str, tuple[Dataset, Sample]]:
        """What is sampled, by the name of its file: a task's own, and `task.hardware` where that has another."""
        found = {str(name): (task.dataset, task.sample) for name, task in self.tasks.items()}
        for hardware, group, entry in self.entries():
            task = self.task_of(hardware, group)
            if task in self.tasks and (entry.dataset or entry.sample):
                base = found.get(f"{task}.{hardware}", found[task])
                found[_own_prompts(hardware, task, group)] = (entry.dataset or base[0], entry.sample or base[1])
        return found

    def model(self, name: str) -> Model:
        """A model as it is served: its own weights where `published_weights` wants them, and `published` names them."""
        facts = self.models[name]
        if not isinstance(facts, Synthetic) or facts.published is None or not self.published_weights:
            return facts
        shared = facts.model_dump(include=set(ModelFacts.model_fields))
        return Checkpoint(weights="checkpoint", revision=facts.published.revision, repo=facts.published.repo, **shared)

    def replaces_drawn(self, name: str) -> bool:
        """Whether `published_weights` has the model served with its own weights in place of drawn ones."""
        return self.model(name) is not self.models[name]

    def entries(self) -> Iterator[tuple[HardwareName, str, Entry]]:
        """Hardware, group and entry: those of the matrix, by their task, then the studies, by their name."""
        for parts in (self.matrix, self.studies):
            for hardware, entries in parts.items():
                for group, entry in entries.items():
                    yield hardware, group, entry

    def entry(self, hardware: str, group: str) -> Entry:
        """The entry of the matrix for a task, or the study, that `group` names."""
        return next(entry for place, name, entry in self.entries() if (place, name) == (hardware, group))

    def task_of(self, hardware: str, group: str) -> TaskName:
        """The task of an entry: its group, or what its study says."""
        study = self.studies.get(hardware, {}).get(group)
        return cast(TaskName, group) if study is None else study.task

    def where(self, hardware: str, group: str) -> str:
        return f"{'studies' if group in self.studies.get(hardware, {}) else 'matrix'}.{hardware}.{group}"

    def prompts_of(self, hardware: str, group: str) -> str:
        """The name of the prompts that the runs of one entry serve."""
        task = self.task_of(hardware, group)
        names = (_own_prompts(hardware, task, group), f"{task}.{hardware}")
        return next((name for name in names if name in self.prompts), task)

    def length_of(self, hardware: str, group: str, run: str) -> OutputLength | None:
        """The answer lengths of one run: as its variant says, its entry, the task on its hardware, or its task."""
        task = self.task_of(hardware, group)
        of_task = self.matrix.get(hardware, {}).get(task)
        return (
            self._variant(run).output_length
            or self.entry(hardware, group).output_length
            or (of_task and of_task.output_length)
            or self.tasks[task].output_length
        )

    def quality_of(self, hardware: str, group: str) -> Quality | None:
        """How the answers of one entry are judged: its own way, else its task's."""
        return self.entry(hardware, group).quality or self.tasks[self.task_of(hardware, group)].quality

    def sweep_of(self, hardware: str, group: str, run: str) -> Sweep:
        """The points of one run: its own in its entry, else the entry's, else its task's."""
        entry = self.entry(hardware, group)
        return entry.sweeps.get(run) or entry.sweep or self.tasks[self.task_of(hardware, group)].sweep

    def engine_of(self, hardware: str, group: str, run: str) -> Engine:
        """The engine of one run: its variant's where that names one, else the entry's."""
        return self.engines[self.engine_name(hardware, group, run)]

    def engine_name(self, hardware: str, group: str, run: str) -> str:
        """What the config calls it."""
        return self._variant(run).engine or self.entry(hardware, group).engine

    def _variant(self, run: str) -> Variant:
        return self.variants.get(run.partition("+")[2], Variant())

    def _fits(self, hardware: str, group: str, run: str) -> None:
        task, where, model = self.task_of(hardware, group), self.where(hardware, group), run.partition("+")[0]
        facts, length = self.model(model), self.length_of(hardware, group, run)
        sweep = self.sweep_of(hardware, group, run)
        lengths = sweep.input_tokens, sweep.output_tokens
        as_text = sweep.load != CLOSED_LOOP or sweep.start != "cold" or not sweep.batch_sizes or any(lengths)
        asked = self.entry(hardware, group).quality
        if asked is not None and group in self.studies.get(hardware, {}):
            raise ValueError(f"{where}.quality: a study's answers are not judged; say it in the matrix")
        if (judged := self.quality_of(hardware, group)) is not None and task not in judged.tasks:
            raise ValueError(
                f"{where}.quality: {judged.kind} judges {', '.join(judged.tasks)}, not {task}; leave it out"
            )
        if isinstance(judged, PassAt1) and not judged.run_code:
            raise ValueError(
                f"{where}.quality: pass-at-1 runs what the model writes; set run_code: true to let it, where it can "
                "compute and change nothing, or leave quality out"
            )
        if isinstance(judged, ClipScore):
            self._judges(judged.clip, f"{where}.quality.clip")
        if of(task).has_tokens and facts.generation is not None:
            raise ValueError(
                f"{where}.models: '{model}' makes images or videos (it has `generation`), and {task} asks for text; "
                f"put it under {', '.join(DIFFUSION.tasks)}, or leave generation out"
            )
        target = self.tasks[task].latency_target
        if not of(task).has_tokens and target is not None and target.metric != of(task).metric:
            raise ValueError(
                f"tasks.{task}.latency_target.metric: {target.metric} is of tokens, and {task} has none; set it to "
                f"{of(task).metric}"
            )
        if not of(task).has_tokens and as_text:
            raise ValueError(f"{where}.sweep: {task} is made in batches; give batch_sizes and protocol alone")
        if task in IMAGE_TASKS and any(one.input_tokens for one in sweep.settings):
            raise ValueError(f"{where}.sweep.input_tokens: a prompt of {task} holds an image; leave it out")
        if not of(task).has_tokens and self._variant(run).output_length is not None:
            raise ValueError(f"{where}.models: '{run}' asks for an output_length, and {task} has no answers of text")
        if of(task).has_tokens and length is None:
            raise ValueError(f"tasks.{task}.output_length: missing; a text task needs kind and tokens")
        natural = length is not None and length.kind == "natural" and not sweep.output_tokens
        if of(task).has_tokens and facts.weights == "synthetic" and natural:
            raise ValueError(
                f"{where}.models: '{model}' has synthetic weights, which never end an answer by themselves; "
                f"set output_length.kind to reference or fixed: of its variant, {where} or tasks.{task}"
            )
        if of(task) is DIFFUSION and facts.generation is None:
            raise ValueError(f"models.{model}.generation: missing; {task} needs height, width and denoising_steps")
        if task in VIDEO_TASKS and facts.generation and facts.generation.frames is None:
            raise ValueError(f"models.{model}.generation.frames: missing; {task} needs the number of frames")

    def _datasets(self) -> Iterator[tuple[str, Dataset]]:
        """Where the config has a dataset, and the dataset."""
        yield from ((f"tasks.{name}", task.dataset) for name, task in self.tasks.items())
        for hardware, group, entry in self.entries():
            if entry.dataset is not None:
                yield self.where(hardware, group), entry.dataset

    def _original_fits(self, where: str, dataset: Dataset) -> None:
        if not isinstance(dataset.source, LocalFile):
            return
        found = self.originals.get(path := dataset.source.path)
        if isinstance(found, HubFolder | UrlFolder):
            raise ValueError(
                f"originals.{path}: found {found.kind}, expected hub or url: {where}.dataset.source reads one file"
            )

    def _judges(self, model: str, where: str) -> None:
        """Whether the images of others may be judged by `model`."""
        if model not in self.models:
            raise ValueError(f"{where}: no model '{model}' in the config{nearest(model, self.models)}")
        facts = self.models[model]
        if isinstance(facts, Synthetic):
            raise ValueError(f"{where}: '{model}' has synthetic weights, which judge nothing; name a CLIP checkpoint")
        if facts.trust_remote_code:
            raise ValueError(
                f"{where}: '{model}' has trust_remote_code, and a judge runs no code of others; leave it out"
            )


def _own_prompts(hardware: str, task: str, group: str) -> str:
    """The name of prompts that are an entry's own: `task.hardware`, a study's `task.hardware.study`."""
    return f"{task}.{hardware}" if group == task else f"{task}.{hardware}.{group}"


def load(path: Path | str) -> Config:
    """Read a config file (YAML, or the JSON that the workflow hands to its scripts).

    Raises ConfigError with one line for each thing that is wrong.
    """
    return parse(read_yaml(Path(path), "config"), str(path))


def parse(raw: dict[str, Any], name: str = "config") -> Config:
    """Check the keys and values of a config; `name` opens each line of the error."""
    return checked(Config, raw, name)


def hand_over(config: Config, folder: Path) -> Path:
    """Write `config` as JSON into `folder`, under a name that its content gives it."""
    text = config.model_dump_json(indent=1)
    path = folder / f"config-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not path.exists():
        write_text(text, path)
    return path.resolve()


def handed_over() -> Config:
    """The config that the environment names, or config.yaml here. Raises UserError where it cannot be read."""
    path = Path(os.environ.get(VARIABLE, "config.yaml"))
    if not path.is_file():
        raise UserError(f"{path}: no such config; set {VARIABLE} to one or stand in the project's folder")
    return load(path)


def _images_fit(task: str, dataset: Dataset | None, where: str) -> None:
    if dataset is None:
        return
    if task in IMAGE_TASKS and dataset.media is None:
        raise ValueError(f"{where}.dataset.media: missing; {task} needs the images or videos that the rows name")
    if task not in IMAGE_TASKS and dataset.media is not None:
        raise ValueError(f"{where}.dataset.media: {task} serves no images; leave it out")
