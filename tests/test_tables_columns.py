"""What the columns of the tables mean: every one is described, and its unit is that of its name."""

import pytest

from joulebench.tables import columns
from joulebench.tables.schemas import TABLES


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_every_table_is_described_in_a_sentence(table: str) -> None:
    described = columns.of_table(table)
    assert list(described) == list(TABLES[table])
    for name, column in described.items():
        assert column.meaning.endswith("."), name
        assert "—" not in column.meaning


def test_no_description_is_left_over() -> None:
    named = {name for schema in TABLES.values() for name in schema}
    assert set(columns._MEANINGS) <= named
    assert all(name in TABLES[table] for table, name in columns._OF_ONE_TABLE)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("energy_per_response_low_j", "J"),
        ("power_high_w", "W"),
        ("ttft_p99_s", "s"),
        ("output_tokens_per_s", "tokens/s"),
        ("output_tokens_high_per_s", "tokens/s"),
        ("responses_low_per_s", "responses/s"),
        ("peak_memory_mb", "MB (10^6 bytes)"),
        ("clock_mean_mhz", "MHz"),
        ("temperature_end_c", "°C"),
        ("carbon_per_response_high_g", "gCO2e"),
        ("carbon_g_per_kwh", "gCO2e/kWh"),
        ("processes", None),
        ("integrated_power_ratio", None),
        ("verdict", None),
    ],
)
def test_units_come_from_names(name: str, unit: str | None) -> None:
    assert columns.unit(name) == unit


def test_an_end_of_an_interval_names_its_figure() -> None:
    points = columns.of_table("points")
    assert points["tpot_p95_low_s"].meaning == "Lower end of the 95 % interval of tpot_p95_s."
    assert points["power_high_w"].meaning == "Upper end of the 95 % interval of power_w."
    assert columns.is_bound("tpot_p95_low_s")
    assert not columns.is_bound("tpot_p95_s")
    assert "95th percentile" in points["tpot_p95_s"].meaning
    assert "median" in points["latency_p50_s"].meaning


def test_a_column_may_mean_something_else_in_one_table() -> None:
    assert columns.of_table("footprint")["reason"] != columns.of_table("points")["reason"]
