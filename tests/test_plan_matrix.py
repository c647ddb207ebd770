"""Runs that are measured more than once: their folders, their specs, and in which order they are measured."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from building import BIN, PROJECT, TINY, plain

from joulebench.config.spec import RunSpec
from joulebench.inputs.checked import ConfigError
from joulebench.plan import Cell, Plan, plan
from joulebench.records.files import read_run

PICTURES = "results/cpu/runs/vlm-chat"
SMOL, DRAWN = "HuggingFaceTB/SmolLM2-135M-Instruct", "joulebench/starcoder2-4m"


def in_order(made: Plan, hardware: str) -> list[Cell]:
    return sorted(made.cells(hardware), key=made.priority, reverse=True)


def test_each_repeat_is_a_run_in_a_folder_of_its_own(raw: dict[str, Any]) -> None:
    once, thrice = plan(raw), plan(raw | {"repeats": 3})
    folders = {str(cell.folder) for cell in once.cells()}
    assert {str(cell.folder) for cell in thrice.cells()} == {f"{one}{k}" for one in folders for k in ("", "@2", "@3")}
    assert {f"{PICTURES}/joulebench--llava-5m{k}/run.json" for k in ("", "@2", "@3")} < set(thrice.targets())
    assert len(thrice.tables("cpu")["specs"]) == 3 * len(once.tables("cpu")["specs"])
    first, third = (thrice.cell("cpu", "vlm-chat", f"joulebench--llava-5m{k}") for k in ("", "@3"))
    assert (first.repeat, third.repeat) == (1, 3)
    assert third.record == Path(PICTURES, "joulebench--llava-5m@3", "run.json")
    assert (first.model_folder, thrice.prompts(first)) == (third.model_folder, thrice.prompts(third))
    for unknown in ("@1", "@4", "@02"):
        with pytest.raises(ConfigError, match="did you mean 'vlm-chat/joulebench--llava-5m"):
            thrice.cell("cpu", "vlm-chat", f"joulebench--llava-5m{unknown}")


def test_an_entry_may_have_its_own_number(raw: dict[str, Any]) -> None:
    raw["matrix"]["cpu"]["vlm-chat"]["repeats"] = 2
    found = [str(cell.folder) for cell in plan(raw).cells() if cell.repeat > 1]
    assert found == ["results/cpu/runs/vlm-chat/joulebench--llava-5m@2"]
    raw["repeats"] = 2
    raw["matrix"]["cpu"]["vlm-chat"]["repeats"] = 1
    tasks = {cell.task for cell in plan(raw).cells("cpu") if cell.repeat > 1}
    assert tasks == set(raw["matrix"]["cpu"]) - {"vlm-chat"}


def test_what_is_not_a_number_of_repeats(raw: dict[str, Any]) -> None:
    raw["repeats"] = 0
    with pytest.raises(ConfigError, match=r"^config: repeats: found 0; input should be greater than 0$"):
        plan(raw)
    raw["repeats"] = 1
    raw["matrix"]["cpu"]["llm-chat"]["models"] = ["joulebench/llama-1m@2"]
    with pytest.raises(ConfigError, match="a model id is"):
        plan(raw)


def test_a_repeat_has_a_spec_of_its_own_and_the_first_keeps_the_one_it_had(raw: dict[str, Any]) -> None:
    once, twice = plan(raw), plan(raw | {"repeats": 2})
    first, second = (twice.spec(twice.cell("cpu", "vlm-chat", f"joulebench--llava-5m{k}")) for k in ("", "@2"))
    assert first.hash == once.spec(once.cell("cpu", "vlm-chat", "joulebench--llava-5m")).hash != second.hash
    assert second.run == "joulebench--llava-5m@2"
    assert second.model_copy(update={"repeat": 1}) == first
    assert RunSpec.model_validate(second.model_dump(mode="json")) == second


def test_published_records_are_still_what_the_config_asks_for(raw: dict[str, Any]) -> None:
    made, folders = plan(raw), sorted(Path("results/h100/runs").glob("*/*/run.json"))
    assert len(folders) >= 10
    for record in folders:
        run = read_run(record.parent)
        assert RunSpec.model_validate(run.spec).hash == run.spec_hash, record
        assert made.spec(made.cell("h100", record.parts[-3], record.parent.name)).hash == run.spec_hash, record


def test_without_repeats_nothing_is_put_in_order(raw: dict[str, Any]) -> None:
    made = plan(raw)
    assert {made.priority(cell) for cell in made.cells()} == {0.0}


def test_repeats_are_measured_round_by_round_in_a_random_order(raw: dict[str, Any]) -> None:
    made = plan(raw | {"repeats": 3})
    cells = in_order(made, "cpu")
    runs = len(cells) // 3
    assert len({made.priority(cell) for cell in cells}) == len(cells)
    assert all(0 < made.priority(cell) <= 1 for cell in cells)
    assert [cell.repeat for cell in cells] == [1] * runs + [2] * runs + [3] * runs
    rounds = [[(cell.task, cell.run) for cell in cells if cell.repeat == k] for k in (1, 2, 3)]
    listed = [(cell.task, cell.run) for cell in plan(raw).cells("cpu")]
    assert all(sorted(one) == sorted(listed) for one in rounds)
    assert len({tuple(one) for one in [*rounds, listed, sorted(listed)]}) >= 4


def test_the_order_is_the_seeds_and_neither_the_configs_nor_the_number_of_repeats(raw: dict[str, Any]) -> None:
    before = in_order(plan(raw | {"repeats": 2}), "cpu")
    assert before == in_order(plan(raw | {"repeats": 2}), "cpu")
    turned = raw | {"matrix": {"cpu": dict(reversed(raw["matrix"]["cpu"].items()))}, "repeats": 2}
    assert in_order(plan(turned), "cpu") == before
    assert in_order(plan(raw | {"repeats": 3}), "cpu")[: len(before)] == before


MODELS = ["Qwen/Qwen3-8B", "mistralai/Mistral-7B-Instruct-v0.3", "google/gemma-2-2b-it", "codellama/CodeLlama-7b-hf"]
SCRIPT = """
import sys, time
from pathlib import Path
name, words = Path(sys.argv[0]).stem, sys.argv[1:]
journal = Path("order.log").open("a")
print("begins", name, words[-2], file=journal, flush=True)
time.sleep(0.5 if "mistral" in words[0] or "llm-code" in words[0] else 0)
made = [Path(words[1])]
if name == "measure":
    made = [Path("results", words[0], "runs", words[1], words[2], "run.json")]
if name == "sample_prompts":
    made.append(made[0].with_suffix(".json"))
for path in made:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
print("ends", name, words[-2], file=journal, flush=True)
"""
"""Stands for every script of a rule: makes its files, some later than others, and notes when."""


@pytest.mark.slow
@pytest.mark.parametrize("cores", ["1", "4"])
def test_snakemake_measures_in_that_order_one_at_a_time_after_all_that_is_prepared(
    raw: dict[str, Any], tmp_path: Path, cores: str
) -> None:
    entries = {task: raw["matrix"]["h100"][task] for task in ("llm-chat", "llm-code")}
    for entry, models in zip(entries.values(), (MODELS[:3], MODELS[3:]), strict=True):
        entry |= {"models": models, "sweeps": {}}
    raw |= {"matrix": {"h100": entries}, "studies": {}, "measure_on": ["h100"], "repeats": 2}
    raw["models"] = {name: raw["models"][name] for name in MODELS}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    for link in ("config", "profiles"):
        (tmp_path / link).symlink_to(PROJECT / link)
    (tmp_path / "workflow" / "scripts").mkdir(parents=True)
    for script in ("probe_machine", "sample_prompts", "prepare_model", "measure"):
        (tmp_path / "workflow" / "scripts" / f"{script}.py").write_text(SCRIPT)
    made = plan(raw)
    records = [str(cell.record) for cell in made.cells("h100")]
    snakemake = [str(BIN / "snakemake"), "--snakefile", str(PROJECT / "Snakefile")]
    done = subprocess.run(
        [*snakemake, *records, "--cores", cores], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in (tmp_path / "order.log").read_text().splitlines()]
    measured = [(word, run) for word, script, run in said if script == "measure"]
    expected = [cell.folder.name for cell in in_order(made, "h100")]
    assert measured == [(word, run) for run in expected for word in ("begins", "ends")]
    assert [script for _, script, _ in said[-len(measured) :]] == ["measure"] * len(measured)


def judging(raw: dict[str, Any]) -> dict[str, Any]:
    """The config with a checkpoint and drawn weights for code on the CPU, whose answers are judged."""
    entry = raw["matrix"]["cpu"]["llm-code"] | {"quality": {"kind": "exact-match"}}
    raw["matrix"] = {"cpu": {"llm-code": entry | {"models": [SMOL, DRAWN]}}}
    models = {name: raw["models"][name] for name in (SMOL, DRAWN)}
    return raw | {"measure_on": ["cpu"], "studies": {}, "models": models}


def test_scores_are_asked_for_where_the_config_says_so_and_of_checkpoints_alone(raw: dict[str, Any]) -> None:
    by_default = plan(raw)
    assert not any(by_default.scored(hardware) for hardware in by_default.config.matrix)
    assert by_default.tables("cpu")["scores"] == []
    assert by_default.tables("cpu")["published_scores"] == []
    asked = plan(judging(raw))
    assert [str(cell.score) for cell in asked.scored("cpu")] == [
        "results/cpu/quality/llm-code/HuggingFaceTB--SmolLM2-135M-Instruct.json"
    ]
    [score] = asked.tables("cpu")["scores"]
    assert (score["spec"]["model"], score["judged"]["kind"]) == (SMOL, "exact-match")


def test_hardware_is_measured_when_its_runs_and_its_scores_are_there(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = plan(judging(raw) | {"measure_on": []})
    for path in (cell.record for cell in made.cells("cpu")):
        path.parent.mkdir(parents=True)
        path.write_text("")
    assert (made.measured("cpu"), made.compared()) == (False, [])
    [score] = made.scored("cpu")
    score.score.parent.mkdir(parents=True)
    score.score.write_text("")
    assert (made.measured("cpu"), made.compared()) == (True, ["cpu"])


@pytest.mark.slow
@pytest.mark.parametrize("asks", [False, True])
def test_the_tables_wait_for_scores_that_are_asked_for(raw: dict[str, Any], tmp_path: Path, asks: bool) -> None:
    config = judging(raw)
    if not asks:
        del config["matrix"]["cpu"]["llm-code"]["quality"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    for link in ("config", "profiles", "workflow"):
        (tmp_path / link).symlink_to(PROJECT / link)
    done = subprocess.run(
        [BIN / "snakemake", "--snakefile", PROJECT / "Snakefile", "-n", "--cores", "1", "results/cpu/leaderboard.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rule measure:" in done.stdout
    assert ("rule score:" in done.stdout) == asks


def test_what_a_model_is_asked_in_the_whole_matrix(raw: dict[str, Any]) -> None:
    made = plan(raw)
    folder = SMOL.replace("/", "--")
    assert made.asks(folder)["llm-chat"] == "chat"
    assert set(made.asks(folder)) == {
        task
        for tasks in raw["matrix"].values()
        for task, entry in tasks.items()
        if SMOL in {run.partition("+")[0] for run in entry["models"]}
    }
    assert made.asks("joulebench--sd-5m") == {}  # pictures of words have no prompt form


def test_a_config_of_studies_alone_needs_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    raw = plain(TINY)
    sweep = {"output_tokens": [2, 4], "max_batch_size": 2, "protocol": {"kind": "fixed", "requests": 4}}
    study = {"task": "llm-chat", "engine": "transformers", "models": ["joulebench/llama-1m"], "asks": "what it costs"}
    del raw["matrix"]
    raw["measure_on"], raw["studies"] = [], {"cpu": {"lengths": study | {"sweep": sweep}}}
    made = plan(raw)
    assert [cell.group for cell in made.studied("cpu", "lengths")] == ["lengths"]
    assert (list(made.cells()), made.targets()) == ([], ["results/carbon.json"])
    raw["measure_on"] = ["cpu"]
    with pytest.raises(ConfigError, match="measure_on: no matrix entry 'cpu' in the config"):
        plan(raw)
