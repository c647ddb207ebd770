"""The figure of a study."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from building import interval, point_row, table_of
from drawn import SVG, texts

from joulebench.figures import small_multiples, study
from joulebench.tables.schemas import STUDY

HOSTILE = "</script><script>alert(1)</script>"
KNEE = {"knee": 34.2, "knee_low": 21.4, "knee_high": 59.6}


def loop(batch: int, energy_j: float | None, **changes: object) -> dict[str, object]:
    """A point of a closed loop, its energy known to +-10 %."""
    known = {
        "model": "a/one",
        "card": "GPU-1",
        "load": "closed-loop",
        "max_batch_size": batch,
        "setting": f"b{batch}",
        "study_energy_per_response_j": energy_j,
        "measured_on": "2026-01-04",
    }
    return point_row(**known | interval("energy_per_response_j", energy_j) | changes)


def arrivals(rate: float, energy_j: float, steady_j: float | None, **changes: object) -> dict[str, object]:
    """A point of 100 requests at a rate: of its energy a tenth is the ramp and a fifth the drain."""
    whole = {
        "load": "poisson",
        "axis": "rate_per_s",
        "rate_per_s": rate,
        "requests": 100,
        "setting": f"r{rate:g}-n100-b64",
        **interval("energy_per_response_j", steady_j),
        "whole_energy_j": 100 * energy_j,
        "whole_energy_per_response_j": energy_j,
        "steady_energy_per_response_j": steady_j,
    }
    parts = {"ramp_energy_j": 10 * energy_j, "steady_energy_j": 70 * energy_j, "drain_energy_j": 20 * energy_j}
    return loop(64, energy_j, **whole, **(parts if steady_j else {})) | changes


def drawn(*points: dict[str, object], name: str = "concurrency", asks: str = "what it costs") -> Any:
    return study.draw(table_of(STUDY, *points), name, asks)


def data(chart: Any, mark: str, **style: object) -> list[dict[str, Any]]:
    """The rows of the curves' layer that has such a mark."""
    spec = chart.to_dict()
    panel = spec["concat"][0]
    layers = panel.get("vconcat", [panel])[0]["layer"]
    [layer] = [one for one in layers if {"type": mark, **style}.items() <= one["mark"].items()]
    rows: list[dict[str, Any]] = spec["datasets"][layer["data"]["name"]]
    return rows


FULL, DASHED = {"strokeWidth": 1.6}, {"strokeWidth": 1.2}
CROSSES = {"shape": small_multiples.CROSS}


@pytest.mark.slow
def test_a_closed_loop_is_its_figures_with_their_intervals_over_logarithmic_axes() -> None:
    chart = drawn(loop(8, 10.0), loop(1, 50.0), loop(64, 4.0))
    assert [(row["x"], row["energy"]) for row in data(chart, "line", **FULL)] == [(1, 50.0), (8, 10.0), (64, 4.0)]
    assert [(row["low"], row["high"]) for row in data(chart, "rule")] == [
        (pytest.approx(0.9 * energy), pytest.approx(1.1 * energy)) for energy in (50, 10, 4)
    ]
    assert not data(chart, "line", **DASHED)
    [panel] = chart.to_dict()["concat"]
    for axis, title in (("x", "Maximum batch size"), ("y", "Energy per response (J)")):
        encoding = panel["layer"][0]["encoding"][axis]
        assert (encoding["scale"]["type"], encoding["title"]) == ("log", title)


@pytest.mark.slow
def test_arrivals_are_the_whole_without_its_interval_and_the_steady_part_beside_it(tmp_path: Path) -> None:
    chart = drawn(arrivals(1, 50.0, 40.0), arrivals(2, 30.0, 25.0), arrivals(8, 20.0, None), name="arrival-rate")
    assert [(row["x"], row["energy"]) for row in data(chart, "line", **FULL)] == [(1, 50.0), (2, 30.0), (8, 20.0)]
    assert [(row["x"], row["energy"]) for row in data(chart, "line", **DASHED)] == [(1, 40.0), (2, 25.0)]
    assert not data(chart, "rule")
    found = texts(chart, tmp_path)
    assert {"Arrival rate", "What it costs", "Requests per second"} <= set(found)
    assert any("load: Poisson arrivals, at most B = 64 in flight, 100 requests" in text for text in found)
    assert any("Dashed lines, hollow points: its steady part alone." in text for text in found)


def test_bars_are_the_shares_of_ramp_steady_part_and_drain() -> None:
    spec = drawn(arrivals(1, 50.0, 40.0), arrivals(8, 20.0, None)).to_dict()
    shares = spec["datasets"][spec["concat"][1]["data"]["name"]]
    assert sorted((row["x"], row["order"], row["part"], round(row["share"], 9)) for row in shares) == [
        (1, 0, "ramp", 0.1),
        (1, 1, "steady part", 0.7),
        (1, 2, "drain", 0.2),
        (8, 3, "no steady part", 1.0),
    ]


@pytest.mark.slow
def test_the_knee_of_each_model_is_on_its_curve_and_in_words(tmp_path: Path) -> None:
    one = [loop(batch, energy, **KNEE) for batch, energy in ((1, 100.0), (10, 10.0), (100, 10.0), (200, 10.0))]
    chart = drawn(*one, loop(1, 5.0, model="a/two"), loop(100, 4.0, model="a/two"))
    [tick] = data(chart, "tick")
    assert (tick["run"], tick["x"], tick["low"], tick["high"]) == ("a/one", 34.2, 21.4, 59.6)
    assert tick["energy"] == pytest.approx(10.0)
    found = texts(chart, tmp_path)
    assert "knee at 34 (21 to 60)" in found
    assert sum(text.startswith("knee at") for text in found) == 1


@pytest.mark.slow
def test_overloaded_points_are_crosses_and_doubtful_ones_pale(tmp_path: Path) -> None:
    doubt = arrivals(4, 25.0, 20.0, verdict="flagged: drift")
    over = arrivals(8, 20.0, None, status="overloaded", verdict="invalid: throttled")
    chart = drawn(arrivals(1, 50.0, 40.0), doubt, over)
    assert [(row["x"], row["opacity"]) for row in data(chart, "point", **CROSSES)] == [(8, study.PALE)]
    whole = data(chart, "line", **FULL)
    assert [(row["x"], row["opacity"]) for row in whole] == [(1, 1.0), (4, study.PALE), (8, study.PALE)]
    said = " ".join(texts(chart, tmp_path))
    assert "Crosses: overloaded (requests come faster than they are served)." in said
    assert "Pale: a check flagged the point or voids it." in said
    said = " ".join(texts(drawn(loop(1, 5.0), loop(2, 4.0, status="overloaded")), tmp_path))
    assert "Crosses: overloaded (memory, not the maximum, limits the batch)." in said
    assert "Pale" not in said


@pytest.mark.slow
def test_repeats_are_their_mean(tmp_path: Path) -> None:
    chart = drawn(*(arrivals(1, energy, energy / 2, repeat=k) for k, energy in ((1, 50.0), (2, 54.0))))
    assert [row["energy"] for row in data(chart, "line", **FULL)] == [52.0]
    assert [row["energy"] for row in data(chart, "line", **DASHED)] == [26.0]
    assert any(text.startswith("Means of 2 repeats") for text in texts(chart, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("points", [[loop(8, 5.0)], [loop(1, 5.0), loop(2, 5.0)], [arrivals(1, 0.02, 0.02)]])
def test_a_single_point_and_equal_ones_have_axes(points: list[dict[str, object]], tmp_path: Path) -> None:
    chart = drawn(*points)
    assert "a/one" in texts(chart, tmp_path)
    [x, y] = [chart.to_dict()["concat"][0]["layer"][0]["encoding"][axis] for axis in "xy"]
    for row in data(chart, "line", **FULL):
        for encoding, value in ((x, row["x"]), (y, row["energy"])):
            low, high = encoding["scale"]["domain"]
            assert low < value < high
            assert encoding["axis"]["values"]


def test_variants_of_one_model_have_colours_of_their_own() -> None:
    rows = [loop(batch, 100.0 - 10 * place, variant=f"v{place}") for place in range(5) for batch in (1, 2)]
    panel = drawn(*rows).to_dict()["concat"][0]
    scale = panel["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [f"a/one+v{place}" for place in range(5)]
    assert len(set(scale["range"])) == 5


@pytest.mark.slow
def test_what_has_no_energy_is_said(tmp_path: Path) -> None:
    gone = loop(4, None, status="out_of_memory", verdict="invalid: out_of_memory")
    assert "not drawn: 1 out_of_memory" in texts(drawn(loop(1, 5.0), gone), tmp_path)
    unmeasured = loop(1, None, energy_source=None, verdict="no energy: nothing measures it")
    assert "No energy was measured for llm-chat: there is no curve to draw." in texts(drawn(unmeasured), tmp_path)
    assert any("No run has been measured yet" in text for text in texts(drawn(), tmp_path))


def test_an_estimate_and_synthetic_weights_are_named(tmp_path: Path) -> None:
    found = texts(drawn(loop(1, 5.0, energy_source="codecarbon_estimate", weights="synthetic")), tmp_path)
    assert "Energy per response (J), estimated" in found
    assert any("not measured" in text for text in found)
    assert any("synthetic weights" in text for text in found)


@pytest.mark.slow
def test_hostile_text_stays_text_and_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    points = [
        arrivals(rate, 50.0 / rate, 4.0, model=model, **KNEE) for model in (HOSTILE, "b/x") for rate in (1, 20, 99)
    ]
    assert sum(HOSTILE in text for text in texts(drawn(*points, asks=HOSTILE), tmp_path)) >= 3
    assert not list(ElementTree.parse(tmp_path / "figure.svg").iter(f"{SVG}script"))
    first = (tmp_path / "figure.svg").read_bytes()
    texts(drawn(*points, asks=HOSTILE), tmp_path)
    assert (tmp_path / "figure.svg").read_bytes() == first
