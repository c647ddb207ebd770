"""The power of one point over its time."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
from building import best_row, table_of
from drawn import SVG, texts

from joulebench import figures
from joulebench.figures import render
from joulebench.tables.schemas import LEADERBOARD, TRACE

# start_s, end_s, power_w, running, window
STRETCHES = [
    (-1.0, 0.0, 120.0, None, None),
    (0.0, 1.0, 300.0, 1.0, "ramp"),
    (1.0, 3.0, 500.0, 4.0, "queue"),
    (3.0, 4.0, 600.0, 4.0, "stationary"),
    (4.0, 7.0, 640.0, 4.0, "stationary"),
    (7.0, 8.0, 200.0, 1.0, "drain"),
]


def trace(stretches: Any = STRETCHES, **changes: Any) -> pl.DataFrame:
    point = {
        "task": "llm-chat",
        "model": "a/one",
        "hardware": "h100",
        "max_batch_size": 4,
        "device": "gpu:0",
        "energy_source": "nvml_counter",
        "tdp_w": 700.0,
    } | changes
    names = ("start_s", "end_s", "power_w", "running", "window")
    return table_of(TRACE, *(point | dict(zip(names, stretch, strict=True)) for stretch in stretches))


def board(**changes: Any) -> pl.DataFrame:
    known = {"rank": 1, "model": "a/one", "weights": "synthetic", "energy_per_response_j": 10.0}
    return table_of(LEADERBOARD, best_row(**known | {"measured_on": "2026-11-21"} | changes))


def texts_of(rows: pl.DataFrame, leaderboard: pl.DataFrame, folder: Path) -> list[str]:
    return texts(figures.draw("power_trace", {"trace": rows, "leaderboard": leaderboard}, {}), folder)


@pytest.mark.slow
def test_the_windows_the_tdp_and_the_means_are_named(tmp_path: Path) -> None:
    found = texts_of(trace(), board(), tmp_path)
    windows = ["ramp: the batch fills", "queue window, its first turnover", "stationary window"]
    assert {*windows, "drain: no request waits any more", "a/one"} <= set(found)
    assert {"Power (W)", "Running batch", "Time since the point began (s)", "TDP 700 W", "maximum 4"} <= set(found)
    # (600 x 1 + 640 x 3) / 4 = 630; with the queue's (500 x 2) before it (1000 + 2520) / 6 = 586.7.
    assert "Mean power: 630 W in the stationary window, 587 W in the whole queue window." in found
    assert "mean 630 W" in found
    assert any("synthetic weights" in text for text in found)


def test_shades_begin_and_end_with_their_windows() -> None:
    chart = figures.draw("power_trace", {"trace": trace(), "leaderboard": board()}, {})
    shades = [rows for rows in chart.to_dict()["datasets"].values() if "window" in rows[0]]
    bounds = [(row["window"].partition(" ")[0].strip(":"), row["start_s"], row["end_s"]) for row in shades[0]]
    assert bounds == [("ramp", 0.0, 1.0), ("queue", 1.0, 3.0), ("stationary", 3.0, 7.0), ("drain", 7.0, 8.0)]


@pytest.mark.slow
def test_steps_hold_until_the_next_and_the_last_until_its_end() -> None:
    chart = figures.draw("power_trace", {"trace": trace(), "leaderboard": board()}, {})
    (steps,) = [
        rows for rows in chart.to_dict()["datasets"].values() if set(rows[0]) == {"device", "start_s", "power_w"}
    ]
    assert [(row["start_s"], row["power_w"]) for row in steps] == [
        (-1.0, 120.0),
        (0.0, 300.0),
        (1.0, 500.0),
        (3.0, 600.0),
        (4.0, 640.0),
        (7.0, 200.0),
        (8.0, 200.0),
    ]


@pytest.mark.slow
def test_several_devices_have_a_line_each_and_a_common_mean(tmp_path: Path) -> None:
    two = pl.concat([trace(), trace([(s, e, w / 2, r, n) for s, e, w, r, n in STRETCHES], device="gpu:1")])
    found = texts_of(two, board(), tmp_path)
    assert {"gpu:0", "gpu:1", "TDP 700 W, each", "mean 630 W", "mean 315 W"} <= set(found)
    assert "Mean power, 2 devices together: 945 W in the stationary window, 880 W in the whole queue window." in found


@pytest.mark.slow
def test_the_labels_at_the_right_keep_apart(tmp_path: Path) -> None:
    near = trace([(0.0, 1.0, 699.0, 1.0, "stationary")])
    render.save(figures.draw("power_trace", {"trace": near, "leaderboard": board()}, {}), [tmp_path / "figure.svg"])
    heights = {}
    for text in ElementTree.parse(tmp_path / "figure.svg").iter(f"{SVG}text"):
        if (words := "".join(text.itertext())) in ("TDP 700 W", "mean 699 W"):
            heights[words] = float(text.attrib["transform"].partition(",")[2].rstrip(")"))
    assert heights["mean 699 W"] - heights["TDP 700 W"] == pytest.approx(13, abs=0.1)


@pytest.mark.slow
def test_diffusion_an_estimate_and_no_tdp(tmp_path: Path) -> None:
    batches = [(0.0, 2.0, 30.0, 4.0, "warm-up"), (2.0, 4.0, 40.0, 4.0, "batches")]
    changes = {"task": "text-to-image", "energy_source": "codecarbon_estimate", "device": "cpu:0", "tdp_w": None}
    found = texts_of(trace(batches, **changes), board(task="text-to-image", device=None, hardware="cpu"), tmp_path)
    assert {"warm-up batches", "measured batches", "Power (W), estimated"} <= set(found)
    assert "Mean power: 40.0 W in the measured batches." in found
    assert any(text.startswith("Each step: the mean between two of CodeCarbon's estimates") for text in found)
    assert not any(text.startswith("TDP") for text in found)


def test_where_nothing_is_ranked_it_says_so(tmp_path: Path) -> None:
    found = texts_of(trace([]), board(rank=None, meets_latency_target=False), tmp_path)
    assert "No model of llm-chat is ranked: there is no best point whose power to show." in found


def test_a_best_point_with_too_few_updates_says_so(tmp_path: Path) -> None:
    found = texts_of(trace([]), board(), tmp_path)
    assert any(text.startswith("The energy counter was read too seldom in the best point") for text in found)
