"""Which studies the page shows: those whose runs are all there, measured as the config says."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from building import BIN, PROJECT, write_run

from joulebench.plan import Plan, plan
from joulebench.plan.studies import claims, measured

SMALL = ("hpml-batch-size", "hpml-batch-size-first-token", "hpml-precision", "hpml-input-length")


def write(made: Plan, study: str, runs: int = 10, hardware: str = "h100") -> None:
    """run.json of the first so many runs of a study."""
    for cell in made.studied(hardware, study)[:runs]:
        cell.folder.mkdir(parents=True, exist_ok=True)
        write_run(cell.folder, made.spec(cell))


def whole(made: Plan) -> dict[str, bool]:
    return {one.study: one.is_whole for one in measured(made)}


@pytest.fixture
def made(raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The project's config, of the h100, in a folder without any record."""
    found = plan(raw | {"measure_on": ["h100"]})
    (tmp_path / "config").symlink_to(PROJECT / "config")
    monkeypatch.chdir(tmp_path)
    return found


def test_a_study_is_shown_once_all_its_runs_are_there(made: Plan) -> None:
    assert measured(made) == []
    write(made, "hpml-precision", runs=2)
    [one] = measured(made)
    assert (one.study, one.task, one.there, one.runs, one.is_whole) == ("hpml-precision", "llm-chat", 2, 3, False)
    write(made, "hpml-precision")
    assert whole(made) == {"hpml-precision": True}
    assert measured(made)[0].table == "results/h100/studies/hpml-precision.csv"


def test_a_run_of_another_config_or_one_that_is_damaged_does_not_count(raw: dict[str, Any], made: Plan) -> None:
    write(made, "concurrency")
    write(made, "request-volume")
    [cell] = made.studied("h100", "request-volume")
    cell.record.write_text("{")
    assert whole(made) == {"concurrency": True}
    raw["studies"]["h100"]["concurrency"]["sweep"]["batch_sizes"] = [1, 2]
    changed = Plan(made.config.model_validate(raw | {"measure_on": ["h100"]}))
    assert whole(changed) == {}


def test_only_hardware_that_the_page_compares(raw: dict[str, Any], made: Plan) -> None:
    write(made, "concurrency")
    other = Plan(made.config.model_validate(raw | {"measure_on": ["h200"]}))
    assert measured(other) == [], "not every run of the h100's matrix is there"


def test_claims_are_shown_with_all_of_their_studies(made: Plan) -> None:
    for study in SMALL[1:]:
        write(made, study)
    assert claims(made, measured(made)) == []
    write(made, SMALL[0])
    assert claims(made, measured(made)) == ["results/h100/studies/hpml-claims.csv"]


def test_the_published_studies_are_shown_whatever_is_measured(raw: dict[str, Any]) -> None:
    found = plan(raw)
    shown = [one.study for one in measured(found) if one.hardware == "h100" and one.is_whole]
    tables = {path.stem for path in Path("results/h100/studies").glob("*.csv") if "." not in path.stem}
    assert set(shown) == tables - {"hpml-claims"}
    assert "results/h100/studies/hpml-claims.csv" in claims(found, measured(found))


@pytest.mark.slow
def test_the_page_of_the_published_hardware_has_its_studies_and_measures_nothing() -> None:
    words = ["--cores", "1", "-n", "--forcerun", "site", "--config", "measure_on=[h100,h200]"]
    command = [BIN / "snakemake", "results/site/index.html", *words]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "results/h100/studies/hpml-claims.csv" in said
    assert "rule site:" in said
    assert "rule measure:" not in said
