"""Prompts and models that are there already, held against the config before anything runs."""

from collections.abc import Set

from joulebench.plan.matrix import Cell, Plan
from joulebench.records.made import check_parameters, model_as, require_prompts


def require_as_asked(plan: Plan, cell: Cell, again: Set[str] = frozenset()) -> None:
    """Raises UserError where a run's prompts or model are there and were made under another config.

    What is not there yet is made of this one. A run that is there needs neither any more. `again`: rules and files that
    are made again whatever is there, "*" for all.
    """
    if cell.record.exists() and again.isdisjoint({"measure", str(cell.record)}):
        return
    wanted = plan.spec(cell).model_dump(mode="json")
    prompts, model = plan.prompts(cell), cell.model_folder / "model.json"
    if prompts.with_suffix(".json").exists() and again.isdisjoint({"*", "sample_prompts", str(prompts)}):
        require_prompts(prompts, cell.task, wanted)
    if model.exists() and again.isdisjoint({"*", "prepare_model", str(model)}):
        name = wanted["model"]
        facts = model_as(cell.model_folder, name, wanted)
        check_parameters(name, facts.parameters, plan.config.models[name].parameters)
