"""What a person is told before anything is measured, and where the results lie."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from joulebench.meters import busy as host
from joulebench.plan import Cell, Plan, plan
from joulebench.plan.told import before_measuring, busy, where_it_lies


def pictures(raw: dict[str, Any], **sweep: Any) -> tuple[Plan, list[Cell]]:
    """The plan of `raw` where the pictures' sweep is another, and the runs of it."""
    entries = raw["matrix"]["cpu"]
    made = plan(raw | {"matrix": {"cpu": entries | {"vlm-chat": entries["vlm-chat"] | {"sweep": sweep}}}})
    return made, [cell for cell in made.cells("cpu") if cell.task == "vlm-chat"]


def test_runs_points_and_the_least_time(raw: dict[str, Any]) -> None:
    made, cells = pictures(raw, batch_sizes=[1, 2, 4], protocol={"kind": "timed", "seconds": 30})
    (line,) = before_measuring(made, cells, here=False)
    assert "on cpu: 1 run, 3 points, at least 90 seconds" in line
    made, cells = pictures(raw, batch_sizes=[1, 2, 4], protocol={"kind": "timed", "seconds": 300})
    (line,) = before_measuring(made, cells, here=False)
    assert "at least 15 minutes" in line
    adaptive = {"kind": "adaptive", "min_seconds": 6, "max_seconds": 600}
    made, cells = pictures(raw | {"repeats": 2}, batch_sizes=[1, 2], protocol=adaptive)
    (line,) = before_measuring(made, cells, here=False)
    assert "2 runs, 4 points, at least 24 seconds" in line


def test_points_that_are_there_of_an_interrupted_sweep_do_not_count(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, (cell,) = pictures(raw, batch_sizes=[1, 2, 4], protocol={"kind": "timed", "seconds": 30})
    made.spec(cell)  # resolved where its model's shape lies
    monkeypatch.chdir(tmp_path)
    (cell.folder / "points" / "00-b1").mkdir(parents=True)
    (cell.folder / "unfinished.json").touch()
    (line,) = before_measuring(made, [cell], here=False)
    assert "2 points, at least 60 seconds" in line


def test_nothing_is_said_where_nothing_is_measured(raw: dict[str, Any]) -> None:
    assert list(before_measuring(plan(raw), [], here=True)) == []


def stat(path: Path, busy_ticks: int, stolen_ticks: int) -> None:
    """The counts of two processors: user, nice, system, idle, iowait, irq, softirq, steal."""
    path.write_text(f"cpu {busy_ticks} 0 0 0 0 0 0 {stolen_ticks}\ncpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n")


@pytest.mark.parametrize(
    ("busy_ticks", "stolen_ticks", "said"),
    [(0, 0, []), (4, 4, []), (100, 0, ["other processes use 50 %"]), (0, 30, ["the hypervisor takes 15 %"])],
)
def test_a_busy_machine_is_named_and_an_idle_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy_ticks: int, stolen_ticks: int, said: list[str]
) -> None:
    """100 ticks are a second, of which two processors have two: 100 busy ticks in the second of the look are 50 %."""
    counts = tmp_path / "stat"
    stat(counts, 0, 0)
    monkeypatch.setenv(host.VARIABLE, str(counts))
    monkeypatch.setattr(host.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(host, "_tree", lambda *roots: {})
    monkeypatch.setattr("joulebench.plan.told.time.sleep", lambda seconds: stat(counts, busy_ticks, stolen_ticks))
    monkeypatch.setattr(host.time, "monotonic", iter([0.0, 1.0]).__next__)
    lines = list(busy(look_s=1.0))
    assert [any(one in line for line in lines) for one in said] == [True] * len(said)
    assert len(lines) == len(said)


def test_where_the_results_lie() -> None:
    assert list(where_it_lies(["results/cpu/points.csv"])) == []
    table, page = where_it_lies(["results/cpu/leaderboard.csv"])
    assert "results/cpu/leaderboard.csv" in table
    assert page.endswith("snakemake --cores all results/site/index.html")
    table, page = where_it_lies(["results/cpu/leaderboard.csv", "results/site/index.html"])
    assert page.endswith("xdg-open results/site/index.html")


@pytest.mark.slow
def test_planning_imports_nothing_that_only_drawing_or_measuring_needs() -> None:
    heavy = (
        "torch",
        "transformers",
        "diffusers",
        "altair",
        "vl_convert",
        "scipy",
        "huggingface_hub",
        "zeus",
        "codecarbon",
    )
    text = """
import sys
from joulebench import site
from joulebench.analysis import hpml
from joulebench.exports import dataset
from joulebench.inputs.yaml_files import read_yaml
from joulebench.plan import code, plan, time_limit, told
from pathlib import Path
made = plan(read_yaml(Path("config.yaml"), "config"))
made.targets(), made.prepared(), made.tables("h100")
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint(heavy)
