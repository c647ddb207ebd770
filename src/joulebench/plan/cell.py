"""One run that a config asks for, and the paths of its files."""

from dataclasses import dataclass
from pathlib import Path

from joulebench.config.spec import run_folder
from joulebench.names import TaskName


@dataclass(frozen=True)
class Cell:
    """One run of the matrix or of a study: a repeat k > 1 of it lies in a folder of its own, `{run}@{k}`.

    `group`: its task where it is the matrix', its study where it is of one.
    """

    hardware: str
    task: TaskName
    run: str
    repeat: int = 1
    group: str = ""

    @property
    def folder(self) -> Path:
        """results/{hardware}/runs/{group}/{run}"""
        return Path("results", self.hardware, "runs", self.group, run_folder(self.run, self.repeat))

    @property
    def model_folder(self) -> Path:
        """results/models/{model}"""
        return Path("results", "models", run_folder(self.run.partition("+")[0]))

    @property
    def score(self) -> Path:
        """The file that says how right its answers are."""
        return Path("results", self.hardware, "quality", self.group, f"{self.folder.name}.json")

    @property
    def record(self) -> Path:
        """The file that says the run is whole."""
        return self.folder / "run.json"
