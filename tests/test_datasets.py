"""Adding a dataset: one module, and one line in the registry."""

import json
from pathlib import Path

import pytest

from joulebench import datasets
from joulebench.config.tasks import Dataset, Packaged, Sample
from joulebench.inputs.checked import ConfigError
from joulebench.records.files import read_parquet
from joulebench.records.schemas import PROMPTS

MODULE = '''
"""Riddles: one question and its answer a line, with a tab between them."""

from joulebench.inputs.checked import Strict
from joulebench.datasets.sampling import Row, Rows

PACKAGED = "riddles.tsv"
USUAL = "riddles*.tsv"


class Filters(Strict):
    longest: int = 100


def read(text: str, filters: Filters, where: str) -> Rows:
    return Rows.of(_row(place, line, filters) for place, line in enumerate(text.splitlines()))


def _row(place: int, line: str, filters: Filters) -> Row | str:
    question, tab, answer = line.partition("\\t")
    if not tab:
        return "no answer"
    if len(question) > filters.longest:
        return "question too long"
    return Row(f"riddles-{place}", question, answer)
'''


def test_a_dataset_is_added_by_one_module_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "riddles.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(datasets.DATASETS, "riddles", "riddles")

    (tmp_path / "data").mkdir()
    lines = ["What has keys but no locks?\tA piano.", "No answer here", "What is it that has teeth?\tA comb.", "x" * 99]
    (tmp_path / "data" / "riddles_v1.tsv").write_text("\n".join([*lines, "y" * 40 + "\ty"]), encoding="utf-8")
    source = {"kind": "local", "path": str(tmp_path / "data")}
    said = Dataset.model_validate({"name": "riddles", "source": source, "filters": {"longest": 30}})

    table = tmp_path / "results" / "prompts" / "llm-chat.parquet"
    table.parent.mkdir(parents=True)
    taken = datasets.write(said, Sample(requests=2, seed=4), table)

    requests = read_parquet(table, PROMPTS)
    assert requests.equals(taken.prompts)
    assert sorted(requests.select("source_id", "prompt", "reference", "image").iter_rows()) == [
        ("riddles-0", "What has keys but no locks?", "A piano.", None),
        ("riddles-2", "What is it that has teeth?", "A comb.", None),
    ]
    facts = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["dataset"]["name"] == "riddles"
    assert facts["unusable"] == {"no answer": 2, "question too long": 1}
    assert (facts["rows"], facts["sample"]["seed"]) == (5, 4)


def test_media_of_a_dataset_that_names_none_is_an_error() -> None:
    packaged = Packaged(kind="packaged")
    with pytest.raises(
        ConfigError, match=r"dataset\.media: the rows of sharegpt name no images or videos; leave it out"
    ):
        datasets.sample(Dataset(name="sharegpt", source=packaged, media=packaged), Sample(requests=1))
