"""Whole runs with the engine `server`: from the config to a row of the tables, a small server and a real one."""

import json
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from building import PROJECT
from serving_http import MODEL, command
from test_measure_run import Bench, no_process_is_left, prepared
from warmed import search_path

from joulebench.records.files import read_run

__all__ = ["no_process_is_left", "prepared"]  # fixtures

FIXED = {"batch_sizes": [1, 3], "protocol": {"kind": "fixed", "requests": 12}}


pytestmark = pytest.mark.usefixtures("warm")


def bench(folder: Path, prepared: Path, words: list[str], sweep: dict[str, Any] = FIXED, **settings: Any) -> Bench:
    own = {"command": words, "model_name": MODEL, "ignore_eos": "vllm", "stall_s": 5.0} | settings
    engine = {"kind": "server", "settings": own}
    changes = {"engines__transformers": engine, "tasks__llm_chat__sweep": sweep}
    return Bench(folder, prepared, environment={"PYTHONPATH": search_path(PROJECT / "src")}, **changes)


@pytest.mark.slow
def test_a_run_of_a_server_that_it_starts(tmp_path: Path, prepared: Path) -> None:
    words = command(delay_s=0.01, notes=True)
    one = bench(tmp_path, prepared, words)
    code, said = one.finish()
    assert code == 0, said
    told = read_run(one.run).engine_start
    assert told is not None
    assert told.server is not None
    assert told.server.model_dump() == {
        "reached": "command",
        "command": words,
        "name": told.server.name,
        "version": "9.8.7",
        "model": MODEL,
        "metrics": None,
        "prefix_cache": None,
        "prompts": "token ids",
        "counted": "token ids",
    }
    rows = one.table()
    assert rows.select("engine", "max_batch_size", "status", "answers").rows() == [
        ("server", 1, "measured", "reference"),
        ("server", 3, "measured", "reference"),
    ]
    assert rows["client_busy_share"].is_between(0, 1, closed="right").all()
    assert rows["outside_engine_share"].is_null().all()  # this server has no metrics
    assert (rows["ttft_p50_s"] >= 0.01).all()  # the server waits so long for each token
    said = (tmp_path / "run.server.log").read_text()
    assert said.startswith("child ")
    sent = sorted([float(time) for time in line.split()[1:]] for line in said.splitlines() if line.startswith("sent "))
    for row, answers in zip(rows.iter_rows(named=True), (sent[-24:-12], sent[-12:]), strict=True):
        pace_s = median(after - before for answer in answers for before, after in pairwise(answer))
        assert pace_s >= 0.01  # whatever else the machine does
        assert row["itl_p50_s"] == pytest.approx(pace_s, rel=0.25), row["max_batch_size"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sweep",
    [
        {"batch_sizes": [4], "protocol": {"kind": "timed", "seconds": 1.0}, "start": "equilibrium"},
        {"batch_sizes": [4], "protocol": {"kind": "timed", "seconds": 1.0}},
        {"load": "poisson", "requests": 20, "rate_per_s": [20.0], "max_batch_size": 4},
    ],
)
@pytest.mark.parametrize("how", [{}, {"token_ids": False, "continuous": False, "per_chunk": 3}])
def test_the_tables_of_every_load_agree(
    tmp_path: Path, prepared: Path, sweep: dict[str, Any], how: dict[str, Any]
) -> None:
    one = bench(tmp_path, prepared, command(delay_s=0.005, **how), sweep)
    code, said = one.finish()
    assert code == 0, said
    rows = one.table()  # which refuses records that do not agree with each other
    assert rows["status"].to_list() == ["measured"]
    assert (rows["output_tokens"] > 0).all()


@pytest.mark.slow
def test_a_run_whose_server_dies_fails_in_one_line(tmp_path: Path, prepared: Path) -> None:
    one = bench(tmp_path, prepared, command("cuts"))
    code, said = one.finish()
    assert code == 1
    assert "the server cut its stream after 2 of " in said
    assert "Traceback" not in said
    assert json.loads((one.run / "run.json").read_text())["points"][-1]["status"] == "failed"
