"""The studies that the page shows: of the hardware that it compares, those whose runs are all there.

The page measures none. A run counts that is whole and was measured as the config says, by its spec's hash: the table of
another would have its runs measured again, or left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from joulebench.analysis.hpml import STUDIES
from joulebench.files import RecordError
from joulebench.plan.matrix import Cell, Plan
from joulebench.records.files import read_run


@dataclass(frozen=True)
class Measured:
    """A study, and how many of its runs are there."""

    hardware: str
    study: str
    task: str
    asks: str
    there: int
    runs: int

    @property
    def is_whole(self) -> bool:
        return self.there == self.runs

    @property
    def table(self) -> str:
        """results/{hardware}/studies/{study}.csv"""
        return f"results/{self.hardware}/studies/{self.study}.csv"


def measured(plan: Plan) -> list[Measured]:
    """The studies of `plan.compared` of which any run is there, in the config's order."""
    found = []
    for hardware in plan.compared():
        for name, study in plan.config.studies.get(hardware, {}).items():
            are_there = [_is_there(plan, cell) for cell in plan.studied(hardware, name)]
            found.append(Measured(hardware, name, study.task, study.asks, sum(are_there), len(are_there)))
    return [one for one in found if one.there]


def claims(plan: Plan, studies: Sequence[Measured]) -> list[str]:
    """The tables of claims whose studies, as far as the config has them for the hardware, are whole among `studies`."""
    whole = {(one.hardware, one.study) for one in studies if one.is_whole}
    asked = {
        hardware: [name for name in STUDIES if name in plan.config.studies.get(hardware, {})]
        for hardware in plan.compared()
    }
    return [
        f"results/{hardware}/studies/hpml-claims.csv"
        for hardware, names in asked.items()
        if names and all((hardware, name) in whole for name in names)
    ]


def _is_there(plan: Plan, cell: Cell) -> bool:
    if not cell.record.exists():
        return False
    try:
        return read_run(cell.folder).spec_hash == plan.spec(cell).hash
    except RecordError:
        return False
