"""Power, the share at the limit, clock and energy by batch size: GPUs' text points alone."""

import json
from typing import Any

import pytest
from building import interval, point_row, table_of

from joulebench.figures import power_limit
from joulebench.tables.schemas import POINTS

pytestmark = pytest.mark.slow


def point(model: str, batch: int, **changes: object) -> dict[str, object]:
    figures = {"model": model, "max_batch_size": batch, "gpus": 1, "tdp_w": 700.0, "energy_per_response_j": 3.0}
    figures |= interval("energy_per_output_token_j", 1.0 / batch)
    figures |= {"power_w": 600.0, "power_capped_share": 0.25, "clock_mean_mhz": 1700.0}
    return point_row(**figures | changes)


def drawn(*points: dict[str, object]) -> dict[str, Any]:
    chart: dict[str, Any] = power_limit.draw(table_of(POINTS, *points)).to_dict()
    return chart


def test_each_metric_has_its_cell_and_none_an_interval_that_it_lacks() -> None:
    chart = drawn(point("o/a", 8), point("o/a", 16, power_capped_share=1.0, clock_mean_mhz=1600.0))
    cells = chart["concat"][0]["hconcat"]
    assert [cell["title"]["text"] for cell in cells] == [
        "Power (W)",
        "Share of the time at the power limit",
        "Mean SM clock (MHz)",
        "Energy per output token (J)",
    ]
    values = [row["value"] for data in chart["datasets"].values() for row in data if "value" in row]
    assert {0.25, 1.0, 1700.0, 1600.0, 600.0, 0.125, 0.0625} <= set(values)
    lows = {(row["value"], row["low"]) for data in chart["datasets"].values() for row in data if row.get("low")}
    assert {value for value, _ in lows} == {0.125, 0.0625}


def test_a_processor_has_neither_limit_nor_clock() -> None:
    chart = drawn(point("o/a", 8, power_capped_share=None, clock_mean_mhz=None, gpus=None))
    cells = chart["concat"][0]["hconcat"]
    assert [len(cell["layer"]) == 1 for cell in cells] == [False, True, True, False]
    assert "not measured" in json.dumps(chart["datasets"])
