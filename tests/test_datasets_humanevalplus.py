"""HumanEval+: the original file, and files that only look like it."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import SHARED

from joulebench import datasets
from joulebench.config.tasks import Dataset, Sample
from joulebench.errors import UserError
from joulebench.records.files import write_parquet

ORIGINAL = SHARED / "datasets" / "humanevalplus" / "HumanEvalPlus.jsonl.gz"


def take(path: Path | None, count: int, seed: int = 0) -> datasets.Sampled:
    source: Any = {"kind": "packaged"} if path is None else {"kind": "local", "path": str(path)}
    dataset = Dataset.model_validate({"name": "humanevalplus", "source": source})
    return datasets.sample(dataset, Sample(requests=count, seed=seed))


def problem(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"task_id": f"HumanEval/{number}", "prompt": "def f():\n", "canonical_solution": "    return 1\n", "test": ""}
    return {**row, **changes}


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.skipif(not ORIGINAL.is_file(), reason=f"no {ORIGINAL}")
def test_the_original_file(tmp_path: Path) -> None:
    with gzip.open(ORIGINAL, "rt", encoding="utf-8") as file:
        problems = {row["task_id"]: row for row in map(json.loads, file)}
    taken = take(ORIGINAL, 164)
    assert (taken.rows, taken.usable) == (164, 164)
    assert sorted(taken.prompts["source_id"]) == sorted(problems)
    for source_id, prompt, reference in taken.prompts.select("source_id", "prompt", "reference").iter_rows():
        assert prompt == problems[source_id]["prompt"]
        assert reference == problems[source_id]["canonical_solution"]
    for name in ("a", "b"):
        write_parquet(take(ORIGINAL, 50, seed=3).prompts, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert not take(ORIGINAL, 50, seed=4).prompts.equals(take(ORIGINAL, 50, seed=3).prompts)


@pytest.mark.skipif(not ORIGINAL.is_file(), reason=f"no {ORIGINAL}")
def test_a_truncated_gzip_is_not_taken_for_a_short_file(tmp_path: Path) -> None:
    cut = tmp_path / "HumanEvalPlus.jsonl.gz"
    cut.write_bytes(ORIGINAL.read_bytes()[:200_000])
    with pytest.raises(UserError, match=r"HumanEvalPlus\.jsonl\.gz: not a whole gzip file .* fetch it again"):
        take(cut, 10)


@pytest.mark.slow
def test_the_parquet_file_of_the_hub_gives_the_same_requests(tmp_path: Path) -> None:
    # U+2028 and U+0085 end a line for str.splitlines, not in JSON.
    rows = [problem(i, prompt=f'def f{i}():\n    """\u2028 \x85 \u00e9"""\n', entry_point=f"f{i}") for i in range(9)]
    pl.DataFrame(rows).write_parquet(tmp_path / "test-00000-of-00001.parquet")
    taken = take(tmp_path / "test-00000-of-00001.parquet", 9, seed=2)
    assert (taken.rows, taken.unusable, taken.origin["file"]) == (9, {}, "test-00000-of-00001.parquet")
    assert sorted(taken.prompts["prompt"]) == sorted(row["prompt"] for row in rows)
    assert taken.prompts.equals(take(write(tmp_path / "lines.jsonl", rows), 9, seed=2).prompts)
    pl.DataFrame(rows).drop("canonical_solution").write_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"none of 9 rows can be used \(9 no text in canonical_solution\)"):
        take(tmp_path / "other.parquet", 1)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [-1, 200, 4])
def test_a_truncated_parquet_file(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "test-00000-of-00001.parquet"
    pl.DataFrame([problem(i) for i in range(50)]).write_parquet(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"\.parquet: not a whole Parquet file .* fetch it again") as error:
        take(path, 1)
    assert "\n" not in str(error.value)


def test_something_else_named_gz(tmp_path: Path) -> None:
    path = tmp_path / "HumanEvalPlus.jsonl.gz"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="not a whole gzip file"):
        take(path, 1)


def test_the_packaged_problems_are_python_that_does_what_it_says() -> None:
    taken = take(None, 24)
    assert (taken.rows, taken.usable) == (24, 24)
    for prompt, reference in taken.prompts.select("prompt", "reference").iter_rows():
        compile(prompt + reference, "problem", "exec")
        assert ">>>" in prompt


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.jsonl", [problem(0), problem(1)])
    path.write_text(path.read_text()[:-30])
    with pytest.raises(UserError, match=r"cut\.jsonl: line 2 is not JSON .* it again"):
        take(path, 1)


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [
        problem(0),
        problem(1, prompt=" "),
        problem(2, prompt=7),
        problem(3, canonical_solution=None),
        problem(4, canonical_solution="\n"),
        ["not", "an", "object"],
        {"task_id": "x"},
        problem(5, prompt="half a pair \ud800"),
        problem(6),
    ]
    taken = take(write(tmp_path / "mixed.jsonl", rows), 2)
    assert sorted(taken.prompts["source_id"]) == ["HumanEval/0", "HumanEval/6"]
    assert taken.unusable == {
        "empty canonical_solution": 1,
        "empty prompt": 1,
        "no text in canonical_solution": 1,
        "no text in prompt": 2,
        "not an object": 1,
        "prompt not valid Unicode": 1,
    }


def test_no_usable_row_names_the_file_and_the_reasons(tmp_path: Path) -> None:
    path = write(tmp_path / "wrong.jsonl", [{"question": "?"}, {"question": "!"}])
    with pytest.raises(UserError, match=r"wrong\.jsonl: none of 2 rows can be used \(2 no text in task_id\)"):
        take(path, 1)
