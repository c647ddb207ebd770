"""Prefill and decode by subtraction, and what comes before the points, computed by hand."""

from pathlib import Path
from typing import Any

import pytest
from building import example_spec, interval, point_record, point_row, run_record, table_of, write_run

from joulebench.analysis.phases import with_phases
from joulebench.analysis.points import WantedRun
from joulebench.records.files import write_json
from joulebench.tables.schemas import POINTS


def point(tokens: int, joules: float, responses_per_s: float, share: float, **more: Any) -> dict[str, Any]:
    """A point of B = 2 with prompts of 100 tokens, whose energy is known to +- `share` of it."""
    facts = {"model": "o/m", "axis": "output_tokens", "output_tokens": tokens, "setting": f"o{tokens}-b2"}
    figures = interval("energy_per_response_j", joules, 1 - share, 1 + share)
    facts |= {"max_batch_size": 2, "responses_per_s": responses_per_s, "mean_prompt_tokens": 100.0, "repeat": 1}
    return point_row(**facts | figures | more)


def wanted(folder: Path, **parts: Any) -> WantedRun:
    spec = example_spec(model="o/m")
    made = write_run(folder, spec, point_record(2, status="failed"))
    write_json(run_record(spec, point_record(2, status="failed"), **parts), folder / "run.json")
    return made


def test_a_response_of_one_token_is_the_prefill_and_the_rest_the_decode(tmp_path: Path) -> None:
    parts = {"durations_s": {"engine_start": 12.5, "first_call": 1.5}, "energies_j": {"engine_start": 1000.0}}
    # A batch of two takes 2 / 4 = 0.5 s for one token, 2 / 0.8 = 2.5 s for eleven.
    rows = [point(1, 3.0, 4.0, 0.1), point(11, 13.0, 0.8, 0.4 / 13)]
    found = with_phases(table_of(POINTS, *rows), [wanted(tmp_path, **parts)])
    one, eleven = found.iter_rows(named=True)
    for row in (one, eleven):
        assert (row["load_s"], row["load_energy_j"]) == (12.5, 1000.0)
        assert (row["first_call_s"], row["first_call_energy_j"]) == (1.5, None)
        assert (row["prefill_s"], row["prefill_energy_j"], row["prefill_energy_low_j"]) == (
            0.5,
            3.0,
            pytest.approx(2.7),
        )
        assert row["prefill_tokens_per_s"] == 400.0
    assert (one["decode_s"], one["decode_energy_j"], one["decode_energy_per_token_j"]) == (None, None, None)
    assert (eleven["decode_s"], eleven["decode_tokens_per_s"]) == (2.0, 10.0)
    # 13 - 3 J; the half-widths 0.3 and 0.4 J are 0.5 J together.
    assert [eleven[f"decode_energy{bound}_j"] for bound in ("", "_low", "_high")] == pytest.approx([10.0, 9.5, 10.5])
    assert eleven["decode_energy_per_token_high_j"] == pytest.approx(1.05)


def test_without_a_point_of_one_token_at_that_batch_size_there_are_no_phases(tmp_path: Path) -> None:
    rows = [point(1, 3.0, 4.0, 0.1), point(11, 13.0, 0.8, 0.1, max_batch_size=4), point(11, 9.0, 1.0, 0.1, model="o/n")]
    found = with_phases(table_of(POINTS, *rows), [wanted(tmp_path)])
    assert found["prefill_energy_j"].to_list() == [3.0, None, None]
    assert found["decode_energy_j"].null_count() == found["load_s"].null_count() == 3


def test_energy_per_token_of_the_prompt_by_both_metrics(tmp_path: Path) -> None:
    """Prompts of 100 tokens: HPML divides the 13 J of a whole response by them, the reading alone takes 3 J."""
    rows = [point(1, 3.0, 4.0, 0.1), point(11, 13.0, 0.8, 0.1)]
    found = with_phases(table_of(POINTS, *rows), [wanted(tmp_path)]).row(1, named=True)
    assert [found[f"energy_per_input_token{end}_j"] for end in ("", "_low", "_high")] == pytest.approx(
        [0.13, 0.117, 0.143]
    )
    assert [found[f"prefill_energy_per_token{end}_j"] for end in ("", "_low", "_high")] == pytest.approx(
        [0.03, 0.027, 0.033]
    )


def test_a_prefill_of_other_prompts_tells_no_decode(tmp_path: Path) -> None:
    rows = [point(1, 3.0, 4.0, 0.1, input_tokens=64), point(11, 13.0, 0.8, 0.1, input_tokens=32)]
    found = with_phases(table_of(POINTS, *rows), [wanted(tmp_path)])
    assert found["decode_energy_j"].to_list() == [None, None]


def test_of_a_study_whose_answers_are_all_of_one_token_each_point_is_its_own_prefill(tmp_path: Path) -> None:
    rows = [point(1, 3.0, 4.0, 0.1, axis="max_batch_size"), point(1, 2.0, 4.0, 0.1, max_batch_size=4)]
    found = with_phases(table_of(POINTS, *rows), [wanted(tmp_path)])
    assert found["prefill_energy_j"].to_list() == [3.0, 2.0]
