"""How vLLM's engine core starts: spawned, or forked where that is asked for and safe; and what its compile cache held.

A spawned core imports vLLM a second time. A forked one has of its parent what was imported, and none of its threads: a
lock that one of them held stays locked, and CUDA does not work where the parent has initialised it. So a core is forked
only where the parent has done nothing but import. Polars' own threads are there all the same; the core never calls it.
Its slowest steps came out slower than a spawned one's (docs/measurements.md): so it is not the default.
"""

import ctypes
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from joulebench.config.spec import RunSpec
from joulebench.names import IMAGE_TASKS

METHOD = "VLLM_WORKER_MULTIPROC_METHOD"
HARMLESS = {"MainThread", "end-with-parent"}
"""A measurement's threads: the second, of measure.process, sleeps and holds no lock."""
CUDA_ERROR_NOT_INITIALIZED = 3  # cuda.h
COMPILED = ("torch_aot_compile/*/rank_*/model", "*/rank_*/*/vllm_compile_cache.py")
"""What vLLM writes below torch_compile_cache when it has compiled, and leaves alone when it finds it (0.25)."""


def against_fork(spec: RunSpec) -> str | None:
    """Why the engine core of this run must not be forked from this process; None where it may."""
    if spec.device != "cuda" or spec.tensor_parallel > 1:
        return "only a core with one NVIDIA GPU is forked"
    if spec.task in IMAGE_TASKS:
        return "vLLM prepares pictures before it forks"
    if uses_cuda():
        return "CUDA is initialised in this process already"
    if others := sorted({thread.name for thread in threading.enumerate()} - HARMLESS):
        return f"other threads run in this process ({', '.join(others)})"
    return None


def uses_cuda() -> bool:
    """Whether torch has initialised CUDA in this process, or anybody else has: the driver knows."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return True
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return bool(driver.cuDeviceGetCount(ctypes.byref(ctypes.c_int())) != CUDA_ERROR_NOT_INITIALIZED)


def process() -> Literal["fork", "spawn"] | None:
    """How vLLM has started its core: it falls back to spawn by itself, and says so in the environment.

    None where the environment wants no process for it.
    """
    if os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0":
        return None
    return "fork" if os.environ[METHOD] == "fork" else "spawn"


def compiled(root: str) -> dict[Path, int]:
    """What has been compiled below vLLM's cache folder -> when it was written, in ns."""
    folder = Path(root) / "torch_compile_cache"
    return {path: path.stat().st_mtime_ns for pattern in COMPILED for path in folder.glob(pattern)}


def compile_cache(before: Mapping[Path, int], after: Mapping[Path, int]) -> Literal["warm", "cold"] | None:
    """Warm: nothing was compiled anew. None where there is nothing at all.

    Another run that compiles into the same folder meanwhile makes this one cold.
    """
    if before != after:
        return "cold"
    return "warm" if after else None
