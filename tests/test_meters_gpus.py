"""CUDA_VISIBLE_DEVICES as people, Slurm and CUDA write it, on a machine of four GPUs at NVML's boundary."""

import os
from typing import Any

import pytest

from joulebench.meters import GPUS
from joulebench.meters.base import Gpu, NoMeterError

pynvml: Any = pytest.importorskip("pynvml")

NVIDIA = GPUS["cuda"]
UUIDS = ["GPU-11aa-0", "GPU-11bb-1", "GPU-22aa-2", "GPU-33aa-3"]
GPUS = [Gpu(index, uuid) for index, uuid in enumerate(UUIDS)]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The GPUs that the driver lets nobody open; none at first."""
    refused: set[int] = set()

    def handle(index: int) -> int:
        if index in refused:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return index

    for name, answer in {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(UUIDS),
        "nvmlDeviceGetHandleByIndex": handle,
        "nvmlDeviceGetUUID": lambda index: UUIDS[index],
    }.items():
        monkeypatch.setattr(pynvml, name, answer)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "")  # so that it is as it was after the test
        monkeypatch.delenv(name)
    return refused


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        (None, [0, 1, 2, 3]),
        ("2", [2]),
        ("3,1", [3, 1]),
        (" 0 , 3 ", [0, 3]),
        ("GPU-22aa-2", [2]),
        ("GPU-33aa-3,GPU-11aa-0", [3, 0]),
        ("GPU-22", [2]),
        ("GPU-11b,0", [1, 0]),
    ],
)
def test_indices_and_uuids(
    closed: set[int], monkeypatch: pytest.MonkeyPatch, value: str | None, indices: list[int]
) -> None:
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert NVIDIA.visible() == [GPUS[index] for index in indices]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "no GPU, since CUDA_VISIBLE_DEVICES is ''"),
        ("-1", "no GPU, since CUDA_VISIBLE_DEVICES is '-1'"),
        ("NoDevFiles", "no GPU, since CUDA_VISIBLE_DEVICES is 'NoDevFiles'"),
        ("MIG-377e0049-554c", "a MIG slice in CUDA_VISIBLE_DEVICES=MIG-377e0049-554c, whose energy"),
        ("0,MIG-GPU-11aa/1/0", "a MIG slice in"),
        ("0,2,0", "a GPU named twice in CUDA_VISIBLE_DEVICES=0,2,0"),
        ("2,GPU-22aa", "a GPU named twice in CUDA_VISIBLE_DEVICES=2,GPU-22aa"),
        ("4", r"no GPUs that are '4', as CUDA_VISIBLE_DEVICES says, among 0 \(GPU-11aa-0\), 1 "),
        ("GPU-11", "2 GPUs that are 'GPU-11', as"),
        ("0,,1", "no GPUs that are ''"),
        ("all", "no GPUs that are 'all'"),
    ],
)
def test_what_names_no_gpu_is_refused(
    closed: set[int], monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(NoMeterError, match=complaint) as error:
        NVIDIA.visible()
    assert "\n" not in str(error.value)


def test_a_slurm_job_has_what_slurm_says_and_no_more(closed: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(NoMeterError, match="no GPU given to this Slurm job"):
        NVIDIA.visible()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert NVIDIA.visible() == GPUS[1:3]


def test_what_is_handed_down_is_read_back(closed: set[int]) -> None:
    NVIDIA.see_only([GPUS[3], GPUS[1]])
    assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["CUDA_DEVICE_ORDER"]) == ("3,1", "PCI_BUS_ID")
    assert NVIDIA.named() == ["3", "1"]
    assert NVIDIA.visible() == [GPUS[3], GPUS[1]]


def test_gpus_that_a_job_may_not_open_are_not_its_own(closed: set[int]) -> None:
    closed |= {2, 3}
    assert NVIDIA.visible() == GPUS[:2]
    closed |= {0}  # CUDA would call the second GPU 0, NVML calls it 1
    with pytest.raises(NoMeterError, match="GPU 0 closed to this job, and 1, behind it, open to it"):
        NVIDIA.visible()
    closed |= {1}
    with pytest.raises(NoMeterError, match="no GPU under"):
        NVIDIA.visible()
