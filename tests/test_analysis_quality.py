"""Quality in the leaderboard: which row has which score, and what a right answer costs at the row's point."""

import importlib.util
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import PROJECT, example_spec, interval, point_row, table_of

from joulebench.analysis.leaderboard import leaderboard
from joulebench.analysis.published_scores import published_scores
from joulebench.config.services import LatencyTarget
from joulebench.inputs.yaml_files import read_yaml
from joulebench.plan import plan
from joulebench.records.models import Score
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import LEADERBOARD, POINTS, QUALITY

TARGET = {"llm-code": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.05)}


def point(model: str, batch: int, joules: float, tpot_s: float, **changes: Any) -> dict[str, Any]:
    """A point whose answers have 100 tokens; the intervals are 10 % to either side."""
    row = point_row(task="llm-code", model=model, max_batch_size=batch, setting=f"b{batch}", responses_per_s=1.0)
    row |= {"mean_output_tokens": 100.0, "tpot_p50_s": tpot_s}
    row |= interval("energy_per_response_j", 100 * joules) | interval("energy_per_output_token_j", joules)
    return row | changes


def score(model: str, **changes: Any) -> dict[str, Any]:
    """A half of the answers is right, between a quarter and four fifths; they have 50 tokens each."""
    shares = {"quality": 0.5, "quality_low": 0.25, "quality_high": 0.8}
    return {"task": "llm-code", "model": model, "metric": "pass-at-1", "mean_output_tokens": 50.0, **shares, **changes}


def board(points: list[dict[str, Any]], *scores: dict[str, Any]) -> dict[str, dict[str, Any]]:
    table = leaderboard(table_of(POINTS, *points), TARGET, scores=table_of(QUALITY, *scores))
    assert table.schema == LEADERBOARD
    return {row["model"]: row for row in table.iter_rows(named=True)}


def test_a_right_answer_costs_the_energy_of_the_judged_tokens_at_the_rows_point_over_the_share() -> None:
    # The point of least energy, 0.1 J a token, misses the target: the row's point is the one of 0.2 J.
    row = board([point("a/b", 8, 0.2, 0.01), point("a/b", 64, 0.1, 0.09)], score("a/b"))["a/b"]
    assert (row["setting"], row["quality_metric"], row["quality"]) == ("b8", "pass-at-1", 0.5)
    assert (row["quality_low"], row["quality_high"]) == (0.25, 0.8)
    assert row["energy_per_right_answer_j"] == pytest.approx(20.0)  # 0.2 J x 50 tokens / 0.5
    assert row["energy_per_right_answer_low_j"] == pytest.approx(11.25)  # 0.18 x 50 / 0.8
    assert row["energy_per_right_answer_high_j"] == pytest.approx(44.0)  # 0.22 x 50 / 0.25
    assert row["mean_output_tokens"] == 100.0


def test_a_score_is_of_a_task_a_model_and_a_variant() -> None:
    points = [
        point("a/plain", 8, 0.2, 0.01),
        point("a/fp8", 8, 0.2, 0.01, variant="fp8"),
        point("a/chat", 8, 0.2, 0.01, task="llm-chat"),
        point("a/none", 8, 0.2, 0.01),
        point("a/drawn", 8, 0.2, 0.01, weights="synthetic"),
    ]
    scores = [score(model, variant=variant) for model in ("a/plain", "a/fp8") for variant in ("fp8", None)]
    scores[0]["quality"], scores[3]["quality"] = 0.75, 0.75
    rows = board(points, *scores, score("a/chat"), score("a/drawn"))
    assert {model: row["quality"] for model, row in rows.items()} == {
        "a/plain": 0.5,
        "a/fp8": 0.5,
        "a/chat": None,
        "a/none": None,
        "a/drawn": None,
    }
    null = [name for name in LEADERBOARD if "quality" in name or "right_answer" in name or "published" in name]
    assert len(null) == 12
    assert {rows["a/drawn"][name] for name in null} == {None}


def test_where_nothing_is_right_no_answer_has_a_price() -> None:
    row = board([point("a/b", 8, 0.2, 0.01)], score("a/b", quality=0.0, quality_low=0.0))["a/b"]
    assert row["quality"] == 0.0
    assert row["energy_per_right_answer_j"] is None
    assert row["energy_per_right_answer_high_j"] is None
    assert row["energy_per_right_answer_low_j"] == pytest.approx(11.25)


def test_without_energy_the_quality_is_known_and_its_price_is_not() -> None:
    silent = dict.fromkeys([name for name in POINTS if name.startswith("energy_per_")])
    row = board([point("a/b", 8, 0.2, 0.01, energy_source=None, **silent)], score("a/b"))["a/b"]
    assert (row["quality"], row["energy_per_right_answer_j"]) == (0.5, None)


def test_a_published_score_is_of_the_model_whatever_its_weights() -> None:
    schema = published_scores([], set()).schema
    facts = {f"published_score_{fact}": fact for fact in ("name", "unit", "source", "date")}
    known = pl.DataFrame([{"model": "a/drawn", "published_score": 23.5, **facts}], schema=schema)
    points = table_of(POINTS, point("a/drawn", 8, 0.2, 0.01, weights="synthetic"), point("A/drawn", 8, 0.3, 0.01))
    found = leaderboard(points, TARGET, published=known)
    assert dict(found.select("model", "published_score").iter_rows()) == {"a/drawn": 23.5, "A/drawn": None}
    assert found.select(facts.keys()).row(0) == ("name", "unit", "source", "date")
    assert leaderboard(points, TARGET)["published_score"].null_count() == 2


@pytest.mark.slow
def test_a_score_of_another_config_is_left_out_with_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    spec = example_spec().model_dump(mode="json")
    scored = Score(
        **{"spec": spec | {"dtype": "float16"}, "metric": "exact-match", "judged": {}, "right": 1, "asked": 2},
        **{"quality": 0.5, "quality_low": 0.1, "quality_high": 0.9, "mean_output_tokens": 9.0, "ended": 2},
        **{"started_utc": "2026-11-26T00:00:00Z", "duration_s": 1.0, "model_files_sha256": {}, "requests_sha256": ""},
        versions={},
    )
    score = tmp_path / "score.json"
    score.write_text(scored.model_dump_json())
    config = plan(read_yaml(PROJECT / "config.yaml", "config")).tables("h200")
    out = [tmp_path / f"{name}.csv" for name in ("points", "leaderboard", "left_out", "checks")]
    script = importlib.util.spec_from_file_location("tables_script", PROJECT / "workflow" / "scripts" / "tables.py")
    assert script is not None
    assert script.loader is not None
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    wanted = config | {"scores": [{"spec": spec, "judged": {}}]}
    module.main("h200", wanted, PROJECT / "results/h200/machine.json", [str(score)], *out, tmp_path / "log")
    said = f"left out: {score}: of another dtype than the config's; delete it to ask again"
    assert said in (tmp_path / "log").read_text()
    assert read_csv(out[1], LEADERBOARD)["quality"].is_null().all()
