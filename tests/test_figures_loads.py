"""Figures of sweeps of other loads and axes: which points are drawn, along what, and what is said of the rest."""

from pathlib import Path
from typing import Any

import pytest
from building import point_row, table_of
from drawn import texts

from joulebench import figures
from joulebench.tables.schemas import LEADERBOARD, POINTS

pytestmark = pytest.mark.slow

OF_SWEEPS = [
    name for name, figure in figures.FIGURES.items() if figure.tables in (("points",), ("points", "leaderboard"))
]


def point(value: float, axis: str = "max_batch_size", load: str = "closed-loop", **more: Any) -> dict[str, Any]:
    """A point of a text task, served with 64 requests in flight where another axis than the batch size varies."""
    joules = 100 / value**0.5
    known = {
        **{"load": load, "max_batch_size": 64, "axis": axis, axis: value, "setting": f"{axis}{value:g}"},
        **{"tdp_w": 700.0, "gpus": 1, "power_w": 300.0, "tdp_estimate_j": 2 * joules, "tpot_p50_s": 0.01 * value},
        **{"energy_per_response_j": joules, "energy_per_output_token_j": joules / 100},
        **{"plain_energy_per_output_token_j": joules / 100, "queue_energy_per_output_token_j": joules / 110},
    }
    return point_row(**known | more)


def arrivals(rate: float, **more: Any) -> dict[str, Any]:
    return point(rate, "rate_per_s", "poisson", requests=100, **more)


def texts_of(name: str, folder: Path, *rows: dict[str, Any]) -> list[str]:
    given = {"points": table_of(POINTS, *rows), "leaderboard": LEADERBOARD.to_frame()}
    return texts(figures.draw(name, {table: given[table] for table in figures.FIGURES[name].tables}, {}), folder)


OF_TEXT = [name for name in OF_SWEEPS if name != "diffusion_batch_size"]


@pytest.mark.parametrize("name", OF_TEXT)
def test_a_sweep_of_arrivals_is_drawn_over_their_rate(name: str, tmp_path: Path) -> None:
    found = texts_of(name, tmp_path, *map(arrivals, (0.5, 2.0, 8.0)))
    said = " ".join(found)
    assert "load: Poisson arrivals, at most B = 64 in flight, 100 requests" in said
    assert "atch size" not in said
    assert any(words in said for words in ("Requests per second", "8 requests/s"))


@pytest.mark.parametrize("name", OF_TEXT)
def test_of_several_loads_the_closed_loop_is_drawn_and_the_rest_is_said(name: str, tmp_path: Path) -> None:
    found = texts_of(name, tmp_path, *map(arrivals, (0.5, 2.0)), point(8), point(32, status="overloaded"))
    said = " ".join(found)
    assert "not drawn: 2 of llm-chat (Poisson arrivals, by requests per second)" in said
    assert "load:" not in said
    assert "32" in said


def test_why_a_point_is_overloaded_is_by_its_load(tmp_path: Path) -> None:
    found = " ".join(texts_of("energy_by_batch_size", tmp_path, arrivals(1.0), arrivals(8.0, status="overloaded")))
    assert "Hollow points: overloaded (requests come faster than they are served)." in found
