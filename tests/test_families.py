"""The facts of the task families, written out."""

import polars as pl
import pytest

from joulebench.families import DIFFUSION, FAMILIES, TEXT, of
from joulebench.names import TASKS


def test_every_task_is_of_exactly_one_family() -> None:
    assert {task: [family.name for family in FAMILIES if task in family.tasks] for task in TASKS} == {
        "llm-chat": ["text"],
        "llm-code": ["text"],
        "vlm-chat": ["text"],
        "text-to-image": ["diffusion"],
        "text-to-video": ["diffusion"],
        "image-to-video": ["diffusion"],
    }
    assert sorted(task for family in FAMILIES for task in family.tasks) == sorted(TASKS)


def test_a_task_leads_to_its_family_and_no_other_name_to_any() -> None:
    assert of("vlm-chat") is TEXT
    assert of("image-to-video") is DIFFUSION
    with pytest.raises(KeyError, match="text-to-audio"):
        of("text-to-audio")


def test_facts_are_as_the_records_and_tables_have_them() -> None:
    columns = [list(family.iterations)[2:5] for family in FAMILIES]
    assert columns == [["end_s", "running", "waiting"], ["start_s", "end_s", "outputs"]]
    assert [family.latency for family in FAMILIES] == ["tpot_p50_s", "latency_p50_s"]
    assert [family.has_tokens for family in FAMILIES] == [True, False]


def test_a_response_is_called_by_what_it_is() -> None:
    assert {task: of(task).word(task) for task in TASKS} == {
        "llm-chat": "response",
        "llm-code": "response",
        "vlm-chat": "response",
        "text-to-image": "image",
        "text-to-video": "video",
        "image-to-video": "video",
    }


def test_rows_of_a_table_are_told_apart_by_their_task() -> None:
    table = pl.DataFrame({"task": ["text-to-image", "llm-code", "image-to-video", "llm-chat"]})
    assert table.filter(TEXT.rows)["task"].to_list() == ["llm-code", "llm-chat"]
    assert table.filter(DIFFUSION.rows)["task"].to_list() == ["text-to-image", "image-to-video"]
