"""Values that tables have as text: energy sources, cards and verdicts, taken apart in one place each."""

import polars as pl
import pytest

from joulebench.analysis.sources import any_source, cards_in, cards_of_repeats, is_estimate, joined, named
from joulebench.analysis.verdicts import Severity, flagged_for, has_severity, severity, trusted
from joulebench.records.sources import CODECARBON, NVML_COUNTER, RAPL, SOURCES

JOINED = ["nvml_counter", "nvml_power+rapl", "codecarbon_estimate+nvml_counter", "a new one", None]


def test_sources_are_joined_by_name_each_once() -> None:
    found = pl.DataFrame({"key": [1, 1, 1, 2, 3], "source": ["rapl", "nvml_counter", "rapl", None, "nvml_power"]})
    rows = found.group_by("key", maintain_order=True).agg(source=joined(pl.col("source")))
    assert rows["source"].to_list() == ["nvml_counter+rapl", None, "nvml_power"]


def test_sources_are_taken_apart() -> None:
    assert named(["nvml_counter+rapl", None, "codecarbon_estimate+rapl"]) == [CODECARBON, NVML_COUNTER, RAPL]
    (unknown,) = named(["a new one"])
    assert (unknown.label, unknown.words, unknown.is_estimate) == ("a new one", "from a new one", False)


def test_rows_of_a_kind_of_source() -> None:
    rows = pl.DataFrame({"energy_source": JOINED})
    found = rows.select(estimate=is_estimate(), gpu=any_source(lambda one: one.of_gpu))
    assert found["estimate"].to_list() == [False, False, True, False, False]
    assert found["gpu"].to_list() == [True, True, True, False, False]


def test_what_is_estimated_is_no_counter_and_every_name_is_in_its_words() -> None:
    assert [name for name, one in SOURCES.items() if one.is_counter] == ["nvml_counter", "amdsmi_counter", "rapl"]
    assert [name for name, one in SOURCES.items() if one.is_estimate] == ["codecarbon_estimate"]
    assert all(f"({name})" in one.words and f"({name})" in one.label for name, one in SOURCES.items())


def test_cards_of_runs_and_of_their_repeats() -> None:
    assert cards_in(["7b828b40+64cb74a5, 64cb74a5+0a0a0a0a", None]) == {"7b828b40", "64cb74a5", "0a0a0a0a"}
    rows = pl.DataFrame({"card": ["7b828b40", None, "64cb74a5", "7b828b40"], "none": [None] * 4})
    found = rows.select(cards_of_repeats(pl.col("card")), cards_of_repeats(pl.col("none").cast(pl.String)))
    assert found.row(0) == ("7b828b40, 64cb74a5", None)


@pytest.mark.parametrize(
    ("verdict", "comes_to", "flags", "shown", "published"),
    [
        ("valid", "valid", None, True, True),
        ("no energy: nothing measures it", "valid", None, True, True),
        ("flagged: drift (4, at most 3)", "flagged", "drift (4, at most 3)", False, True),
        ("invalid: answers cut (2, at most 0); flagged: drift (4, at most 3)", "invalid", None, False, False),
        ("invalid: out_of_memory: 80 GB: full", "invalid", None, False, False),
        (None, None, None, False, False),
    ],
)
def test_what_a_verdict_comes_to(
    verdict: str | None, comes_to: str | None, flags: str | None, shown: bool, published: bool
) -> None:
    row = pl.DataFrame({"verdict": [verdict]}, schema={"verdict": pl.String})
    found = row.select(severity(), flags=flagged_for(), shown=trusted(False), published=trusted(True))
    assert found.row(0) == (comes_to, flags, shown, published)
    invalid = row.select(has_severity(Severity.INVALID)).item()
    assert invalid == (comes_to == "invalid")
