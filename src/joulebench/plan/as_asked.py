"""Prompts and models that are there already, held against the config before anything runs."""

from joulebench.plan.matrix import Cell, Plan
from joulebench.records.made import model_as, require_prompts


def require_as_asked(plan: Plan, cell: Cell) -> None:
    """Raises UserError where a run's prompts or model are there and were made under another config.

    What is not there yet is made of this one. A run that is there needs neither any more.
    """
    if cell.record.exists():
        return
    wanted = plan.spec(cell).model_dump(mode="json")
    prompts = plan.prompts(cell)
    if prompts.exists() and prompts.with_suffix(".json").exists():
        require_prompts(prompts, cell.task, wanted)
    if (cell.model_folder / "model.json").exists():
        model_as(cell.model_folder, wanted["model"], wanted)
