"""Prompts and models that are there already are held against the config when planning."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import BIN, PROJECT, tiny

from joulebench.errors import UserError
from joulebench.plan import Cell, Plan, plan
from joulebench.plan.as_asked import require_as_asked

RUN = "results/cpu/runs/llm-chat/joulebench--llama-1m/run.json"


def planned(where: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, Cell]:
    """A plan, resolved, in an empty folder."""
    monkeypatch.chdir(PROJECT)
    made = plan(tiny())
    cell = made.cell("cpu", "llm-chat", "joulebench--llama-1m")
    made.spec(cell)
    monkeypatch.chdir(where)
    return made, cell


def write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def prompts_of(made: Plan, cell: Cell, **other: Any) -> None:
    wanted = made.spec(cell).model_dump(mode="json")
    facts = {"dataset": wanted["dataset"], "sample": wanted["sample"], "origin": {}, "rows": 1, "unusable": {}}
    path = made.prompts(cell)
    write(path.with_suffix(".json"), facts | other)
    path.touch()


def model_of(made: Plan, cell: Cell, parameters: int = 1, **other: Any) -> None:
    wanted = made.spec(cell).model_dump(mode="json")
    kept = {key: wanted[key] for key in ("weights", "architecture", "tokenizer", "weights_seed")}
    facts = {"model": cell.run, "parameters": parameters, "licence": None, "files_sha256": {}}
    write(cell.model_folder / "model.json", {**facts, "made_from": kept | other})


def test_what_is_as_asked_or_not_there_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cell = planned(tmp_path, monkeypatch)
    require_as_asked(made, cell)
    prompts_of(made, cell)
    model_of(made, cell)
    require_as_asked(made, cell)


def test_prompts_of_another_config_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cell = planned(tmp_path, monkeypatch)
    prompts_of(made, cell, sample={"requests": 999, "seed": 0})
    line = "results/prompts/llm-chat.*: sampled under other settings of tasks.llm-chat.dataset or sample .* delete it"
    with pytest.raises(UserError, match=line):
        require_as_asked(made, cell)


def test_a_model_of_another_config_is_refused_while_its_run_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cell = planned(tmp_path, monkeypatch)
    model_of(made, cell, weights_seed=5)
    with pytest.raises(UserError, match=r"made under another weights_seed than the config's for models\.joulebench"):
        require_as_asked(made, cell)
    write(cell.record, {})
    require_as_asked(made, cell)
    for again in ({"measure"}, {str(cell.record)}):  # Snakemake removes the run before it measures it again
        with pytest.raises(UserError, match="made under another weights_seed"):
            require_as_asked(made, cell, again)
        require_as_asked(made, cell, again | {"prepare_model"})
        require_as_asked(made, cell, again | {str(cell.model_folder / "model.json")})


@pytest.mark.parametrize(("parameters", "refused"), [(990, False), (1010, False), (989, True), (1011, True)])
def test_a_model_of_another_size_than_the_configs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: int, refused: bool
) -> None:
    made, cell = planned(tmp_path, monkeypatch)
    name = made.spec(cell).model
    monkeypatch.setitem(made.config.models, name, made.config.models[name].model_copy(update={"parameters": 1000}))
    model_of(made, cell, parameters=parameters)
    if refused:
        line = f"{name}: {parameters:,} parameters in its weights, the config says 1,000; correct models"
        with pytest.raises(UserError, match=line):
            require_as_asked(made, cell)
    else:
        require_as_asked(made, cell)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "line"),
    [
        (RUN, "results/models/joulebench--llama-1m: made under another weights_seed than the config's"),
        (RUN.replace("llama-1m", "llama-2m"), "no run 'llm-chat/joulebench--llama-2m' for cpu in the config"),
    ],
)
def test_a_plan_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, line: str) -> None:
    made, cell = planned(tmp_path, monkeypatch)
    model_of(made, cell, weights_seed=5)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny()))
    for link in ("config", "profiles", "workflow"):
        (tmp_path / link).symlink_to(PROJECT / link)
    command = [BIN / "snakemake", "--snakefile", PROJECT / "Snakefile", "-n", "--cores", "1", target]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in done.stderr
