"""What a config asks for: the runs of its matrix, the files that they need, and the targets that they make."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from joulebench import datasets, engines
from joulebench.analysis.published_scores import check_file
from joulebench.config.matrix import Slurm
from joulebench.config.models import Synthetic, TrainedTokenizer
from joulebench.config.quality import Quality
from joulebench.config.services import SERVICES
from joulebench.config.spec import Judge, RunSpec, judge_of, model_folder, run_folder, run_spec
from joulebench.config.tasks import PromptForm
from joulebench.config.whole import Config, parse
from joulebench.families import TEXT
from joulebench.figures import FIGURES
from joulebench.inputs.checked import ConfigError, nearest
from joulebench.inputs.reading import expanded
from joulebench.names import TaskName
from joulebench.records import nvidia_smi
from joulebench.tables.schemas import TABLES

FORMATS = ("svg", "png", "html")
PAGE = "results/site/index.html"
ORDER_SEED = 0
"""Of the order in which repeated runs are measured."""


@dataclass(frozen=True)
class Cell:
    """One run of the matrix or of a study: a repeat k > 1 of it lies in a folder of its own, `{run}@{k}`.

    `group`: its task where it is the matrix', its study where it is of one. `replaces_drawn`: its model has its own
    weights in place of drawn ones.
    """

    hardware: str
    task: TaskName
    run: str
    repeat: int = 1
    group: str = ""
    replaces_drawn: bool = False

    @cached_property
    def folder(self) -> Path:
        """results/{hardware}/runs/{group}/{run}"""
        return Path(
            "results", self.hardware, "runs", self.group, run_folder(self.run, self.repeat, self.replaces_drawn)
        )

    @cached_property
    def model_folder(self) -> Path:
        """results/models/{model}"""
        return model_folder(self.run.partition("+")[0], self.replaces_drawn)

    @property
    def score(self) -> Path:
        """The file that says how right its answers are."""
        return Path("results", self.hardware, "quality", self.group, f"{self.folder.name}.json")

    @cached_property
    def record(self) -> Path:
        """The file that says the run is whole."""
        return self.folder / "run.json"


class Plan:
    """A checked config, by the names that files have."""

    def __init__(self, config: Config) -> None:
        self.config = config
        cells = (
            Cell(
                hardware,
                config.task_of(hardware, group),
                run,
                repeat,
                group,
                config.replaces_drawn(run.partition("+")[0]),
            )
            for hardware, group, entry in config.entries()
            for run in entry.models
            for repeat in range(1, (entry.repeats or config.repeats) + 1)
        )
        self._cells = {(cell.hardware, cell.group, cell.folder.name): cell for cell in cells}
        self._priorities = priorities(self._cells.values())
        self._repeated = {cell.hardware for cell in self._cells.values() if cell.repeat > 1}
        self._specs: dict[Cell, RunSpec] = {}
        self._models = {run_folder(name, replaces_drawn=config.replaces_drawn(name)): name for name in config.models}
        if len(self._models) < len(config.models):
            raise ConfigError("models: two ids name the same folder once '/' is '--'")

    def cells(self, hardware: str | None = None) -> Iterator[Cell]:
        """The matrix' runs of one piece of hardware, or of all, in the config's order."""
        matrix = (cell for cell in self._cells.values() if cell.group == cell.task)
        return (cell for cell in matrix if hardware in (None, cell.hardware))

    def studied(self, hardware: str, study: str) -> list[Cell]:
        """The runs of a study, in the config's order. Raises ConfigError where the hardware has none of that name."""
        names = self.config.studies.get(hardware, {})
        if study not in names:
            raise ConfigError(f"no study '{study}' for {hardware} in the config{nearest(study, names)}")
        return [cell for cell in self._cells.values() if (cell.hardware, cell.group) == (hardware, study)]

    def logs(self, cells: Iterable[Cell]) -> list[str]:
        """The logs of nvidia-smi beside the records of runs: one that is put there makes the tables again."""
        return [str(log) for cell in cells if (log := cell.folder / nvidia_smi.LOG).exists()]

    def export(self, cell: Cell) -> Path | None:
        """The file that says that what the run's engine serves of its model is whole; None where that is the model."""
        folder = engines.export_folder(self.spec(cell), cell.model_folder)
        return None if folder is None else folder / "export.json"

    def exporter(self, record: Path) -> Cell:
        """A run that is served from what `record` stands for. Raises ConfigError where there is none."""
        for cell in self._cells.values():
            if record.is_relative_to(cell.model_folder) and self.export(cell) == record:
                return cell
        raise ConfigError(f"no run of the config is served from {record}")

    @property
    def groups(self) -> list[str]:
        """The tasks and the studies: the folders of runs."""
        return sorted({*self.config.tasks, *(cell.group for cell in self._cells.values())})

    def spec(self, cell: Cell) -> RunSpec:
        if cell not in self._specs:
            self._specs[cell] = run_spec(self.config, cell.hardware, cell.group, cell.run, cell.repeat)
        return self._specs[cell]

    def repeated(self, hardware: str) -> bool:
        """Whether any run of the hardware is measured more than once."""
        return hardware in self._repeated

    @property
    def on_slurm(self) -> bool:
        """Whether the config says how a cluster knows any of the hardware that it measures on."""
        places = {**self.config.matrix, **self.config.studies}
        return any(self.config.hardware[name].slurm != Slurm() for name in places)

    def priority(self, cell: Cell) -> float:
        """When it is measured: see `priorities`."""
        return self._priorities[cell]

    def cell(self, hardware: str, group: str, folder: str) -> Cell:
        """The run whose records lie in results/{hardware}/runs/{group}/{folder}. Raises ConfigError for no such run."""
        if (hardware, group, folder) in self._cells:
            return self._cells[hardware, group, folder]
        runs = [f"{cell.group}/{cell.folder.name}" for cell in self._cells.values() if cell.hardware == hardware]
        raise ConfigError(f"no run '{group}/{folder}' for {hardware} in the config{nearest(f'{group}/{folder}', runs)}")

    def model(self, folder: str) -> str:
        """The id of the model whose files lie in results/models/{folder}."""
        if folder not in self._models:
            raise ConfigError(f"no model of folder '{folder}' in the config{nearest(folder, self._models)}")
        return self._models[folder]

    def prompts(self, cell: Cell) -> Path:
        """The prompts that a run serves: results/prompts/{name}.parquet"""
        return Path("results", "prompts", f"{self.config.prompts_of(cell.hardware, cell.group)}.parquet")

    def scored(self, hardware: str) -> list[Cell]:
        """The runs whose answers are judged: of trained weights, where the config says how, once each."""
        return [
            cell
            for cell in self.cells(hardware)
            if cell.repeat == 1
            and self.config.quality_of(hardware, cell.group) is not None
            and self.config.model(cell.run.partition("+")[0]).weights == "checkpoint"
        ]

    def quality(self, cell: Cell) -> Quality:
        """How a run's answers are judged. Raises ConfigError where the config does not say."""
        if (found := self.config.quality_of(cell.hardware, cell.group)) is None:
            where = self.config.where(cell.hardware, cell.group)
            raise ConfigError(f"{where}.quality: missing; say how its answers are judged")
        return found

    def judge(self, cell: Cell) -> Judge | None:
        """The model that judges what a run makes, where one does."""
        return judge_of(self.config, self.quality(cell))

    def scores(self, hardware: str) -> dict[str, Any]:
        """What the quality of one hardware takes from the config, as `tables`."""
        wanted = [
            {
                "spec": self.spec(cell).model_dump(mode="json"),
                "judged": self.quality(cell).model_dump(mode="json"),
                "judge": (judge := self.judge(cell)) and judge.made_from,
            }
            for cell in self.scored(hardware)
        ]
        return {"wanted": wanted, "publish_flagged": self.config.publish_flagged}

    def trains_on(self, folder: str) -> str | None:
        """The name of the prompts whose texts a synthetic model's tokenizer is trained on, if any."""
        model = self.config.model(self.model(folder))
        if isinstance(model, Synthetic) and isinstance(model.tokenizer, TrainedTokenizer):
            return model.tokenizer.train_on
        return None

    def asks(self, folder: str) -> dict[TaskName, PromptForm]:
        """The text tasks that a model serves anywhere in the matrix, and the form of their prompts."""
        tasks = {cell.task for cell in self._cells.values() if cell.model_folder.name == folder}
        return {task: self.config.tasks[task].prompt_form for task in sorted(tasks & set(TEXT.tasks))}

    def prepared(self) -> list[str]:
        """The prompts and models that the runs of `all` are given."""
        cells = [cell for hardware in self.config.measure_on for cell in self.cells(hardware)]
        found = [
            file
            for cell in cells
            for file in (self.prompts(cell), cell.model_folder / "model.json", self.export(cell))
            if file is not None
        ]
        return [str(file) for file in dict.fromkeys(found)]

    def replaced(self) -> list[str]:
        """A line for each of the sampled prompts whose dataset's file on this machine is another one now."""
        found = (
            datasets.replaced(dataset, Path("results", "prompts", f"{name}.json"))
            for name, (dataset, _) in self.config.prompts.items()
        )
        return [line for line in found if line is not None]

    def stays_drawn(self) -> list[str]:
        """A line where `published_weights` leaves models of what `all` covers with drawn weights."""
        if not self.config.published_weights:
            return []
        names = {cell.run.partition("+")[0] for one in self.config.measure_on for cell in self.cells(one)}
        left = sorted(name for name in names if self.config.model(name).weights == "synthetic")
        return (
            [f"published_weights: drawn all the same, since the config names no others: {', '.join(left)}"]
            if left
            else []
        )

    def targets(self) -> list[str]:
        """Runs, tables and figures of the hardware that `all` covers, and the page.

        The runs and the carbon intensity too: one that was deleted is taken again, though what was made of it is there.
        """
        found = ["results/carbon.json"]
        for hardware in self.config.measure_on:
            found += [str(cell.record) for cell in self.cells(hardware)]
            found += [f"results/{hardware}/{name}.{suffix}" for name in TABLES for suffix in ("csv", "parquet")]
        if not self.compared():  # a config of studies alone
            return found
        for name, figure in FIGURES.items():
            places = ["results"] if figure.across else [f"results/{hardware}" for hardware in self.config.measure_on]
            found += [f"{place}/figures/{name}.{suffix}" for place in places for suffix in FORMATS]
        found.append(PAGE)
        return found

    def compared(self) -> list[str]:
        """The hardware that figures across hardware show: what `all` covers, and what was measured as a whole."""
        return [name for name in self.config.matrix if name in self.config.measure_on or self.measured(name)]

    def measured(self, hardware: str) -> bool:
        """Whether every run of the matrix, and every score that the config asks for, is there."""
        runs = all(cell.record.exists() for cell in self.cells(hardware))
        return runs and all(cell.score.exists() for cell in self.scored(hardware))

    def published_files(self) -> list[str]:
        """The files of published scores, as a rule's inputs."""
        return sorted({str(expanded(one.file)) for one in self.config.published_scores})

    def tables(self, hardware: str) -> dict[str, Any]:
        """What the tables of one hardware take from the config, as plain values: a change of it makes them again."""
        added = {
            "scores": self.scores(hardware)["wanted"],
            "published_scores": [one.model_dump(mode="json") for one in self.config.published_scores],
        }
        return self._wanted(hardware, self.cells(hardware)) | self._judging(hardware) | added

    def trace(self, hardware: str) -> dict[str, Any]:
        """What the trace of one hardware takes from the config, as `tables`."""
        return self._wanted(hardware, self.cells(hardware))

    def study(self, hardware: str, study: str) -> dict[str, Any]:
        """What the table of a study takes from the config, as `tables`."""
        return self._wanted(hardware, self.studied(hardware, study))

    def _wanted(self, hardware: str, cells: Iterable[Cell]) -> dict[str, Any]:
        """The runs, folder -> spec, and the TDP of their device, W: see analysis.points.wanted_runs."""
        specs = {str(cell.folder): self.spec(cell).model_dump(mode="json") for cell in cells}
        return {"specs": specs, "tdp_w": self.config.hardware[hardware].tdp_w}

    @property
    def plain_targets(self) -> dict[str, Any]:
        """Each task's own latency target, as plain values: what a rule gives to its script (services.targets_of)."""
        return {name: task.model_dump(mode="json")["latency_target"] for name, task in self.config.tasks.items()}

    @property
    def plain_services(self) -> dict[str, Any]:
        """What recommendations are made for beside the tasks' own targets: the presets, and the config's.

        As plain values (services.services_of).
        """
        services = SERVICES | self.config.services
        return {name: service.model_dump(mode="json") for name, service in services.items()}

    def card_spread(self, hardware: str) -> float:
        """The share by which two cards of `hardware` may differ in the same work; 0 where the config does not say."""
        known = self.config.hardware[hardware].card_spread
        return 0.0 if known is None else known.percent / 100

    def choices(self, hardware: str) -> dict[str, Any]:
        """What the frontier and the recommendations of one hardware take from the config, as `tables`."""
        return self._judging(hardware) | {"services": self.plain_services}

    def _judging(self, hardware: str) -> dict[str, Any]:
        return {
            "card_spread": self.card_spread(hardware),
            "publish_flagged": self.config.publish_flagged,
            "targets": self.plain_targets,
        }

    def check(self) -> None:
        """Hold the filters and settings that only a dataset or an engine knows against them, and look for the files of
        published scores. Raises UserError."""
        for one in self.config.published_scores:
            check_file(one)
        for dataset, _ in self.config.prompts.values():
            datasets.filters(dataset)
        seen = set()
        for cell in self._cells.values():
            entry = self.config.entry(cell.hardware, cell.group)
            model, _, variant = cell.run.partition("+")
            of = cell.hardware, cell.group, cell.run
            has_own = engines.looks_at_models(self.config.engine_of(*of).kind) or cell.run in entry.sweeps
            own = model if has_own else ""
            key = (entry.engine, cell.hardware, cell.group, variant, self.config.model(model).dtype, own)
            if key not in seen:
                where = self.config.where(cell.hardware, cell.group)
                engines.check(self.spec(cell), where, self.config.engine_name(*of))
                seen.add(key)


def plan(raw: dict[str, Any], name: str = "config") -> Plan:
    """A plan of plain keys and values. Raises ConfigError with one line for each thing that is wrong."""
    made = Plan(parse(raw, name))
    made.check()
    return made


def priorities(cells: Iterable[Cell]) -> dict[Cell, float]:
    """Of each run, between 0 and 1: larger for what is measured earlier; 0 for all of a hardware without repeats.

    A randomised complete block design (Fisher, The Design of Experiments, 1935): first every run once, then every
    run a second time, and so on, each round in a random order of its own. A drift of the machine over the hours
    then falls on all models alike, and not on those that the config names last.
    """
    of_hardware: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.repeat, cell.group, cell.run)):
        of_hardware.setdefault(cell.hardware, []).append(cell)
    found: dict[Cell, float] = {}
    for own in of_hardware.values():
        if own[-1].repeat == 1:
            found |= dict.fromkeys(own, 0.0)
            continue
        ordered: list[Cell] = []
        for repeat in range(1, own[-1].repeat + 1):
            block = [cell for cell in own if cell.repeat == repeat]
            permutation = np.random.default_rng([ORDER_SEED, repeat]).permutation(len(block))
            ordered += [block[place] for place in permutation]
        found |= {cell: 1 - place / len(ordered) for place, cell in enumerate(ordered)}
    return found
