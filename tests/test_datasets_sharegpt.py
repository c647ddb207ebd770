"""ShareGPT: which conversations are usable, how the others are counted, and how requests are drawn."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import datasets as hugging_face  # type: ignore[import-untyped]
import pytest
from building import SHARED
from hypothesis import given
from hypothesis import strategies as st

from joulebench import datasets
from joulebench.config.tasks import Dataset, LocalFile, Packaged, Sample
from joulebench.datasets import sharegpt
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.records.files import read_parquet, write_parquet
from joulebench.records.schemas import PROMPTS

ORIGINALS = SHARED / "datasets"
REAL = ORIGINALS / "sharegpt" / "ShareGPT_V3_unfiltered_cleaned_split.subset998.json"
NEOX = ORIGINALS / "tokenizers" / "gpt-neox-20b" / "tokenizer.json"

needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}")


def turn(speaker: str, text: object) -> dict[str, object]:
    return {"from": speaker, "value": text}


def talk(prompt: object, answer: object, **fields: object) -> dict[str, Any]:
    return {"id": "t", "conversations": [turn("human", prompt), turn("gpt", answer)], **fields}


GOOD = talk("one two three four", "five six seven eight")


def dataset(path: Path, **filters: Any) -> Dataset:
    return Dataset(name="sharegpt", source=LocalFile(kind="local", path=str(path)), filters=filters)


def write(folder: Path, content: object) -> Path:
    path = folder / "ShareGPT_V3_test.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def sampled(folder: Path, rows: list[object], requests: int, seed: int = 0, **filters: Any) -> datasets.Sampled:
    return datasets.sample(dataset(write(folder, rows), **filters), Sample(requests=requests, seed=seed))


def test_a_row_becomes_a_request_with_its_first_two_turns(tmp_path: Path) -> None:
    row = {
        "id": "abc_7",
        "conversations": [turn("human", " Hi, you there?\n"), turn("gpt", "Yes, I am."), turn("x", 3)],
    }
    taken = sampled(tmp_path, [row], 1)
    assert taken.prompts.schema == PROMPTS
    assert taken.prompts.rows() == [(0, "abc_7", " Hi, you there?\n", "Yes, I am.", None)]
    assert (taken.rows, taken.usable, taken.unusable) == (1, 1, {})


REFUSED: dict[str, list[Any]] = {
    "not an object with a list of conversations": [
        None, 3, "text", [], {}, {"conversations": None}, {"conversations": "human"}, {"conversations": {"a": 1}},
    ],
    "fewer than 2 turns": [{"conversations": []}, {"conversations": [turn("human", "one two three four")]}],
    "turn without text": [
        {"conversations": ["a", "b"]},
        {"conversations": [None, turn("gpt", "a b c d")]},
        {"conversations": [{"from": "human"}, turn("gpt", "a b c d")]},
        talk("one two three four", None),
        talk(["one two three four"], "a b c d"),
    ],
    "first turn not from human": [
        {"conversations": [turn("system", "be kind to everybody"), turn("human", "a b c d")]},
        {"conversations": [{"from": ["human"], "value": "one two three four"}, turn("gpt", "a b c d")]},
        {"conversations": [{"value": "one two three four"}, turn("gpt", "a b c d")]},
    ],
    "second turn not from gpt": [{"conversations": [turn("human", "one two three four"), turn("human", "a b c d")]}],
    "empty prompt": [talk("", "a b c d"), talk(" \n\t", "a b c d")],
    "empty answer": [talk("one two three four", " ")],
    "prompt shorter than 4 tokens": [talk("one two three", "a b c d")],
    "prompt longer than 800 tokens": [talk("word " * 801, "a b c d")],
    "answer shorter than 4 tokens": [talk("one two three four", "a b!")],
    "answer longer than 800 tokens": [talk("one two three four", "?" * 801)],
    "prompt not valid Unicode": [talk("one two three \ud83d", "a b c d")],
    "answer not valid Unicode": [talk("one two three four", "a b c \udc00")],
}  # fmt: skip


@pytest.mark.parametrize(("reason", "row"), [(reason, row) for reason, rows in REFUSED.items() for row in rows])
def test_an_unusable_row_is_counted_under_its_reason(tmp_path: Path, reason: str, row: object) -> None:
    taken = sampled(tmp_path, [row, GOOD], 1)
    assert taken.unusable == {reason: 1}
    assert (taken.rows, taken.usable) == (2, 1)


def test_counts_of_all_reasons_are_sorted_and_add_up(tmp_path: Path) -> None:
    rows = [row for rows in REFUSED.values() for row in rows]
    taken = sampled(tmp_path, [*rows, GOOD, GOOD], 2)
    assert taken.unusable == {reason: len(rows) for reason, rows in REFUSED.items()}
    assert list(taken.unusable) == sorted(REFUSED)
    assert taken.rows == len(rows) + 2
    assert taken.usable == 2


def test_the_bounds_of_the_filters_are_inclusive(tmp_path: Path) -> None:
    rows: list[object] = [talk("a " * p, "b " * a) for p, a in [(2, 5), (5, 2), (1, 3), (6, 3), (3, 1), (3, 6)]]
    taken = sampled(tmp_path, rows, 2, min_tokens=2, max_tokens=5)
    assert taken.unusable == {
        "answer longer than 5 tokens": 1,
        "answer shorter than 2 tokens": 1,
        "prompt longer than 5 tokens": 1,
        "prompt shorter than 2 tokens": 1,
    }


def test_min_turns_counts_the_whole_conversation(tmp_path: Path) -> None:
    long = {"id": "long", "conversations": [*GOOD["conversations"], turn("human", "and?"), turn("gpt", "so.")]}
    taken = sampled(tmp_path, [GOOD, long], 1, min_turns=4)
    assert taken.unusable == {"fewer than 4 turns": 1}
    assert taken.prompts["source_id"].to_list() == ["long"]


@pytest.mark.parametrize("given_id", [None, 7, "", ["a"], "half \ud800"])
def test_a_row_without_an_id_is_named_by_its_place(tmp_path: Path, given_id: object) -> None:
    taken = sampled(tmp_path, [{"conversations": []}, {**GOOD, "id": given_id}], 1)
    assert taken.prompts["source_id"].to_list() == ["sharegpt-000001"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["human", "gpt", "a b c d e"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "conversations", "from", "value", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(_json, max_size=6))
def test_no_row_of_any_shape_is_lost_or_breaks_the_reading(rows: list[object]) -> None:
    read = sharegpt.read(json.dumps(rows), sharegpt.Filters.model_validate({}), "here")
    assert read.count == len(rows)
    assert len(read.usable) + sum(read.unusable.values()) == len(rows)


@pytest.mark.parametrize(("requests", "seed"), [(10, 0), (37, 0), (10, 1), (20, 68)])
def test_the_draw_is_that_of_hugging_face_datasets(tmp_path: Path, requests: int, seed: int) -> None:
    rows: list[object] = [talk(f"what is number {i}", f"it is just {i}", id=f"row-{i}") for i in range(37)]
    mixed = [row for usable in rows for row in ({"conversations": []}, usable)]
    theirs = hugging_face.Dataset.from_list(rows).shuffle(seed=seed).select(range(requests))
    taken = sampled(tmp_path, mixed, requests, seed)
    assert taken.prompts["source_id"].to_list() == theirs["id"][:]
    assert taken.prompts["prompt"].to_list() == [turns[0]["value"] for turns in theirs["conversations"]]
    assert taken.prompts["request"].to_list() == list(range(requests))


def test_more_requests_of_the_same_seed_begin_with_the_fewer(tmp_path: Path) -> None:
    rows: list[object] = [talk(f"what is number {i}", f"it is just {i}", id=f"row-{i}") for i in range(30)]
    assert sampled(tmp_path, rows, 30).prompts.head(12).equals(sampled(tmp_path, rows, 12).prompts)
    assert not sampled(tmp_path, rows, 30, seed=1).prompts.equals(sampled(tmp_path, rows, 30).prompts)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    packaged = Dataset(name="sharegpt", source=Packaged(kind="packaged"))
    for name in ("a", "b"):
        taken = datasets.sample(packaged, Sample(requests=30, seed=5))
        write_parquet(taken.prompts, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_parquet(tmp_path / "a", PROMPTS).equals(taken.prompts)


def test_too_few_usable_rows_is_an_error_with_the_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"5 requests wanted, but 2 of 3 rows can be used \(1 empty answer\)"):
        sampled(tmp_path, [GOOD, GOOD, talk("one two three four", "")], 5)


def test_no_usable_row_is_an_error_that_names_the_file_and_the_reasons(tmp_path: Path) -> None:
    rows: list[object] = [{"instruction": "a", "output": "b"}] * 3
    with pytest.raises(UserError) as error:
        sampled(tmp_path, [*rows, {"conversations": []}], 1)
    message = str(error.value)
    assert "ShareGPT_V3_test.json: none of 4 rows can be used" in message
    assert "(3 not an object with a list of conversations, 1 fewer than 2 turns)" in message
    assert "\n" not in message


BAD_FILES = [
    (json.dumps([GOOD, GOOD])[:150], "broken JSON at character "),
    ("<!doctype html>", "broken JSON at character 0 of 15"),
    ('{"id": 1}', "holds an object, expected a list"),
    ("3", "holds int, expected a list"),
    ("[]", "holds no rows"),
    ("[" * 200_000, "JSON that cannot be read"),
    ("[" + "9" * 5000 + "]", "none of 1 rows can be used (1 not an object with a list of conversations)"),
]


@pytest.mark.parametrize(("content", "says"), BAD_FILES)
def test_a_bad_file_is_an_error_of_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(says)) as error:
        datasets.sample(dataset(path), Sample(requests=1))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_file_is_named_with_its_place_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('[{"id": "a", "conversations": [', encoding="utf-8")
    with pytest.raises(UserError, match=r"character 31 of 31 .*delete it and fetch it again"):
        datasets.sample(dataset(path), Sample(requests=1))


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"max_token": 5}, r"filters: max_token: unknown key; did you mean 'max_tokens'\?"),
        ({"min_turns": 1}, "filters: min_turns: found 1"),
        ({"min_tokens": 0}, "filters: min_tokens: found 0"),
        ({"max_tokens": 3}, "max_tokens 3 is under min_tokens 4"),
        ({"tokenizer": ""}, "filters: tokenizer: found ''"),
    ],
)
def test_filters_are_checked(tmp_path: Path, filters: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        datasets.filters(dataset(tmp_path, **filters))


def test_the_default_filters_are_those_of_ml_energy(tmp_path: Path) -> None:
    chosen = datasets.filters(dataset(tmp_path)).model_dump()
    assert chosen == {"min_turns": 2, "min_tokens": 4, "max_tokens": 800, "tokenizer": "words"}


def tokenizer_file(folder: Path, limit: int | None = None) -> Path:
    """A tokenizer whose tokens are single characters, with a special token added in front."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing

    made = Tokenizer(WordLevel({"?": 0, "<s>": 1}, unk_token="?"))
    made.pre_tokenizer = Split("", "isolated")
    made.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    if limit is not None:
        made.enable_truncation(limit)
        made.enable_padding(length=limit)
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.mark.parametrize("limit", [None, 6])
def test_a_tokenizer_file_counts_whole_texts_without_special_tokens(tmp_path: Path, limit: int | None) -> None:
    path = tokenizer_file(tmp_path, limit)
    rows: list[object] = [talk(p, "12345678") for p in ("1234567", "12345678", "123456789", "1234567890")]
    taken = sampled(tmp_path, rows, 2, min_tokens=8, max_tokens=9, tokenizer=str(path))
    assert taken.unusable == {"prompt longer than 9 tokens": 1, "prompt shorter than 8 tokens": 1}
    assert sorted(taken.prompts["prompt"]) == ["12345678", "123456789"]


def test_a_tokenizer_file_that_is_missing_or_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match=r"filters.tokenizer: no file .*gone.json"):
        sampled(tmp_path, [GOOD], 1, tokenizer=str(tmp_path / "gone.json"))
    with pytest.raises(UserError, match=r"none.json is no tokenizer.json"):
        sampled(tmp_path, [GOOD], 1, tokenizer=str(tmp_path / "none.json"))


def test_the_packaged_sample_has_usable_and_refused_rows() -> None:
    taken = datasets.sample(Dataset(name="sharegpt", source=Packaged(kind="packaged")), Sample(requests=40))
    assert taken.usable >= 40
    assert taken.unusable == {"answer shorter than 4 tokens": 1, "fewer than 2 turns": 1}
    assert taken.origin["kind"] == "packaged"
    assert taken.origin["file"] == "sharegpt.json"
    words = [len(answer.split()) for answer in taken.prompts["reference"]]
    assert min(words) >= 25
    assert max(words) <= 160
    assert taken.prompts["prompt"].n_unique() == 40


@pytest.mark.slow
@needs_real
def test_the_real_file_is_counted_as_an_independent_count_has_it() -> None:
    content = REAL.read_bytes()

    def expected(row: dict[str, Any]) -> str:
        turns = [(one["from"], one["value"]) for one in row["conversations"]]
        if len(turns) < 2:
            return "fewer than 2 turns"
        if turns[0][0] != "human":
            return "first turn not from human"
        for name, (_, text) in zip(("prompt", "answer"), turns, strict=False):
            words = len(re.sub(r"(\w+|[^\w\s])", r"\1 ", text).split())
            if words < 4 or words > 800:
                return f"{name} {'shorter than 4' if words < 4 else 'longer than 800'} tokens"
        return "usable"

    counts = Counter(expected(row) for row in json.loads(content))
    taken = datasets.sample(dataset(REAL), Sample(requests=500))
    assert taken.rows == 998
    assert counts.pop("usable") == taken.usable
    assert taken.unusable == dict(counts)
    assert taken.origin == {"kind": "local", "file": REAL.name, "sha256": hashlib.sha256(content).hexdigest()}
    assert datasets.report(taken)[1].startswith(f"998 rows, {taken.usable} usable, {998 - taken.usable} not: 330 first")


@pytest.mark.slow
@needs_real
@pytest.mark.skipif(not NEOX.exists(), reason=f"no {NEOX}")
def test_the_real_file_under_a_real_tokenizer() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(NEOX))
    pairs = [row["conversations"][:2] for row in json.loads(REAL.read_bytes())]
    pairs = [pair for pair in pairs if [one["from"] for one in pair] == ["human", "gpt"]]
    lengths = [[len(tokenizer.encode(one["value"])) for one in pair] for pair in pairs]
    taken = datasets.sample(dataset(REAL, tokenizer=str(NEOX)), Sample(requests=10))
    assert taken.usable == sum(all(4 <= length <= 800 for length in pair) for pair in lengths)
