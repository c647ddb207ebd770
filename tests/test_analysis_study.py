"""A study's table: what the whole of a point drew, part by part, and where the curve has its knee."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from building import example_spec, machine, point_record, table_of, write_point, write_run

from joulebench.analysis.points import WantedRun
from joulebench.analysis.study import knee, study
from joulebench.config.spec import RunSpec
from joulebench.loads.setting import Setting
from joulebench.records.files import sha256s
from joulebench.records.models import Point, SampleTokens
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS
from joulebench.tables.schemas import STUDY

CAP = 2


def spec(requests: tuple[int, ...]) -> RunSpec:
    sweep = {"load": "at-once", "requests": requests, "max_batch_size": CAP}
    length = {"kind": "reference", "tokens": 2}
    return example_spec(reports_as="H100", sample={"requests": 4}, output_length=length, sweep=sweep)


def measure(folder: Path, run: RunSpec, index: int, count: int) -> tuple[Point, dict[str, str]]:
    """`count` requests of 10 + 2 tokens, two at a time, a step of 1 s each: the counter rises 100 J in a step that two
    share, 60 J in one that one has for itself."""
    waves = [min(CAP, count - first) for first in range(0, count, CAP)]
    requests, steps, polls, joules = [], [], [(-1.0, 960.0), (0.0, 1000.0)], 1000.0
    for wave, size in enumerate(waves):
        for _ in range(size):
            times = {"submitted_s": 0.0, "admitted_s": 2.0 * wave, "first_output_s": 2.0 * wave + 1}
            counts = {"prompt_tokens": 10, "output_tokens": 2, "asked_output_tokens": 2}
            ended = {"point": index, "request": len(requests), "finished_s": 2.0 * wave + 2, "status": "finished"}
            requests.append(ended | times | counts)
        for step in range(2):
            joules += 100.0 if size == CAP else 60.0
            place = 2 * wave + step
            polls.append((place + 1.0, joules))
            steps.append(
                {
                    "point": index,
                    "iteration": place,
                    "end_s": place + 1.0,
                    "running": size,
                    "waiting": sum(waves[wave + 1 :]),
                    "prompt_tokens": 10 * size if step == 0 else 0,
                    "output_tokens": size,
                    "first_tokens": size if step == 0 else 0,
                    "finished": size if step == 1 else 0,
                    "preempted": 0,
                }
            )
    last = steps[-1]["end_s"]
    polls.append((last + 1.0, joules + 40.0))
    energy = [
        {"device": "gpu:0", "source": "nvml_counter", "time_s": at, "energy_j": j, "power_w": 80.0} for at, j in polls
    ]
    point = point_record(
        CAP,
        point=index,
        setting=run.sweep.settings[index],
        duration_s=last,
        start="cold",
        sample_tokens=SampleTokens(requests=4, prompt_tokens=40, output_tokens=8),
    )
    frames = {"requests": (REQUESTS, requests), "iterations": (ITERATIONS, steps), "energy": (ENERGY, energy)}
    place = write_point(folder, point, {name: table_of(schema, *rows) for name, (schema, rows) in frames.items()})
    return point, sha256s(place)


def measured(folder: Path, run: RunSpec) -> WantedRun:
    found = [measure(folder, run, index, one.requests or 0) for index, one in enumerate(run.sweep.settings)]
    card = {"name": "NVIDIA H100", "uuid": "GPU-0123456789"}
    used = machine(device="NVIDIA H100", devices=[card], tdp_w=700.0, energy_sources={"gpu:0": "nvml_counter"})
    sums = {point.folder: digests for point, digests in found}
    wanted = write_run(folder, run, *(point for point, _ in found), machine=used, points_sha256=sums)
    return WantedRun(folder, wanted.spec, 700.0)


def test_the_whole_of_a_point_and_its_parts(tmp_path: Path) -> None:
    """Five requests, two at a time: 2 + 2 + 1, six steps of 1 s, 4 x 100 + 2 x 60 J."""
    table, left_out = study([measured(tmp_path, spec((1, 5)))])
    assert left_out.is_empty()
    assert table.schema == STUDY
    one, five = table.iter_rows(named=True)
    assert (five["load"], five["axis"], five["setting"], five["requests"]) == ("at-once", "requests", "n5-b2", 5)
    assert (five["window"], five["window_s"], five["whole_s"]) == ("whole", 6.0, 6.0)
    assert five["whole_energy_j"] == pytest.approx(520.0)
    # Ten tokens; a response of the sample has two.
    assert five["whole_energy_per_response_j"] == pytest.approx(520.0 / 10 * 2)
    assert five["energy_per_response_j"] == pytest.approx(520.0 / 10 * 2)
    assert five["study_energy_per_response_j"] == five["whole_energy_per_response_j"]
    assert five["energy_per_response_low_j"] is None
    # Full from the end of the first step on; the last waits until the end of the fourth.
    assert (five["ramp_s"], five["steady_s"], five["drain_s"]) == (1.0, 3.0, 2.0)
    parts = [five[f"{part}_energy_j"] for part in ("ramp", "steady", "drain")]
    assert parts == pytest.approx([100.0, 300.0, 120.0])
    assert sum(parts) == pytest.approx(five["whole_energy_j"])
    assert five["steady_energy_per_response_j"] == pytest.approx(300.0 / 6 * 2)
    assert five["queue_energy_per_response_j"] == pytest.approx(300.0 / 6 * 2)
    assert five["mean_batch_size"] == pytest.approx((4 * 2 + 2 * 1) / 6)
    assert five["responses_per_s"] == pytest.approx(5 / 6)
    # One alone: no ramp to a batch that it waits for, and so no parts.
    assert one["whole_energy_per_response_j"] == pytest.approx(120.0)
    assert one["steady_s"] is one["ramp_s"] is one["drain_energy_j"] is None
    assert "short window" in one["verdict"]
    assert "interval not known" not in one["verdict"]
    assert five["knee"] is None


@pytest.mark.slow
def test_a_point_among_others_of_another_load_is_what_it_is_alone(tmp_path: Path) -> None:
    run = measured(tmp_path, spec((5,)))
    table, _ = study([run])
    both, _ = study([run, measured(tmp_path / "again", spec((1, 5)).model_copy(update={"repeat": 2}))])
    again = both.filter(pl.col("setting") == "n5-b2")
    assert again["repeat"].to_list() == [1, 2]
    differs = ("repeat", "clock_step_s")
    assert table.drop(differs).rows() * 2 == again.drop(differs).rows()


def test_the_knee_of_a_broken_line() -> None:
    """J fall as 1 / N to N = 100, and are flat from there on: 10 J."""
    x = np.array([1, 5, 10, 20, 40, 100, 200, 500, 1000, 2000, 5000])
    noise = 1 + 0.01 * np.array([1, -1, 1, -1, -1, 1, 1, -1, -1, 1, 0])
    found = knee(x, 10 * np.maximum(100 / x, 1.0) * noise)
    assert found is not None
    assert found.low <= 100 <= found.high
    assert found.value == pytest.approx(100, rel=0.05)
    assert found.high / found.low < 1.2
    # The same curve with ten times the scatter is known less well.
    rough = knee(x, 10 * np.maximum(100 / x, 1.0) * (1 + 10 * (noise - 1)))
    assert rough is not None
    assert rough.high / rough.low > found.high / found.low


def test_points_that_a_check_voids_are_no_part_of_the_knee(tmp_path: Path) -> None:
    """The counters of these points are far off their power readings, which voids nearly all of the seven: no knee."""
    table, _ = study([measured(tmp_path, spec((1, 2, 3, 4, 6, 8, 12)))])
    assert table["verdict"].str.starts_with("invalid: counter against power").sum() >= 5
    assert table["study_energy_per_response_j"].is_not_null().all()
    assert table["knee"].is_null().all()


def test_one_line_has_no_knee() -> None:
    x = np.array([1, 2, 4, 8, 16, 32, 64])
    noise = 1 + 0.01 * np.array([1, -1, 1, -1, 1, -1, 1])
    assert knee(x, 3 / x * noise) is None
    assert knee(x[:5], [5, 4, 3, 3, 3]) is None
    assert knee(x, [5, 4, 3, 3, 3, 3, float("nan")]) is None


@pytest.mark.slow
def test_the_knees_interval_holds_the_truth_in_19_of_20() -> None:
    """400 curves with a scatter of 3 %: between 92 and 98 % of the intervals hold a knee at 60."""
    generator = np.random.default_rng(5)
    x = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    truth = 10 * np.maximum((60 / x) ** 0.9, 1.0)
    found = [knee(x, truth * np.exp(0.03 * generator.standard_normal(x.size))) for _ in range(400)]
    held = [one is not None and one.low <= 60 <= one.high for one in found]
    assert 0.92 <= np.mean(held) <= 0.98


def test_the_axis_of_a_setting_is_what_varies() -> None:
    assert Setting(max_batch_size=2).axis == "max_batch_size"
    assert [one.axis for one in spec((1, 5)).sweep.settings] == ["requests"] * 2
