"""The nvidia-smi log beside a run against the meter's counter, integrated by hand."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import machine, point_record

from joulebench.analysis.second_source import logged_energy
from joulebench.files import RecordError
from joulebench.records.models import Machine, Point

ONE, TWO = "GPU-1", "GPU-2"
BEGAN = "2026-03-04T06:06:30.250+01:00"
"""By the machine's clock 06:06:30.250: a log says no more."""


def run_on(*uuids: str, source: str = "nvml_counter") -> Machine:
    sources = {f"gpu:{place}": source for place in range(len(uuids))}
    return machine(devices=[{"uuid": uuid} for uuid in uuids], energy_sources=sources)


def point(**changes: Any) -> Point:
    return point_record(4, **{"load_began": BEGAN, "duration_s": 20.0} | changes)


def write_log(
    folder: Path, *readings: tuple[float, str, str], columns: str = "timestamp, uuid, power.draw [W]"
) -> None:
    """`readings`: seconds from the start of the point's load, GPU, power as it stands there."""
    began = datetime(2026, 3, 4, 6, 6, 30, 250_000)
    moments = (f"{began + timedelta(seconds=at):%Y/%m/%d %H:%M:%S.%f}"[:-3] for at, _, _ in readings)
    lines = [f"{when}, {gpu}, {watts}" for when, (_, gpu, watts) in zip(moments, readings, strict=True)]
    (folder / "nvidia-smi.csv").write_text("\n".join([columns, *lines, ""]))


def energy(
    folder: Path, used: Machine | None = None, start_s: float = 2.5, end_s: float = 5.0, **changes: Any
) -> float | None:
    windows = pl.DataFrame(
        {"key": [7, 8], "start_s": [start_s, 0.0], "end_s": [end_s, 1.0]}, schema_overrides={"key": pl.UInt32}
    )
    found = logged_energy(folder, used or run_on(ONE), {7: point(**changes)}, windows)
    return None if found.is_empty() else found.row(0, named=True)["nvidia_smi_energy_j"]


def test_trapezoids_from_one_end_of_the_window_to_the_other(tmp_path: Path) -> None:
    # Power rises from 100 W at 2 s to 200 W at 3 s: 150 W at 2.5 s, and 0.5 s of 175 W from there. Then 2 s, falling
    # from 200 W to 100 W at 5 s: 300 J. The other GPU of the machine is not the run's.
    readings = [(1.0, ONE, "9.00 W"), (2.0, ONE, "100.00 W"), (2.0, TWO, "600.00 W"), (3.0, ONE, "200.00 W")]
    write_log(tmp_path, *readings, (3.5, ONE, "[N/A]"), (5.0, ONE, "100.00 W"), (6.0, TWO, "600.00 W"))
    assert energy(tmp_path) == pytest.approx(87.5 + 300.0)


def test_the_gpus_of_a_run_are_summed(tmp_path: Path) -> None:
    readings = [(at, gpu, watts) for at in (2, 4, 6) for gpu, watts in ((ONE, "100.00"), (TWO, "300.00"))]
    write_log(tmp_path, *readings)
    assert energy(tmp_path, run_on(ONE, TWO)) == pytest.approx(2.5 * 400)
    assert energy(tmp_path, run_on(TWO)) == pytest.approx(2.5 * 300)


@pytest.mark.parametrize("columns", ["timestamp, index, power.draw [W]", "timestamp, pstate, power.draw [W]"])
def test_without_uuids_as_many_gpus_as_the_run_has_are_its_own(tmp_path: Path, columns: str) -> None:
    write_log(tmp_path, *((at, "0", "100.00 W") for at in (2, 4, 6)), columns=columns)
    assert energy(tmp_path) == pytest.approx(250.0)
    with pytest.raises(
        RecordError, match="1 GPUs, without the run's UUIDs, and the run is of 2, expected a column uuid"
    ):
        energy(tmp_path, run_on(ONE, TWO))


def test_without_a_log_or_a_window_there_is_nothing(tmp_path: Path) -> None:
    assert energy(tmp_path) is None
    write_log(tmp_path, (0, ONE, "1 W"))
    none = pl.DataFrame({"key": [7], "start_s": [None], "end_s": [None]}, schema_overrides={"key": pl.UInt32})
    assert logged_energy(tmp_path, run_on(ONE), {7: point()}, none).is_empty()


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((3, 4, 5), "GPU-1 was read 3.0 to 5.0 s after it, expected readings over the window of 00-b4, 2.5 to 5.0 s"),
        ((2, 3, 4), "GPU-1 was read 2.0 to 4.0 s after it"),
        ((-3598, -3596, -3594), r"after 2026/03/04 06:06:30 \(UTC\+0100\), by the same clock and zone"),
        ((2.0, 2.6, 5.0), "GPU-1 was not read for 2.4 s in the window of 00-b4, .* expected 2 s at most"),
    ],
)
def test_a_log_that_does_not_cover_the_window_is_refused(tmp_path: Path, times: tuple[float, ...], said: str) -> None:
    write_log(tmp_path, *((at, ONE, "100.00 W") for at in times))
    with pytest.raises(RecordError, match=said):
        energy(tmp_path)


def test_a_gpu_that_the_log_never_knows_is_refused_and_not_left_out(tmp_path: Path) -> None:
    watts = {ONE: "100.00 W", TWO: "[N/A]"}
    write_log(tmp_path, *((at, gpu, watts[gpu]) for at in (2, 4, 6) for gpu in (ONE, TWO)))
    with pytest.raises(RecordError, match="GPU-2 was read never"):
        energy(tmp_path, run_on(ONE, TWO))


def test_a_log_of_another_gpu_or_of_another_kind_of_run_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path, *((at, ONE, "100.00 W") for at in (2, 4, 6)))
    with pytest.raises(RecordError, match="no reading of GPU-2, but of GPU-1, expected the run's GPUs"):
        energy(tmp_path, run_on(TWO))
    with pytest.raises(RecordError, match="the run's energy is of no NVIDIA GPU"):
        energy(tmp_path, run_on(ONE, source="amdsmi_counter"))
    with pytest.raises(RecordError, match="point 00-b4 does not say when its load began"):
        energy(tmp_path, load_began=None)


def test_a_broken_link_is_no_missing_log(tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecordError, match="no such file"):
        energy(tmp_path)
