"""GSM8K's problems and Alpaca's instructions, from their own files."""

import json
from pathlib import Path

import pytest
from building import SHARED

from joulebench import datasets
from joulebench.config.tasks import Dataset, Sample
from joulebench.datasets.sampling import Sampled
from joulebench.errors import UserError
from joulebench.quality.exact_match import final_number

ORIGINALS = SHARED / "datasets"


def sampled(name: str, requests: int, path: Path | None = None) -> Sampled:
    source = {"kind": "packaged"} if path is None else {"kind": "local", "path": str(path)}
    return datasets.sample(Dataset.model_validate({"name": name, "source": source}), Sample(requests=requests, seed=0))


def test_a_problem_is_its_question_and_its_whole_answer(tmp_path: Path) -> None:
    rows = [
        {"question": "1 + 1?", "answer": "It is <<1+1=2>>2.\n#### 2"},
        {"question": "2 + 2?", "answer": "4"},
        {"question": " ", "answer": "#### 1"},
        {"question": "3 + 3?"},
        ["no object"],
    ]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = sampled("gsm8k", 1, tmp_path)
    assert found.prompts.rows() == [(0, "gsm8k-000000", "1 + 1?", "It is <<1+1=2>>2.\n#### 2", None)]
    assert found.unusable == {"empty question": 1, "no final number": 1, "no text in answer": 1, "not an object": 1}


def test_an_input_stands_behind_its_instruction(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add.", "input": "1, 2", "output": "3"},
        {"instruction": "Greet.", "input": "", "output": "Hello"},
        {"instruction": "Wait.", "output": "Done"},
        {"instruction": "Be still.", "input": "", "output": ""},
        {"instruction": "Take a number.", "input": 7, "output": "7"},
        "text",
    ]
    (tmp_path / "alpaca_data.json").write_text(json.dumps(rows))
    found = sampled("alpaca", 3, tmp_path)
    assert set(found.prompts.select("source_id", "prompt", "reference").iter_rows()) == {
        ("alpaca-000000", "Add.\n\n1, 2", "3"),
        ("alpaca-000001", "Greet.", "Hello"),
        ("alpaca-000002", "Wait.", "Done"),
    }
    assert found.unusable == {"empty output": 1, "no text in input": 1, "not an object": 1}
    (tmp_path / "alpaca_data.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds an object, expected a list of rows"):
        sampled("alpaca", 1, tmp_path)


def test_what_comes_with_the_project() -> None:
    problems, instructions = sampled("gsm8k", 24), sampled("alpaca", 24)
    assert problems.prompts["prompt"].n_unique() == instructions.prompts["prompt"].n_unique() == 24
    assert not problems.unusable
    assert not instructions.unusable
    for reference in problems.prompts["reference"]:  # the working comes to the number behind ####
        working, _, number = reference.rpartition("\n#### ")
        assert number.replace(",", "") in working


def test_the_original_files() -> None:
    if not ORIGINALS.exists():
        pytest.skip("shared/datasets is not here")
    problems = sampled("gsm8k", 1319, ORIGINALS / "gsm8k")
    assert (problems.rows, problems.unusable) == (1319, {})
    assert all(final_number(one) is not None for one in problems.prompts["reference"])
    assert sampled("alpaca", 500, ORIGINALS / "alpaca").rows == 2000
