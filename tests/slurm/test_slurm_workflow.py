"""The workflow through a real Slurm with accounting, two nodes and pretend GPUs, as a site runs it, on a CPU."""

import shutil

import pytest
from cluster import RUN, WITHOUT_ACCOUNTING, Ended, Project, ask

from joulebench.tables.files import read_csv
from joulebench.tables.schemas import LEADERBOARD

ACCOUNTING = True
OTHER_RUN = "results/cpu/runs/llm-code/joulebench--llama-1m"


def states(project: Project) -> list[str]:
    """What the accounts say of the project's jobs, in the order in which they were submitted."""
    out = ask("sacct", "-X", "-n", "-P", "-o", "State,WorkDir").splitlines()
    return [line.split("|")[0] for line in out if line.endswith(f"|{project.folder}")]


def two_tasks_are_measured_by_jobs_and_the_rest_here(mine: Project) -> None:
    for prepared in ("cpu", "models", "prompts"):
        shutil.rmtree(mine / f"results/{prepared}")
    mine.ends(mine.submit("two", "results/cpu/leaderboard.csv"), 0)
    assert read_csv(mine / "results/cpu/leaderboard.csv", LEADERBOARD)["task"].to_list() == ["llm-chat", "llm-code"]
    out = (mine / "said.txt").read_text()
    for rule in ("sample_prompts", "prepare_model", "tables"):
        assert f"localrule {rule}:" in out
    for rule in ("probe_machine", "measure"):
        assert f"\nrule {rule}:" in out
    assert states(mine) == ["COMPLETED"] * 3


def a_failing_job_does_not_keep_the_others_from_being_measured(mine: Project) -> None:
    sampled = mine / "results/prompts/llm-code.parquet"
    sampled.write_bytes(sampled.read_bytes()[:-100])
    mine.ends(mine.submit("two", "results/cpu/leaderboard.csv", "--retries", "0"), 1)
    assert "results/prompts/llm-code.parquet: not a readable Parquet file" in mine.said(), mine.said()
    assert (mine / f"{RUN}/run.json").exists()
    assert not (mine / f"{OTHER_RUN}/run.json").exists()
    assert sorted(states(mine)) == ["COMPLETED", "FAILED"]


def a_job_that_was_given_too_few_gpus_says_so(mine: Project) -> None:
    run = "results/h100/runs/llm-chat/joulebench--llama-1m+tp2/run.json"
    words = ("--retries", "0", "--set-resources", "measure:gpu=1")
    mine.ends(mine.submit("two", run, *WITHOUT_ACCOUNTING, *words), 1)
    line = "h100: joulebench--llama-1m+tp2 needs 2 GPUs (tensor_parallel); found 1 (CUDA_VISIBLE_DEVICES=0)"
    assert line in mine.said()
    assert line in (mine / "logs/h100/llm-chat/joulebench--llama-1m+tp2.log").read_text()
    assert states(mine) == ["FAILED"]


WAYS = (
    two_tasks_are_measured_by_jobs_and_the_rest_here,
    a_failing_job_does_not_keep_the_others_from_being_measured,
    a_job_that_was_given_too_few_gpus_says_so,
)


@pytest.mark.parametrize("way", [way.__name__ for way in WAYS])
def test_as_a_site_runs_it(way: str, ended: Ended) -> None:
    ended[way].result()
