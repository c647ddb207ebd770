"""PartiPrompts: reading the tab-separated file, the filters, and ML.ENERGY's order."""

import re
from pathlib import Path
from typing import Any

import datasets as hugging_face  # type: ignore[import-untyped]
import pytest
from building import SHARED

from joulebench import datasets
from joulebench.config.tasks import Dataset, LocalFile, Packaged, Sample
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.records.schemas import PROMPTS

REAL = SHARED / "datasets" / "partiprompts" / "PartiPrompts.tsv"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}")

HEADER = "Prompt\tCategory\tChallenge\tNote\n"
THREE = f"{HEADER}a cat\tAnimals\tBasic\t\na red cup\tArtifacts\tSimple Detail\tnote\ntwo cats\tAnimals\tQuantity\t\n"


def dataset(path: Path, **filters: Any) -> Dataset:
    return Dataset(name="partiprompts", source=LocalFile(kind="local", path=str(path)), filters=filters)


def sampled(folder: Path, text: str, requests: int, **filters: Any) -> datasets.Sampled:
    path = folder / "PartiPrompts.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    return datasets.sample(dataset(path, **filters), Sample(requests=requests))


def by_id(taken: datasets.Sampled) -> dict[str, str]:
    return dict(taken.prompts.select("source_id", "prompt").sort("source_id").iter_rows())


@pytest.mark.parametrize("text", [THREE, THREE.replace("\n", "\r\n"), "\ufeff" + THREE, THREE.removesuffix("\n")])
def test_rows_become_requests_without_a_reference(tmp_path: Path, text: str) -> None:
    taken = sampled(tmp_path, text, 3)
    assert taken.prompts.schema == PROMPTS
    assert by_id(taken) == {
        "partiprompts-0000": "a cat",
        "partiprompts-0001": "a red cup",
        "partiprompts-0002": "two cats",
    }
    assert taken.prompts["reference"].to_list() == [None, None, None]
    assert taken.unusable == {}


def test_quotation_marks_are_part_of_the_text(tmp_path: Path) -> None:
    prompts = ['"STOP" on a sign', 'a sign "STOP"', '"', 'a 12" ruler', '""']
    taken = sampled(tmp_path, HEADER + "".join(f"{prompt}\tArts\tBasic\t\n" for prompt in prompts), 5)
    assert list(by_id(taken).values()) == prompts


def test_columns_are_found_by_name_and_only_the_prompt_is_needed(tmp_path: Path) -> None:
    taken = sampled(tmp_path, "Note\tPrompt\nx\ta cat\n", 1)
    assert by_id(taken) == {"partiprompts-0000": "a cat"}


def test_unusable_rows_are_counted_and_keep_their_place(tmp_path: Path) -> None:
    text = f"{HEADER} \tArts\tBasic\t\n\nonly a prompt\na\tb\tc\td\te\na cat\tAnimals\tBasic\t\n"
    taken = sampled(tmp_path, text, 1)
    assert taken.unusable == {"blank line": 1, "empty prompt": 1, "not the header's 4 fields": 2}
    assert (taken.rows, taken.usable) == (5, 1)
    assert by_id(taken) == {"partiprompts-0004": "a cat"}


def test_filters_keep_what_was_asked_for_and_count_the_rest(tmp_path: Path) -> None:
    taken = sampled(tmp_path, THREE, 1, categories=["Animals"], challenges=["Basic", "Simple Detail"])
    assert by_id(taken) == {"partiprompts-0000": "a cat"}
    assert taken.unusable == {"category not asked for": 1, "challenge not asked for": 1}


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"categories": ["Animals", "Animal"]}, "filters.categories: found Animal; known are Animals, Artifacts"),
        ({"challenges": ["Hard"]}, "filters.challenges: found Hard; known are Basic, Quantity, Simple Detail"),
        ({"categories": []}, "filters: categories: found []"),
        ({"categories": "Animals"}, "filters: categories: found 'Animals'; input should be a valid list"),
        ({"category": ["Animals"]}, "filters: category: unknown key; did you mean 'categories'?"),
    ],
)
def test_a_filter_that_cannot_be_met_is_an_error(tmp_path: Path, filters: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        sampled(tmp_path, THREE, 1, **filters)


@pytest.mark.parametrize(
    ("text", "filters", "says"),
    [
        ("a cat\tAnimals\n", {}, "no column Prompt, found a cat, Animals; expected the tab-separated columns"),
        ("Prompt,Category\na cat,Animals\n", {}, "no column Prompt, found Prompt,Category"),
        ("Prompt\na cat\n", {"categories": ["Animals"]}, "no column Category, found Prompt"),
        (HEADER, {}, "holds no rows"),
        (f"{HEADER}\t\t\t\n\t\t\t\n", {}, "none of 2 rows can be used (2 empty prompt)"),
        (f"{HEADER}{'x' * 200_000}\t\t\t\n", {}, "3 requests wanted, but 1 of 1 rows can be used"),
        (THREE, {"categories": ["Animals"]}, "3 requests wanted, but 2 of 3 rows can be used (1 category not asked"),
    ],
)
def test_a_bad_file_is_an_error_of_one_line(tmp_path: Path, text: str, filters: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)) as error:
        sampled(tmp_path, text, 3, **filters)
    assert str(tmp_path / "PartiPrompts.tsv") in str(error.value)
    assert "\n" not in str(error.value)


def test_the_packaged_sample_is_usable_whole() -> None:
    taken = datasets.sample(Dataset(name="partiprompts", source=Packaged(kind="packaged")), Sample(requests=40))
    assert (taken.rows, taken.usable, taken.unusable) == (40, 40, {})
    assert taken.prompts["prompt"].n_unique() == 40


@needs_real
def test_the_real_file_in_the_order_of_ml_energy(tmp_path: Path) -> None:
    theirs = hugging_face.Dataset.from_csv(str(REAL), sep="\t", cache_dir=str(tmp_path)).shuffle(seed=0)
    taken = datasets.sample(dataset(REAL), Sample(requests=1632))
    assert (taken.rows, taken.usable, taken.unusable) == (1632, 1632, {})
    different = [pair for pair in zip(taken.prompts["prompt"], theirs["Prompt"], strict=True) if pair[0] != pair[1]]
    [(ours, read_with_quoting)] = different
    assert ours.startswith('"G I G G L E" painted')
    assert ours.replace('"', "") == read_with_quoting


@needs_real
def test_the_real_file_is_counted_as_an_independent_count_has_it() -> None:
    lines = [line.split("\t") for line in REAL.read_text(encoding="utf-8").split("\n")[1:-1]]
    animals = [line for line in lines if line[1] == "Animals"]
    kept = [line[0] for line in animals if line[2] in ("Basic", "Quantity")]
    taken = datasets.sample(
        dataset(REAL, categories=["Animals"], challenges=["Basic", "Quantity"]), Sample(requests=len(kept))
    )
    assert sorted(taken.prompts["prompt"]) == sorted(kept)
    assert taken.unusable == {
        "category not asked for": len(lines) - len(animals),
        "challenge not asked for": len(animals) - len(kept),
    }
