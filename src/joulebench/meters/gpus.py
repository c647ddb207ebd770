"""The GPUs that this process may use, by CUDA_VISIBLE_DEVICES, and how that is handed down.

CUDA takes indices and UUIDs in that variable, and numbers the GPUs by speed unless CUDA_DEVICE_ORDER says otherwise;
NVML does not look at it; Zeus takes NVML's indices alone; vLLM names a file by it, and eight UUIDs are too long a name.
So both forms are understood here, and NVML's indices are handed down, with CUDA told to number as NVML does.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from joulebench.meters.base import NoMeterError

VARIABLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
NOBODY = ("", "-1", "NoDevFiles")
"""What stands for no GPU; the last is Slurm's."""


@dataclass(frozen=True)
class Gpu:
    """One GPU: NVML's index, which is by PCI bus, and its UUID (`GPU-...`)."""

    index: int
    uuid: str


def named() -> list[str] | None:
    """The indices or UUIDs in CUDA_VISIBLE_DEVICES; None where it is not set, so that every GPU may be used.

    Raises NoMeterError where it names no GPU, a slice of one, or one twice, and in a Slurm job that was given none.
    """
    value = os.environ.get(VARIABLE)
    if value is None:
        if "SLURM_JOB_ID" in os.environ:
            raise NoMeterError(
                f"no GPU given to this Slurm job, which has no {VARIABLE} (set it where jobs own whole nodes)"
            )
        return None
    if value.strip() in NOBODY:
        raise NoMeterError(f"no GPU, since {VARIABLE} is '{value.strip()}'")
    words = [word.strip() for word in value.split(",")]
    if any(word.upper().startswith("MIG") for word in words):
        raise NoMeterError(f"a MIG slice in {VARIABLE}={value}, whose energy cannot be told from its neighbours'")
    if len(set(words)) < len(words):
        raise NoMeterError(f"a GPU named twice in {VARIABLE}={value}")
    return words


def visible() -> list[Gpu]:
    """The GPUs that this process may use, in the order in which it was given them.

    Raises NoMeterError as `named` does, without an NVIDIA driver, and for a GPU that this machine has not.
    """
    words, every = named(), _installed()
    gpus = every if words is None else [_find(word, every) for word in words]
    if len(set(gpus)) < len(gpus):
        raise NoMeterError(f"a GPU named twice in {VARIABLE}={os.environ[VARIABLE]}")
    return gpus


def see_only(gpus: Sequence[Gpu]) -> None:
    """From now on this process, and what it starts, uses these GPUs alone. To be called before CUDA or Zeus looks."""
    os.environ[VARIABLE] = ",".join(str(gpu.index) for gpu in gpus)
    os.environ[ORDER] = "PCI_BUS_ID"


def _find(word: str, every: Sequence[Gpu]) -> Gpu:
    """By index, or by as much of its UUID as tells it from the others, as CUDA does."""
    if word.isdecimal():
        found = [gpu for gpu in every if gpu.index == int(word)]
    else:
        found = [gpu for gpu in every if word.startswith("GPU-") and gpu.uuid.startswith(word)]
    if len(found) != 1:
        raise NoMeterError(
            f"{len(found) or 'no'} GPUs that are '{word[:60]}', as {VARIABLE} says, among "
            f"{', '.join(f'{gpu.index} ({gpu.uuid})' for gpu in every)}"
        )
    return found[0]


def _installed() -> list[Gpu]:
    """Every GPU that the driver lets this process open. Raises NoMeterError where there is none."""
    try:
        import pynvml
    except ImportError as error:
        raise NoMeterError(f"no NVML ({error})") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoMeterError(f"no NVIDIA driver on this machine ({error})") from None
    gpus: list[Gpu] = []
    closed: list[int] = []
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            except pynvml.NVMLError as error:
                if error.value != pynvml.NVML_ERROR_NO_PERMISSION:
                    raise
                closed.append(index)
                continue
            gpus.append(Gpu(index, pynvml.nvmlDeviceGetUUID(handle)))
    except pynvml.NVMLError as error:
        raise NoMeterError(f"no GPU that NVML can measure ({error})") from None
    finally:
        pynvml.nvmlShutdown()
    if not gpus:
        raise NoMeterError("no GPU under this machine's NVIDIA driver")
    if closed and closed[0] < gpus[-1].index:  # CUDA does not count those, so that its numbers are not NVML's
        raise NoMeterError(f"GPU {closed[0]} closed to this job, and {gpus[-1].index}, behind it, open to it")
    return gpus
