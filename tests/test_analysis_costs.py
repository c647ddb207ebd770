"""What a response's energy comes to, by arithmetic on paper."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import point_row, table_of

from joulebench.analysis.costs import footprint, read_carbon
from joulebench.config.footprint import CarbonReading, Footprint
from joulebench.errors import UserError
from joulebench.records.files import write_json
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import FOOTPRINT, POINTS

GRID = CarbonReading(asked=None, g_per_kwh=400.0, source="a grid")
UNKNOWN = CarbonReading(asked=None, reason="Electricity Maps: it answered 401 Unauthorized")
ASKED = Footprint(pue=1.5, price_per_kwh=0.2, price_per_gpu_hour={"h100": 3.6, "a100": 99.0}, currency="EUR")


def points(*changes: dict[str, Any]) -> pl.DataFrame:
    """Points of 7,200 J (3,600 to 10,800) a response and a response in two seconds, on two GPUs."""
    row = point_row(
        gpus=2,
        energy_per_response_j=7200.0,
        energy_per_response_low_j=3600.0,
        energy_per_response_high_j=10800.0,
        responses_per_s=0.5,
    )
    return table_of(POINTS, *(row | change for change in changes or ({},)))


def only(table: pl.DataFrame) -> dict[str, Any]:
    [row] = table.rows(named=True)
    return row


def test_energy_carbon_and_cost_of_a_response() -> None:
    row = only(footprint(points(), ASKED, GRID, on_gpu=True))
    # 7,200 J x 1.5 = 10,800 J = 0.003 kWh; x 400 g = 1.2 g; x 0.20 = 0.0006.
    bounds = ("", "_low", "_high")
    assert [row[f"energy_with_pue_per_response{bound}_j"] for bound in bounds] == [10800.0, 5400.0, 16200.0]
    assert [row[f"carbon_per_response{bound}_g"] for bound in bounds] == pytest.approx([1.2, 0.6, 1.8])
    assert row["electricity_cost_per_response"] == pytest.approx(0.0006)
    # 3.60 an hour is 0.001 a second; two GPUs, two seconds a response.
    assert row["gpu_cost_per_response"] == pytest.approx(0.004)
    assert row["cost_per_response"] == pytest.approx(0.0046)
    assert (row["pue"], row["carbon_g_per_kwh"], row["carbon_source"]) == (1.5, 400.0, "a grid")
    assert (row["currency"], row["reason"], row["energy_source"]) == ("EUR", None, "nvml_counter")


def test_a_kwh_is_3_6_million_joules_and_a_pue_of_one_changes_nothing() -> None:
    row = only(footprint(points({"energy_per_response_j": 3.6e6}), Footprint(price_per_kwh=0.25), GRID, on_gpu=True))
    assert row["energy_with_pue_per_response_j"] == 3.6e6
    assert (row["carbon_per_response_g"], row["electricity_cost_per_response"]) == (400.0, 0.25)


def test_what_is_not_known_is_null_and_the_rest_is_there() -> None:
    without = {name: None for name in POINTS if name.startswith("energy_per_response")}
    no_energy = only(footprint(points({**without, "energy_source": None}), ASKED, GRID, on_gpu=True))
    assert no_energy["carbon_per_response_g"] is None
    assert no_energy["gpu_cost_per_response"] == pytest.approx(0.004)
    assert no_energy["cost_per_response"] is None
    assert no_energy["reason"] == "no energy was measured"

    no_carbon = only(footprint(points(), ASKED, UNKNOWN, on_gpu=True))
    assert (no_carbon["carbon_g_per_kwh"], no_carbon["carbon_source"]) == (None, None)
    assert no_carbon["carbon_per_response_g"] is None
    assert no_carbon["cost_per_response"] == pytest.approx(0.0046)
    assert no_carbon["reason"] == "no carbon intensity: Electricity Maps: it answered 401 Unauthorized"

    no_price = only(footprint(points(), Footprint(price_per_gpu_hour={"a100": 1.0}), GRID, on_gpu=True))
    costs = ("electricity_cost_per_response", "gpu_cost_per_response", "cost_per_response")
    assert [no_price[name] for name in costs] == [None, None, None]
    assert no_price["carbon_per_response_g"] == pytest.approx(0.8)
    assert no_price["reason"] == "no footprint.price_per_kwh; no footprint.price_per_gpu_hour of h100"

    no_interval = only(footprint(points({"energy_per_response_low_j": None}), ASKED, GRID, on_gpu=True))
    assert no_interval["carbon_per_response_low_g"] is None
    assert no_interval["carbon_per_response_g"] == pytest.approx(1.2)


def test_a_point_that_did_not_serve_has_a_row_and_its_status() -> None:
    gone = {name: None for name in POINTS if name.startswith(("energy_per", "responses_per"))} | {"gpus": None}
    row = only(footprint(points(gone | {"status": "out_of_memory"}), ASKED, GRID, on_gpu=True))
    assert row["reason"] == "no figures: out of memory"
    assert (row["cost_per_response"], row["carbon_per_response_g"]) == (None, None)


def test_a_machine_without_gpus_is_paid_for_once() -> None:
    machine = points({"gpus": None})
    row = only(footprint(machine, ASKED, GRID, on_gpu=False))
    assert row["gpu_cost_per_response"] == pytest.approx(0.002)
    unknown = only(footprint(machine, ASKED, GRID, on_gpu=True))
    assert (unknown["gpu_cost_per_response"], unknown["cost_per_response"]) == (None, None)
    assert unknown["reason"] == "how many GPUs served is not recorded"


def test_no_responses_have_no_cost_rather_than_an_endless_one() -> None:
    row = only(footprint(points({"responses_per_s": 0.0}), ASKED, GRID, on_gpu=True))
    assert (row["gpu_cost_per_response"], row["cost_per_response"]) == (None, None)
    assert row["reason"] == "no responses per second"


def test_one_row_a_row_in_their_order_and_back_from_a_file(tmp_path: Path) -> None:
    rows = [{"max_batch_size": batch, "repeat": repeat} for batch in (8, 4) for repeat in (1, 2)]
    table = footprint(points(*rows), ASKED, GRID, on_gpu=True)
    assert table.select("max_batch_size", "repeat").rows() == [(8, 1), (8, 2), (4, 1), (4, 2)]
    write_csv(table, FOOTPRINT, tmp_path / "footprint.csv")
    again = read_csv(tmp_path / "footprint.csv", FOOTPRINT)
    assert again["carbon_per_response_g"].to_list() == pytest.approx([1.2] * 4)
    empty = footprint(points().clear(), ASKED, GRID, on_gpu=True)
    assert (empty.schema, empty.height) == (FOOTPRINT, 0)


def test_the_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for index, reading in enumerate((GRID, UNKNOWN)):
        write_json(reading, tmp_path / f"{index}.json")
        assert read_carbon(tmp_path / f"{index}.json") == reading


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"asked": null}',
        json.dumps({"asked": None, "g_per_kwh": -1, "source": "x"}),
        '{"asked": null, "g": 1}',
    ],
)
def test_a_damaged_record_is_an_error_of_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "carbon.json"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_carbon(path)
    assert "carbon" in str(caught.value)


def test_a_missing_record_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"carbon: no file .*carbon\.json"):
        read_carbon(tmp_path / "carbon.json")
