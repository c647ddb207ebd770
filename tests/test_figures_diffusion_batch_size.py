"""Energy per image or video by batch size."""

import json
from typing import Any

import pytest
from building import point_row, table_of

from joulebench.figures import diffusion_batch_size
from joulebench.tables.schemas import POINTS

IMAGES, VIDEOS = "owner/images", "owner/videos"


def point(
    task: str, model: str, batch: int, energy_j: float | None, latency_s: float | None, **changes: object
) -> dict[str, object]:
    figures = {"energy_per_response_j": energy_j, "latency_p50_s": latency_s}
    return point_row(**{"task": task, "model": model, "max_batch_size": batch} | figures | changes)


def drawn(*points: dict[str, object]) -> dict[str, Any]:
    chart: dict[str, Any] = diffusion_batch_size.draw(table_of(POINTS, *points)).to_dict()
    return chart


SWEEPS = (
    point("text-to-image", IMAGES, 1, 400.0, 1.0),
    point("text-to-image", IMAGES, 2, 300.0, 1.5),
    point("text-to-image", IMAGES, 4, None, None, status="out_of_memory", verdict="invalid: out_of_memory: no"),
    point("image-to-video", VIDEOS, 1, 7000.0, 12.0),
)


@pytest.mark.slow
def test_a_row_a_task_with_energy_from_zero_and_latency() -> None:
    chart = drawn(*SWEEPS)
    assert [row["title"]["text"] for row in chart["concat"]] == ["text-to-image", "image-to-video"]
    titles = [[cell["title"]["text"] for cell in row["hconcat"]] for row in chart["concat"]]
    latency = "Median latency of a batch (s)"
    assert titles == [["Energy per image (J)", latency], ["Energy per video (J)", latency]]
    energy, latency_cell = chart["concat"][0]["hconcat"]
    for cell, values in ((energy, [400, 300]), (latency_cell, [1, 1.5])):
        [line] = [layer for layer in cell["layer"] if layer["mark"]["type"] == "line"]
        assert [row["value"] for row in chart["datasets"][line["data"]["name"]]] == values
    scale = energy["layer"][0]["encoding"]["y"]["scale"]
    assert (scale["type"], scale["domain"][0]) == ("linear", 0)
    assert scale["domain"][1] > 400


@pytest.mark.slow
def test_a_model_that_ran_out_of_memory_has_a_cross_where_it_stopped() -> None:
    chart = drawn(*SWEEPS)
    for cell in chart["concat"][0]["hconcat"]:
        crosses = [layer for layer in cell["layer"] if str(layer["mark"].get("shape", "")).startswith("M")]
        [data] = [chart["datasets"][layer["data"]["name"]] for layer in crosses]
        assert [(row["run"], row["axis_value"]) for row in data] == [(IMAGES, 4)]
    assert "Crosses at the top" in json.dumps(chart["title"])
    # The axis goes as far as the cross.
    high = chart["concat"][1]["hconcat"][0]["layer"][0]["encoding"]["x"]["scale"]["domain"][1]
    assert high > 4


@pytest.mark.slow
def test_a_model_without_any_point_but_the_one_that_stopped_is_named() -> None:
    chart = drawn(*SWEEPS, point("text-to-image", "owner/huge", 1, None, None, status="out_of_memory"))
    line = next(layer for layer in chart["concat"][0]["hconcat"][0]["layer"] if layer["mark"]["type"] == "line")
    assert line["encoding"]["color"]["scale"]["domain"] == [IMAGES, "owner/huge"]


def test_without_images_and_videos_a_sentence_says_so() -> None:
    chart = drawn(point("llm-chat", IMAGES, 1, 1.0, 1.0))
    assert "No task that makes images or videos is among the results" in json.dumps(chart)
