"""Scores that others published: which rows of a CSV file count, and what is wrong with one, in one line."""

from pathlib import Path
from typing import Any

import pytest
from building import SHARED

from joulebench.analysis import published_scores as reading
from joulebench.analysis.published_scores import check_file, published_scores
from joulebench.config.published import PublishedScores
from joulebench.errors import UserError
from joulebench.plan import plan

OPEN_LLM = SHARED / "datasets" / "open-llm-leaderboard" / "open_llm_official.csv"
BOARD = """id,Precision,Average ⬆️,Notes
a/one,bfloat16,20.5,"first, of two
lines"
a/one,float16,19.0,
a/two,float16,7,
A/Two,bfloat16,99,another case
a/three,bfloat16,,not run
a/three,float16,nan,
a/four,bfloat16,0,
"""


def entry(path: Path, **changes: Any) -> PublishedScores:
    facts = {"model": "id", "score": "Average ⬆️", "name": "a board", "source": "who", "date": "2025-03-13"}
    return PublishedScores.model_validate({"file": str(path), **facts, **changes})


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board [1].csv"
    path.write_text(BOARD, encoding="utf-8-sig")
    return path


def scores(*entries: PublishedScores, models: set[str]) -> dict[str, float]:
    return dict(published_scores(entries, models).select("model", "published_score").iter_rows())


def test_a_model_has_the_score_of_its_id_letter_for_letter(board: Path) -> None:
    asked = entry(board, where={"Precision": "bfloat16"}, unit="%")
    found = published_scores([asked], {"a/one", "a/two", "a/three", "a/four", "b/other"}).sort("model")
    assert found.rows() == [
        ("a/four", 0.0, "a board", "%", "who", "2025-03-13"),
        ("a/one", 20.5, "a board", "%", "who", "2025-03-13"),
    ]
    assert published_scores([], {"a/one"}).is_empty()


def test_the_first_entry_that_knows_a_model_counts(board: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("score,model\n1e1,a/one\n-3.5,b/five\n")
    entries = [
        entry(board, where={"Precision": "bfloat16"}),
        entry(board, where={"Precision": "float16"}),
        entry(other, model="model", score="score", name="another board"),
    ]
    models = {"a/one", "a/two", "a/three", "b/five"}
    assert scores(*entries, models=models) == {"a/one": 20.5, "a/two": 7.0, "b/five": -3.5}
    assert scores(*reversed(entries), models=models) == {"a/one": 10.0, "a/two": 7.0, "b/five": -3.5}
    names = published_scores(entries, {"b/five"})
    assert names["published_score_name"].to_list() == ["another board"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            "line 4: a/one: Average ⬆️ is 19, and 20.5 in line 3; say which in `where`, by a column that "
            "tells them apart",
        ),
        ({"score": "Average"}, "the column 'Average' is not there; did you mean 'Average ⬆️'?"),
        ({"model": "fullname"}, "the column 'fullname' is not there; known are Average ⬆️, Notes, Precision, id"),
        ({"where": {"precision": "x"}}, "the column 'precision' is not there; did you mean 'Precision'?"),
        (
            {"score": "Precision", "where": {"Precision": "float16"}},
            "line 4: a/one: Precision is 'float16', expected a number, or nothing; see published_scores in the config",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(board: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        published_scores([entry(board, **changes)], {"a/one"})
    assert str(error.value) == f"{board}: {said}"


def test_what_a_file_says_of_models_that_nobody_measures_is_not_looked_at(board: Path) -> None:
    assert scores(entry(board), models={"a/four"}) == {"a/four": 0.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the column 'id' is not there"),
        ("id,id,s\na,b,1\n", "the column 'id' stands twice; rename one"),
        ("id,s\na/one,1,2\n", "line 2: 3 cells, expected 2 as in the first line"),
        ('id,s\na/one,"1"2\n', "line 2: not CSV ("),
        ("id,s\na/one,1e999\n", "line 2: a/one: s is '1e999', expected a number, or nothing"),
        ("id,s\na/one,12 %\n", "line 2: a/one: s is '12 %', expected a number, or nothing"),
        ("id,s\na/one,1_000\n", "line 2: a/one: s is '1_000', expected a number, or nothing"),
    ],
)
def test_a_file_of_another_form_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        published_scores([entry(path, score="s")], {"a/one"})
    assert str(error.value).startswith(f"{path}: {said}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_too_large_ends_the_plan(
    raw: dict[str, Any], board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "none.csv"
    raw["published_scores"] = [entry(missing).model_dump()]
    with pytest.raises(UserError) as error:
        plan(raw)
    assert str(error.value) == f"{missing}: no such file; see published_scores in the config"
    with pytest.raises(UserError, match="a folder, expected a plain file"):
        check_file(entry(tmp_path))
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    with pytest.raises(UserError, match=r"over 100 bytes \([0-9]+ bytes\), more than is expected; see"):
        published_scores([entry(board)], {"a/one"})


@pytest.mark.skipif(not OPEN_LLM.exists(), reason="shared/datasets/open-llm-leaderboard is not here")
def test_the_open_llm_leaderboard_is_read_as_it_is() -> None:
    known = {"model": "fullname", "name": "Open LLM Leaderboard 2, average"}
    phi, gemma, llama = "microsoft/Phi-3-mini-4k-instruct", "google/gemma-2-2b-it", "meta-llama/Llama-3.1-8B-Instruct"
    with pytest.raises(UserError, match=f"{phi}: Average ⬆️ is 27.4111, and 25.9677 in line "):
        published_scores([entry(OPEN_LLM, **known)], {phi})
    both = [entry(OPEN_LLM, **known, where={"Precision": one}) for one in ("bfloat16", "float16")]
    found = scores(*both, models={phi, gemma, llama, "Qwen/Qwen3-8B"})
    assert {name: round(score, 2) for name, score in found.items()} == {phi: 25.97, gemma: 17.05, llama: 23.74}
