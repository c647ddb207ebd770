"""Hardware compared at equal latency targets."""

from pathlib import Path
from typing import Any

import pytest
from building import best_row, interval, table_of
from drawn import texts

from joulebench import figures
from joulebench.config.services import LatencyTarget
from joulebench.tables.schemas import LEADERBOARD

TARGET = LatencyTarget(metric="tpot", quantile=50, at_most_s=0.2)


def row(hardware: str = "h100", joules: float | None = 20.0, **changes: Any) -> dict[str, Any]:
    known = {
        "rank": 1,
        "latency_target": "tpot_p50_s <= 0.2",
        "model": "a/one",
        "hardware": hardware,
        "device": f"NVIDIA {hardware.upper()}",
        "measured_on": "2026-11-21",
    }
    return best_row(**known | interval("energy_per_response_j", joules) | changes)


def drawn(*rows: dict[str, Any], targets: bool = True) -> Any:
    table = table_of(LEADERBOARD, *rows)
    return figures.draw("hardware_compared", {"leaderboard": table}, {"llm-chat": TARGET} if targets else {})


@pytest.mark.slow
def test_every_model_has_a_bar_a_hardware_with_its_ratio_to_the_least(tmp_path: Path) -> None:
    chart = drawn(
        row(), row("h200", 16.0), row(model="b/two", joules=50.0), row("h200", 100.0, model="b/two", variant="fp8")
    )
    found = texts(chart, tmp_path)
    # 20 / 16 = 1.25 and 100 / 50 = 2.
    labels = {"20.0 J, 1.25 x, B = 8", "16.0 J, B = 8", "50.0 J, B = 8", "100 J, 2.00 x, +fp8, B = 8"}
    assert labels <= set(found)
    assert {"a/one", "b/two", "h100", "h200", "Energy per response (J)"} <= set(found)
    assert "latency target: median time per output token at most 0.2 s" in found
    bars = [one for rows in chart.to_dict()["datasets"].values() for one in rows if "energy" in one]
    ends = {(one["run"], one["hardware"]): (one["energy"], one["low"], one["high"]) for one in bars}
    assert ends["a/one", "h200"] == pytest.approx((16.0, 14.4, 17.6))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    found = texts(
        drawn(
            row(),
            row("h200", 16.0),
            row("a100", None, status="out_of_memory", verdict="invalid: out_of_memory: 80 GB"),
            row("cpu", None, model="b/two"),
            row(model="b/two"),
            row(model="c/three"),
        ),
        tmp_path,
    )
    assert "a100: no energy (out of memory)" in found
    assert "cpu: not measured" in found
    assert "not drawn, measured on one piece of hardware alone: 2 models on h100" in found
    assert not {"b/two", "c/three"} & set(found)


def test_a_point_that_a_check_left_out_says_so(tmp_path: Path) -> None:
    left_out = row("a100", None, verdict="flagged: drift (5, at most 3)")
    assert "a100: no energy (flagged)" in texts(drawn(row(), row("h200"), left_out), tmp_path)


def test_a_missed_target_and_an_estimate_are_named(tmp_path: Path) -> None:
    slow = row("cpu", 900.0, meets_latency_target=False, rank=None, energy_source="codecarbon_estimate")
    found = texts(drawn(row(), slow), tmp_path)
    assert "900 J, 45.0 x, B = 8, estimated, misses latency target" in found
    assert "Energy per response (J), partly estimated" in found
    assert any("Pale: misses the latency target." in text for text in found)


def test_other_targets_are_not_compared(tmp_path: Path) -> None:
    found = texts(drawn(row(), row("h200", latency_target="tpot_p50_s <= 0.05")), tmp_path)
    assert "The latency targets of llm-chat differ between the tables: nothing is compared." in found
    assert not any(text.endswith("B = 8") for text in found)
    assert {"latency target: tpot_p50_s <= 0.05", "latency target: tpot_p50_s <= 0.2"} <= set(found)
    without = drawn(row(latency_target=None), row("h200", latency_target=None), targets=False)
    assert "no latency target" in texts(without, tmp_path)


def test_without_a_second_piece_of_hardware_it_is_a_sentence(tmp_path: Path) -> None:
    alone = texts(drawn(row(), row(model="b/two")), tmp_path)
    assert "Only h100 has been measured: there is no other hardware to compare it with." in alone
    others = texts(drawn(row(), row(task="llm-code"), row("cpu", model="b/two"), row("cpu", model="c/three")), tmp_path)
    words = "No model has been measured on more than one piece of hardware (2 models on cpu, 1 on h100)"
    assert f"{words}: there are no bars to draw." in others
