"""What the columns of the tables mean: each is said once, in a sentence, and its name ends with its unit."""

import polars as pl
import pytest

from joulebench.tables.columns import Column, interval, pick
from joulebench.tables.point import POINT
from joulebench.tables.schemas import COLUMNS, STUDY, TABLES

ENDS = {
    "responses/s": "_per_s",
    "requests/s": "rate_per_s",
    "tokens/s": "_per_s",
    "s": "_s",
    "J": "_j",
    "W": "_w",
    "%": "_percent",
    "gCO2e": "_g",
    "gCO2e/kWh": "_g_per_kwh",
    "tokens/kWh": "_per_kwh",
    "responses/kWh": "_per_kwh",
    "MHz": "_mhz",
    "MB (10^6 bytes)": "_mb",
    "°C": "_c",
}


def column(table: str, name: str) -> Column:
    (found,) = pick(COLUMNS[table], name)
    return found


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_is_described_in_a_sentence_and_named_after_its_unit(table: str) -> None:
    assert [one.name for one in COLUMNS[table]] == TABLES[table].names()
    for one in COLUMNS[table]:
        assert one.meaning.endswith("."), one.name
        assert "—" not in one.meaning
        ends = tuple(ENDS.values()) if one.unit is None else ENDS[one.unit]
        assert one.name.endswith(ends) == (one.unit is not None), one.name


@pytest.mark.parametrize(
    ("table", "name", "unit"),
    [
        ("points", "energy_per_response_low_j", "J"),
        ("points", "ttft_p99_s", "s"),
        ("points", "output_tokens_high_per_s", "tokens/s"),
        ("leaderboard", "responses_low_per_s", "responses/s"),
        ("points", "temperature_end_c", "°C"),
        ("footprint", "carbon_per_response_high_g", "gCO2e"),
        ("footprint", "carbon_g_per_kwh", "gCO2e/kWh"),
        ("points", "output_tokens_low_per_kwh", "tokens/kWh"),
        ("points", "responses_per_kwh", "responses/kWh"),
        ("points", "integrated_power_ratio", None),
    ],
)
def test_a_column_has_its_unit_wherever_it_stands(table: str, name: str, unit: str | None) -> None:
    assert column(table, name).unit == unit


def test_a_figure_with_an_interval_is_three_columns_whose_unit_is_last() -> None:
    assert [(one.name, one.dtype, one.is_bound) for one in interval("x_per_y{}_j", "X.")] == [
        ("x_per_y_j", pl.Float64, False),
        ("x_per_y_low_j", pl.Float64, True),
        ("x_per_y_high_j", pl.Float64, True),
    ]
    at = STUDY.names().index("knee")
    assert STUDY.names()[at : at + 3] == ["knee", "knee_low", "knee_high"]


def test_an_end_of_an_interval_names_its_figure() -> None:
    assert column("points", "tpot_p95_low_s").meaning == "Lower end of the 95 % interval of tpot_p95_s."
    assert column("points", "power_high_w").meaning == "Upper end of the 95 % interval of power_w."
    assert "95th percentile" in column("points", "tpot_p95_s").meaning
    assert "median" in column("points", "latency_p50_s").meaning


def test_a_column_may_mean_something_else_in_one_table() -> None:
    assert column("footprint", "reason") != column("points", "reason")
    assert column("leaderboard", "reason") == column("points", "reason")


def test_the_leaderboard_has_the_latencies_without_their_intervals_and_nothing_of_the_checks() -> None:
    missing = set(POINT) - set(COLUMNS["leaderboard"])
    assert {"repeat", "ttft_p50_low_s", "drift_z", "unchecked"} <= {one.name for one in missing}
    assert not {"ttft_p50_s", "energy_per_response_low_j", "window_s"} & {one.name for one in missing}
