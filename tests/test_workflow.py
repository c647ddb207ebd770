"""The whole way as a user types it, in a clean copy, on the tiny config."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
import yaml
from building import BIN, copy_project, wait_until
from warmed import search_path

from joulebench.tables.files import read_csv
from joulebench.tables.schemas import CHECKS, FOOTPRINT, LEADERBOARD, LEFT_OUT, PARETO, POINTS, RECOMMENDATIONS, TABLES

FIGURES = [
    f"results/cpu/figures/{name}.{suffix}"
    for name in ("energy_per_response", "time_energy_tradeoff")
    for suffix in ("svg", "png", "html")
]
RUNS = [
    ("image-to-video", "joulebench/svd-7m", 1),
    ("llm-chat", "joulebench/llama-1m", 2),
    ("llm-code", "joulebench/llama-1m", 1),
    ("text-to-image", "joulebench/sd-5m", 2),
    ("text-to-video", "joulebench/animatediff-6m", 1),
    ("vlm-chat", "joulebench/llava-5m", 1),
]
"""Task, model and points of the tiny config, in the tables' order."""
TASKS = [task for task, _, _ in RUNS]

pytestmark = pytest.mark.slow


def call(where: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    # Whatever runs beside the tests would void the points: tests/test_meters_busy.py is about that.
    environment = os.environ | {"PYTHONPATH": search_path(where / "src"), "JOULEBENCH_PROC_STAT": "/no/such/file"}
    return subprocess.run(words, cwd=where, env=environment, capture_output=True, text=True, check=False, timeout=600)


def snakemake(where: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return call(where, str(BIN / "snakemake"), *words, "--configfile", "config/tiny.yaml")


@pytest.fixture(scope="module")
def project(warm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy in which `make leaderboard` has run on the tiny config."""
    where = tmp_path_factory.mktemp("project")
    copy_project(where)
    venv = tmp_path_factory.mktemp("env") / "venv"
    venv.symlink_to(BIN.parent)
    words = ("CONFIG=config/tiny.yaml", f"VENV={venv}", "-o", f"{venv}/.ready-cpu")
    done = call(where, "make", "leaderboard", f"PYTHONPATH={search_path(where / 'src')}", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return where


@pytest.fixture
def mine(project: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, times and all, that a test may spoil."""
    where = tmp_path / "mine"
    shutil.copytree(project, where, symlinks=True)
    return where


def test_every_configured_model_has_a_row_and_every_figure_is_there(project: Path) -> None:
    best = read_csv(project / "results/cpu/leaderboard.csv", LEADERBOARD)
    assert best.select("task", "model").rows() == [(task, model) for task, model, _ in RUNS]
    points = read_csv(project / "results/cpu/points.csv", POINTS)
    assert points["status"].to_list() == ["measured"] * sum(count for _, _, count in RUNS)
    assert points["energy_source"].null_count() == 0
    assert (points["energy_per_response_j"] > 0).all()
    assert read_csv(project / "results/cpu/left_out.csv", LEFT_OUT).is_empty()
    # Its windows are too short on purpose, and its config lets flagged points in.
    doubtful = points.filter(pl.col("verdict") != "valid")
    assert doubtful["verdict"].str.starts_with("flagged: ").all()
    fired = read_csv(project / "results/cpu/checks.csv", CHECKS)
    assert set(fired.select("task", "max_batch_size").rows()) == set(doubtful.select("task", "max_batch_size").rows())
    assert best["energy_per_response_j"].null_count() == 0
    models = {(task, model) for task, model, _ in RUNS}
    advice = read_csv(project / "results/cpu/recommendations.csv", RECOMMENDATIONS)
    assert set(advice.filter(pl.col("service") == "config").select("task", "model").rows()) == models
    assert set(read_csv(project / "results/cpu/pareto.csv", PARETO).select("task", "model").rows()) == models
    trace = read_csv(project / "results/cpu/trace.csv", TABLES["trace"])
    assert set(trace.select("task", "model").rows()) == {("llm-chat", "joulebench/llama-1m")}
    assert (trace["power_w"] > 0).all()
    for name in FIGURES:
        assert (project / name).stat().st_size > 1000
    page = (project / "results/site/index.html").read_text()
    assert all(f'"{model}"' in page for _, model, _ in RUNS)
    for log in (project / "logs").rglob("*.log"):
        assert log.stat().st_size > 0


def test_every_table_is_there_as_parquet_too(project: Path) -> None:
    for name, schema in TABLES.items():
        table = read_csv(project / f"results/cpu/{name}.csv", schema)
        assert pl.read_parquet(project / f"results/cpu/{name}.parquet").equals(table)


def test_what_was_measured_goes_out_as_a_dataset_and_to_wandb(mine: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: envs/wandb.txt")
    card, index = "results/dataset/README.md", "results/cpu/wandb/runs.json"
    done = snakemake(mine, "--cores", "2", card, index)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 steps (100%) done" in done.stdout + done.stderr
    assert len(json.loads((mine / index).read_text())["runs"]) == len(RUNS)
    words = ("make", "publish", "REPO=me/energy", "DRY_RUN=1", "CONFIG=config/tiny.yaml")
    dry = call(mine, *words, f"VENV={BIN.parent}", "-o", f"{BIN.parent}/.ready-cpu")
    assert dry.returncode == 0, dry.stderr
    assert re.search(rf"^  data/cpu/leaderboard\.parquet  [0-9,]+ bytes, {len(RUNS)} rows$", dry.stdout, re.MULTILINE)


def test_a_second_call_has_nothing_to_do(project: Path) -> None:
    done = snakemake(project, "--cores", "all", "results/cpu/leaderboard.csv", "all")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_more_repeats_measure_only_what_is_missing(project: Path) -> None:
    done = snakemake(project, "--cores", "all", "-n", "--config", "repeats=3")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for task, model, _ in RUNS:
        record = f"results/cpu/runs/{task}/{model.replace('/', '--')}"
        assert f"output: {record}/run.json" not in said
        for repeat in (2, 3):
            assert f"output: {record}@{repeat}/run.json" in said
    for rule in ("sample_prompts", "prepare_model", "probe_machine"):
        assert f"rule {rule}" not in said


def test_one_figure_alone(mine: Path) -> None:
    figure = mine / "results/cpu/figures/time_energy_tradeoff.svg"
    before = figure.read_bytes()
    figure.unlink()
    done = snakemake(mine, "--cores", "1", "results/cpu/figures/time_energy_tradeoff.svg")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 steps (100%) done" in done.stdout + done.stderr
    assert figure.read_bytes() == before


def test_a_clone_with_the_records_makes_the_tables_and_measures_nothing(mine: Path) -> None:
    """No provenance, no requests, no models, every time of change the checkout's own."""
    wanted = {name: (mine / "results/cpu" / name).read_bytes() for name in ("points.csv", "leaderboard.csv")}
    for gone in (".snakemake", "logs", "results/prompts", "results/models", "results/cpu/figures"):
        shutil.rmtree(mine / gone)
    for name in ("points.csv", "leaderboard.csv", "left_out.csv", "machine.json"):
        (mine / "results/cpu" / name).unlink()
    for path in mine.rglob("*"):
        os.utime(path)
    done = snakemake(mine, "--cores", "all")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "rule tables" in said
    for rule in ("measure", "sample_prompts", "prepare_model", "probe_machine"):
        assert f"rule {rule}" not in said
    assert {name: (mine / "results/cpu" / name).read_bytes() for name in wanted} == wanted


def test_a_killed_workflow_leaves_nothing_running_and_the_same_command_goes_on(mine: Path) -> None:
    shutil.rmtree(mine / "results/cpu/runs/llm-chat")
    command = [str(BIN / "snakemake"), "--cores", "all", "--configfile", "config/tiny.yaml"]
    environment = os.environ | {"PYTHONPATH": str(mine / "src")}
    workflow = subprocess.Popen(command, cwd=mine, env=environment, stderr=subprocess.DEVNULL)

    def ours() -> list[psutil.Process]:
        words = ("joulebench.meters.sampler", "workflow/scripts/measure.py")
        found = psutil.process_iter(["cmdline", "cwd", "status"])
        live = [one for one in found if one.info["cwd"] == str(mine) and one.info["status"] != psutil.STATUS_ZOMBIE]
        return [one for one in live if any(word in one.info["cmdline"] for word in words)]

    wait_until(lambda: len(ours()) >= 2)
    workflow.kill()
    workflow.wait()
    wait_until(lambda: not ours())
    done = snakemake(mine, "--cores", "all")
    assert done.returncode == 0, done.stderr
    best = read_csv(mine / "results/cpu/leaderboard.csv", LEADERBOARD)
    assert best["task"].to_list() == TASKS


def test_what_a_changed_rule_keeps_from_being_made_is_said_and_made_by_the_second_call(mine: Path) -> None:
    """Snakemake takes the first call, which only samples again, for a success (its issue 4166)."""
    (mine / "results/cpu/leaderboard.csv").unlink()
    rule = mine / "rules/prompts.smk"
    rule.write_text(rule.read_text().replace("sample_prompts.py {", "sample_prompts.py  {"))
    done = snakemake(mine, "--cores", "all", "results/cpu/leaderboard.csv")
    assert done.returncode == 1
    assert "not made yet: results/cpu/leaderboard.csv; a rule above has changed" in done.stderr
    done = snakemake(mine, "--cores", "all", "results/cpu/leaderboard.csv")
    assert done.returncode == 0, done.stderr
    assert (mine / "results/cpu/leaderboard.csv").exists()


def test_a_run_of_another_spec_is_named_and_left_out(mine: Path) -> None:
    record = mine / "results/cpu/runs/llm-chat/joulebench--llama-1m/run.json"
    spoilt = json.loads(record.read_text()) | {"spec_hash": "0" * 64}
    record.write_text(json.dumps(spoilt))
    done = snakemake(mine, "--cores", "all", "results/cpu/leaderboard.csv")
    assert done.returncode == 0, done.stderr
    assert "left out: llm-chat joulebench--llama-1m: measured under another spec" in done.stderr
    left_out = read_csv(mine / "results/cpu/left_out.csv", LEFT_OUT)
    assert left_out.select("task", "run").rows() == [("llm-chat", "joulebench--llama-1m")]
    assert f"--force {record.relative_to(mine)}" in left_out["reason"][0]
    others = [task for task in TASKS if task != "llm-chat"]
    assert read_csv(mine / "results/cpu/leaderboard.csv", LEADERBOARD)["task"].to_list() == others
    # What the reason says to do, then the usual command.
    done = snakemake(mine, "--cores", "all", "--force", str(record.relative_to(mine)))
    assert done.returncode == 0, done.stderr
    assert "measuring anew" in done.stderr
    done = snakemake(mine, "--cores", "all", "results/cpu/leaderboard.csv")
    assert done.returncode == 0, done.stderr
    assert read_csv(mine / "results/cpu/left_out.csv", LEFT_OUT).is_empty()


def test_a_changed_latency_target_redraws_the_tables_and_measures_nothing(mine: Path) -> None:
    raw = yaml.safe_load((mine / "config/tiny.yaml").read_text())
    raw["tasks"]["llm-chat"]["latency_target"]["at_most_s"] = 1e-9
    (mine / "config/tiny.yaml").write_text(yaml.safe_dump(raw))
    done = snakemake(mine, "--cores", "all")
    assert done.returncode == 0, done.stderr
    assert "rule measure" not in done.stdout + done.stderr
    best = read_csv(mine / "results/cpu/leaderboard.csv", LEADERBOARD).filter(pl.col("task") == "llm-chat")
    assert best.select("rank", "meets_latency_target").row(0) == (None, False)
    advice = read_csv(mine / "results/cpu/recommendations.csv", RECOMMENDATIONS)
    own = advice.filter((pl.col("task") == "llm-chat") & (pl.col("service") == "config"))
    assert own["reason"][0].startswith("tpot_p50_s is ")
    assert own["reason"][0].endswith(", wanted 1e-09")


def test_another_service_makes_the_recommendations_again_and_no_other_table(mine: Path) -> None:
    raw = yaml.safe_load((mine / "config/tiny.yaml").read_text())
    at_most = [{"metric": "itl", "quantile": 95, "at_most_s": 100}]
    raw["services"] = {"mine": {"tasks": ["llm-chat"], "at_most": at_most}}
    (mine / "config/tiny.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    done = snakemake(mine, "--cores", "all", "results/cpu/recommendations.csv")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "rule choices" in said
    for rule in ("tables", "measure"):
        assert f"rule {rule}:" not in said
    advice = read_csv(mine / "results/cpu/recommendations.csv", RECOMMENDATIONS).filter(pl.col("service") == "mine")
    assert advice.select("task", "latency_target").rows() == [("llm-chat", "itl_p95_s <= 100")]
    assert advice["max_batch_size"].null_count() == 0


def test_an_edited_module_makes_again_what_is_made_with_it_and_measures_nothing(mine: Path) -> None:
    """Of the figures, only these three import it."""
    edited = mine / "src/joulebench/figures/scatter.py"
    edited.write_text(edited.read_text() + "# edited\n")
    done = snakemake(mine, "-n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"^rule (\w+):", done.stdout, re.MULTILINE)) == {"all", "figure"}
    drawn = re.findall(r"output: results/cpu/figures/(\w+)\.svg", done.stdout)
    assert sorted(drawn) == ["energy_against_model_size", "energy_against_quality", "output_length"]


def test_without_publish_flagged_the_same_records_make_a_leaderboard_of_valid_points(mine: Path) -> None:
    done = snakemake(mine, "--cores", "all", "results/cpu/leaderboard.csv", "--config", "publish_flagged=false")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "rule tables" in said
    assert "rule measure" not in said
    best = read_csv(mine / "results/cpu/leaderboard.csv", LEADERBOARD)
    assert (best["verdict"] != "valid").any()
    assert best["task"].to_list() == TASKS
    for verdict, joules, rank, reason in best.select("verdict", "energy_per_response_j", "rank", "reason").iter_rows():
        if verdict == "valid":
            assert joules > 0
        else:
            assert (joules, rank, reason) == (None, None, verdict)


def test_corrupt_records_are_named_in_one_line(mine: Path) -> None:
    spoilt = mine / "results/cpu/runs/llm-chat/joulebench--llama-1m/points/00-b1/energy.parquet"
    spoilt.write_bytes(spoilt.read_bytes()[:200])
    (mine / "results/cpu/leaderboard.csv").unlink()
    done = snakemake(mine, "--cores", "all", "results/cpu/leaderboard.csv")
    assert done.returncode == 1
    complaints = [line for line in done.stderr.splitlines() if "has the SHA-256 " in line]
    assert len(complaints) == 1
    assert "points/00-b1/energy.parquet" in complaints[0]
    assert "Traceback" not in done.stderr


def test_a_wrong_config_is_one_line_and_code_1(mine: Path) -> None:
    text = (mine / "config/tiny.yaml").read_text().replace("batch_sizes: [1, 4]", "batch_size: [1, 4]")
    (mine / "config/tiny.yaml").write_text(text)
    done = snakemake(mine, "-n")
    assert done.returncode == 1
    assert "tiny.yaml: tasks.llm-chat.sweep.batch_size: unknown key; did you mean 'batch_sizes'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("hardware", ["h100", "h200", "a100"])
def test_the_full_config_is_planned_whole_in_seconds(mine: Path, hardware: str) -> None:
    shutil.rmtree(mine / "results")
    raw = yaml.safe_load((mine / "config.yaml").read_text())
    runs = [
        f"{task}/{run.replace('/', '--')}" for task, entry in raw["matrix"][hardware].items() for run in entry["models"]
    ]
    began = time.monotonic()
    done = call(mine, str(BIN / "snakemake"), "-n", f"results/{hardware}/leaderboard.csv")
    seconds = time.monotonic() - began
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert [run for run in runs if f"output: results/{hardware}/runs/{run}/run.json" not in said] == []
    assert said.count("\nrule measure:") == len(runs) >= 4
    assert seconds < 5


def test_a_clone_without_a_gpu_gives_the_published_tables_byte_for_byte(tmp_path: Path) -> None:
    copy_project(tmp_path)
    begin = time.time() - 60
    for number, path in enumerate(sorted(tmp_path.rglob("*"))):  # as a checkout writes them: tables before records
        os.utime(path, (begin, begin + number * 1e-3))
    snakemake = str(BIN / "snakemake")
    boards = [f"results/{hardware}/leaderboard.csv" for hardware in ("h100", "h200", "h200-x4")]
    planned = call(tmp_path, snakemake, "-n", *boards)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert not re.search(r"rule (measure|probe|sample|prepare)", planned.stdout)
    published = {path: path.read_bytes() for path in sorted((tmp_path / "results").rglob("*.[cs][sv][vg]"))}
    assert {path.suffix for path in published} == {".csv", ".svg"}
    assert {path.parent.name for path in published} == {"h100", "h200", "h200-x4", "figures", "studies"}
    for path in published:
        path.unlink()
    done = call(tmp_path, snakemake, "--cores", "all", *(str(path.relative_to(tmp_path)) for path in published))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path, content in published.items() if path.read_bytes() != content] == []


def test_what_a_clone_makes_for_one_machine_has_nothing_published_measured_again(tmp_path: Path) -> None:
    copy_project(tmp_path)
    planned = call(tmp_path, str(BIN / "snakemake"), "-n", "all")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    # The CPU and the H100 serve one model, whose files are made for the CPU and are missing until then.
    assert "output: results/models/HuggingFaceTB--SmolLM2-135M-Instruct/model.json" in planned.stdout
    measured = re.findall(r"rule measure:\n(?:.*\n)*?\s+output: results/([^/]+)/", planned.stdout)
    assert set(measured) == {"cpu"}
    again = call(tmp_path, str(BIN / "snakemake"), "-n", "results/h100/leaderboard.csv", "--forcerun", "measure")
    assert "output: results/prompts/llm-chat.parquet" in again.stdout
    assert "output: results/h100/runs/llm-chat/HuggingFaceTB--SmolLM2-135M-Instruct+bf16-natural/" in again.stdout


@pytest.mark.parametrize("words", [("--forceall",), ("--forcerun", "measure")])
def test_what_another_machine_measured_is_not_removed_here(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Without a GPU: Snakemake would remove each run.json, and find out afterwards."""
    copy_project(tmp_path)
    records = sorted((tmp_path / "results/h100").glob("**/*.json"))
    given = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [str(BIN / "snakemake"), "--cores", "1", "results/h100/leaderboard.csv", *words]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "needs a CUDA device that reports 'H100'" in line]
    assert len(said) == 1
    assert said[0].endswith("; nothing was removed")
    assert sorted((tmp_path / "results/h100").glob("**/*.json")) == records


def test_a_changed_footprint_makes_its_own_table_anew_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELECTRICITY_MAPS_TOKEN", raising=False)
    copy_project(tmp_path)
    table = "results/h100/footprint.csv"
    (tmp_path / table).unlink()
    wanted = (str(BIN / "snakemake"), "--cores", "all", table)
    assert call(tmp_path, *wanted).returncode == 0
    usual = read_csv(tmp_path / table, FOOTPRINT)
    joules, grams = "energy_with_pue_per_response_j", "carbon_per_response_g"
    assert usual[grams].count() == usual[joules].count() > 0

    config = yaml.safe_load((tmp_path / "config.yaml").read_text())

    def of(**footprint: Any) -> pl.DataFrame:
        (tmp_path / "config.yaml").write_text(json.dumps(config | {"footprint": footprint}))
        done = call(tmp_path, *wanted)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert re.findall(r"^(?:local)?rule (\w+)", said, re.MULTILINE) == ["carbon", "footprint"]
        assert "Nothing to be done" in call(tmp_path, *wanted).stderr
        return read_csv(tmp_path / table, FOOTPRINT)

    other = of(pue=2, carbon={"kind": "number", "g_per_kwh": 100, "source": "a test"})
    assert (other[joules] / usual[joules]).drop_nulls().to_list() == pytest.approx(
        [2.0] * usual[joules].count(), rel=1e-5
    )
    # 100 g/kWh is 1 g for every 36,000 J.
    assert (other[joules] / other[grams]).drop_nulls().to_list() == pytest.approx(
        [36e3] * usual[joules].count(), rel=1e-5
    )
    live = of(carbon={"kind": "electricity-maps", "zone": "DE"})
    assert live[grams].null_count() == live.height == usual.height
    assert live["reason"].str.contains("ELECTRICITY_MAPS_TOKEN is not set", literal=True).all()


def test_hardware_that_is_not_there_ends_before_anything_is_fetched(mine: Path) -> None:
    shutil.rmtree(mine / "results")
    done = call(mine, str(BIN / "snakemake"), "--cores", "all", "results/h100/leaderboard.csv")
    if done.returncode == 0:
        pytest.skip("this machine has an H100")
    assert done.returncode == 1
    complaints = [line for line in done.stderr.splitlines() if "h100: needs a CUDA device that reports 'H100'" in line]
    assert len(complaints) == 1
    assert "build another hardware of the config" in complaints[0]
    assert not (mine / "results/prompts").exists()
    assert not (mine / "results/models").exists()
