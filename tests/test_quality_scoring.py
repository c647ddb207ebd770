"""A score from the prompts to the table, of a small model whose weights are its own files."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import prepare_tiny, tiny_spec

from joulebench.analysis.quality import quality
from joulebench.config.quality import ExactMatch, PassAt1
from joulebench.config.tasks import Dataset
from joulebench.errors import UserError
from joulebench.quality import exact_match, pass_at_1, scoring
from joulebench.quality.answering import Answer
from joulebench.records.files import read_score
from joulebench.records.models import Score
from joulebench.tables.schemas import POINTS, QUALITY


@pytest.mark.slow
def test_code_behind_a_prompt_in_both_forms() -> None:
    told = "Sure:\n```python\ndef f():\n    pass\n```\nIt works."
    assert pass_at_1.code_of(told) == "    pass\n\n\ndef f():\n    pass\n\n"
    assert pass_at_1.code_of("```\ndef f(): pass") == "    pass\n\n\ndef f(): pass\n"
    assert pass_at_1.code_of("def f(): pass") == "    pass\n\n\ndef f(): pass\n"
    problem = pass_at_1.Problem("t", "def twice(x):\n    '''Double.'''\n", "twice", "    return 2 * x\n", [[2], [3]])
    asked = [pass_at_1.code_of(f"```python\ndef {name}(x):\n    return x + x\n```") for name in ("twice", "thrice")]
    assert pass_at_1.verdicts([(problem, one) for one in asked]) == [True, False]


def test_how_a_metric_asks() -> None:
    spec = tiny_spec("llm-code").model_copy(update={"prompt_form": "completion", "stop": ("\ndef ",)})
    prompts = pl.DataFrame({"request": [0], "prompt": ["def f():\n"]})
    for metric, asked in (
        (exact_match, ExactMatch(kind="exact-match")),
        (pass_at_1, PassAt1(kind="pass-at-1")),
    ):
        same, table = metric.asking(spec, prompts, asked)
        assert same == spec
        assert table.equals(prompts)
    changed, table = pass_at_1.asking(spec, prompts, PassAt1(kind="pass-at-1", form="chat"))
    assert (changed.prompt_form, changed.stop) == ("chat", ())
    assert table.columns == ["request", "prompt"]
    assert table["prompt"].item().endswith("```python\ndef f():\n```")


def packaged(name: str) -> Dataset:
    return Dataset.model_validate({"name": name, "source": {"kind": "packaged"}})


@pytest.mark.slow
def test_code_runs_only_where_the_config_says_so() -> None:
    prompts = pl.DataFrame({"source_id": ["Joulebench/8", "Joulebench/14"], "reference": ["", ""]})
    answers = ["    return [0, 1][:count]\n", "    while b:\n        a, b = b, a % b\n    return a\n"]
    with pytest.raises(UserError, match=r"^quality: pass-at-1 runs what the model writes; set run_code: true"):
        pass_at_1.check(prompts, packaged("humanevalplus"), PassAt1(kind="pass-at-1"))
    allowed = PassAt1(kind="pass-at-1", run_code=True)
    assert pass_at_1.right(answers, prompts, packaged("humanevalplus"), allowed) == [False, True]
    with pytest.raises(UserError, match=r"^dataset humanevalplus: Other/1 has no tests"):
        pass_at_1.check(pl.DataFrame({"source_id": ["Other/1"]}), packaged("humanevalplus"), allowed)


def test_final_numbers_are_asked_of_a_dataset_that_has_them() -> None:
    prompts = pl.DataFrame({"reference": ["#### 2", "#### 3"]})
    asked = ExactMatch(kind="exact-match")
    assert exact_match.right(["It is 2.", "It is 4."], prompts, packaged("gsm8k"), asked) == [True, False]
    with pytest.raises(UserError, match=r"needs references with a final number; alpaca has others$"):
        exact_match.check(pl.DataFrame({"reference": ["Hello"]}), packaged("alpaca"), asked)


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Any]:
    """A score of eight prompts, whose answers are made to be the references of the first six."""
    prepare_tiny("llm-code", tmp_path / "asked.parquet", tmp_path / "model")
    said: list[Answer] = []

    def answered(engine: Any, prepared: Any, in_flight: int, stop: Any) -> list[Answer]:
        table = pl.read_parquet(tmp_path / "asked.parquet")
        assert not any(one.ignore_end for one in prepared)
        assert {one.max_output_tokens for one in prepared} == {40}
        for place, reference in enumerate(table["reference"]):
            said.append(Answer(reference if place < 6 else "    return 0\n", 10, ended=place < 7))
        return said

    monkeypatch.setattr(scoring, "answers", answered)
    spec = tiny_spec("llm-code").model_copy(update={"weights": "checkpoint"})
    monkeypatch.setattr("joulebench.records.made.read_model", lambda folder: _model())
    monkeypatch.setattr(scoring.engines, "open_engine", lambda of, *rest: _open(spec, *rest))
    asked = PassAt1(kind="pass-at-1", run_code=True, tokens=40, in_flight=4, keep=True)
    out = tmp_path / "quality" / "a--b.json"
    scoring.score(spec, asked, tmp_path / "asked.parquet", tmp_path / "model", out)
    return out, spec


def _model() -> Any:
    from joulebench.records.models import Model

    return Model(model="a/b", made_from={}, parameters=1, licence=None, files_sha256={"model.safetensors": "0" * 64})


def _open(spec: Any, folder: Path, settings: Any) -> Any:
    from joulebench import engines

    length = {"kind": "natural", "tokens": 40}
    drawn = spec.model_copy(update={"weights": "synthetic", "output_length": type(spec.output_length)(**length)})
    return engines.module(spec.engine).Engine(drawn, settings, folder)


@pytest.mark.slow
def test_a_score_and_its_row(scored: tuple[Path, Any]) -> None:
    out, spec = scored
    found = read_score(out)
    assert (found.metric, found.right, found.asked, found.quality, found.ended) == ("pass-at-1", 6, 8, 0.75, 7)
    kept = pl.read_parquet(out.with_suffix(".answers.parquet"))
    assert kept["answer"].to_list()[-1] == "    return 0\n"
    assert kept.columns == ["request", "source_id", "answer", "output_tokens"]
    points = pl.DataFrame(
        [
            point(spec, "b1", 40.0, "valid"),
            point(spec, "b4", 12.0, "valid"),
            point(spec, "b8", 3.0, "invalid: others (90 %)"),
        ],
        schema=POINTS,
    )
    wanted = {"spec": spec.model_dump(mode="json"), "judged": read_score(out).judged}
    table, left_out = quality({str(out): wanted}, points)
    assert left_out == []
    row = table.select(QUALITY.names()).row(0, named=True)
    assert (row["setting"], row["quality"], row["energy_per_output_token_j"]) == ("b4", 0.75, 12.0)
    assert row["energy_per_right_answer_j"] == pytest.approx(12.0 * 10 / 0.75)  # answers of 10 tokens
    assert row["energy_per_right_answer_low_j"] == pytest.approx(110.0 / found.quality_high)
    assert row["energy_per_right_answer_high_j"] == pytest.approx(130.0 / found.quality_low)
    changed = {"spec": wanted["spec"] | {"dtype": "float16"}, "judged": wanted["judged"] | {"tokens": 1}}
    other, left_out = quality({str(out): changed}, points)
    assert other.is_empty()
    assert left_out == [f"{out}: of another dtype, quality.tokens than the config's; delete it to ask again"]
    with_flagged = points.with_columns(verdict=pl.lit("flagged: drift (4, at most 3)"))
    assert quality({str(out): wanted}, with_flagged)[0]["energy_per_right_answer_j"].item() is None
    assert quality({str(out): wanted}, with_flagged, True)[0]["energy_per_right_answer_j"].item() == pytest.approx(40.0)


def point(spec: Any, setting: str, energy_j: float, verdict: str) -> dict[str, Any]:
    known = {
        "task": spec.task,
        "model": spec.model,
        "variant": spec.variant,
        "setting": setting,
        "energy_per_output_token_j": energy_j,
        "energy_per_output_token_low_j": energy_j - 1,
        "energy_per_output_token_high_j": energy_j + 1,
        "verdict": verdict,
    }
    return {name: known.get(name) for name in POINTS}


@pytest.mark.slow
def test_nothing_right_costs_nothing_that_is_known(scored: tuple[Path, Any]) -> None:
    out, spec = scored
    told = json.loads(out.read_text()) | {"right": 0, "quality": 0.0, "quality_low": 0.0, "quality_high": 0.3}
    out.write_text(Score.model_validate(told).model_dump_json())
    points = pl.DataFrame([point(spec, "b1", 6.0, "valid")], schema=POINTS)
    wanted = {"spec": spec.model_dump(mode="json"), "judged": read_score(out).judged}
    table, _ = quality({str(out): wanted}, points)
    row = table.row(0, named=True)
    assert (row["energy_per_right_answer_j"], row["energy_per_right_answer_high_j"]) == (None, None)
    assert row["energy_per_right_answer_low_j"] == pytest.approx(50.0 / 0.3)


def test_drawn_weights_have_no_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has drawn weights, whose answers say nothing"):
        scoring.score(tiny_spec("llm-code"), PassAt1(kind="pass-at-1"), tmp_path, tmp_path, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
