"""A log of nvidia-smi as it is written, and as it may come."""

from datetime import datetime
from pathlib import Path

import pytest

from joulebench.files import RecordError
from joulebench.records.nvidia_smi import read_log

ONE, TWO = "GPU-00000000-0000-0000-0000-000000000001", "GPU-00000000-0000-0000-0000-000000000002"
# Of a real log of an H200, by nvidia-smi --query-gpu=timestamp,power.draw,utilization.gpu,memory.used -l 1
REAL = """timestamp, power.draw [W], utilization.gpu [%], memory.used [MiB]
2026/11/27 00:36:27.395, 317.22 W, 50 %, 1011 MiB
2026/11/27 00:36:28.395, 533.77 W, 44 %, 1011 MiB
2026/11/27 00:36:29.401, 549.71 W, 22 %, 1011 MiB
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "nvidia-smi.csv"
    path.write_bytes(text.encode())
    return path


def test_a_real_log_of_one_gpu(tmp_path: Path) -> None:
    found = read_log(written(tmp_path, REAL))
    assert found["power_w"].to_list() == [317.22, 533.77, 549.71]
    assert found["time"][1] == datetime(2026, 11, 27, 0, 36, 28, 395_000)
    assert found["gpu"].unique().to_list() == [""]
    assert not found["is_uuid"].any()


@pytest.mark.parametrize(
    ("text", "gpus", "watts"),
    [
        pytest.param(REAL.replace(" W,", ","), ["", "", ""], [317.22, 533.77, 549.71], id="nounits"),
        pytest.param(REAL.replace("\n", "\r\n"), ["", "", ""], [317.22, 533.77, 549.71], id="Windows' line ends"),
        pytest.param("\ufeff" + REAL, ["", "", ""], [317.22, 533.77, 549.71], id="a byte order mark"),
        pytest.param(REAL + "2026/11/27 00:36:30.401, 29", ["", "", ""], [317.22, 533.77, 549.71], id="cut off"),
        pytest.param(
            "".join(
                "timestamp, power.draw [W]\n"
                + "".join(f"2025/04/16 19:{minute}:{second}.007, 70.00 W\n" for second in range(20, 30))
                for minute in (53, 54)
            ),
            [""] * 20,
            [70.0] * 20,
            id="logs joined, with all their headers",
        ),
        pytest.param(REAL.replace("533.77 W", "[N/A]"), ["", "", ""], [317.22, None, 549.71], id="[N/A]"),
        pytest.param(
            REAL.replace("533.77 W", "[Unknown Error]"), ["", "", ""], [317.22, None, 549.71], id="[Unknown Error]"
        ),
        pytest.param(
            f"index, timestamp, uuid, power.draw [W]\n0, 2025/04/16 19:53:22.724, {ONE}, 70.00 W\n"
            f"1, 2025/04/16 19:53:22.726, {TWO}, 300.00 W\n0, 2025/04/16 19:53:23.724, {ONE}, 80 W\n",
            [ONE, ONE, TWO],
            [70.0, 80.0, 300.0],
            id="two GPUs, by their UUIDs",
        ),
        pytest.param(
            "index, timestamp, power.draw.instant [W], power.draw [W]\n3, 2025/04/16 19:53:22.724, 1.00 W, 70.00 W\n",
            ["3"],
            [70.0],
            id="by index, power.draw before power.draw.instant",
        ),
    ],
)
def test_forms(tmp_path: Path, text: str, gpus: list[str], watts: list[float | None]) -> None:
    found = read_log(written(tmp_path, text))
    assert found["gpu"].to_list() == gpus
    assert found["power_w"].to_list() == watts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its first line is '', expected a header with timestamp and power.draw"),
        (REAL.partition("\n")[2], "its first line is '2026/11/27 00:36:27.395"),
        (REAL.replace("power.draw", "power.limit"), "expected a header with timestamp and power.draw"),
        (REAL.partition("\n")[0] + "\n", "no reading"),
        (REAL.replace("533.77", "72,44"), "expected as many values a line, and a point as the decimal mark"),
        (REAL.replace("533.77 W", "seventy"), "a line with 'seventy', expected a power"),
        (REAL.replace("533.77 W", "-533.77 W"), "a line with '-533.77 W', expected a power as 71.80 W"),
        (REAL.replace("533.77 W", ""), "a line with '', expected a power"),
        (REAL.replace("2026/11/27 00:36:28.395", "16.04.2025 19:53"), "'16.04.2025 19:53', expected a time as"),
        (REAL.replace("00:36:28", "00:36:21"), "its times go back"),
        (
            REAL.partition("\n")[0]
            + "".join(f"\n2025/04/16 19:53:{s}.{ms:03d}, 70 W, 1 %, 1 MiB" for s in range(20, 30) for ms in (0, 3))
            + "\n",
            "several readings at a time, and no column uuid or index",
        ),
    ],
)
def test_what_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecordError) as error:
        read_log(path)
    assert said in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert "log with nvidia-smi --query-gpu=timestamp,uuid,power.draw" in str(error.value)
    assert "\n" not in str(error.value)


def test_utf_16_as_a_shell_of_windows_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "nvidia-smi.csv"
    path.write_text(REAL, encoding="utf-16")
    with pytest.raises(RecordError, match="UTF-16, expected text in UTF-8"):
        read_log(path)
