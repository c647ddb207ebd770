"""A process that has imported what the project's scripts take seconds to import; each script runs in a fork of it.

    python server.py ADDRESS                     an address is the path of a socket; `ready` goes to standard output

Nothing of the project is imported here, nor Polars, whose threads a fork would lack. A script finds its arguments,
folder, environment, search path and standard streams as they were where it was called. A script whose environment
differs in what libraries read as they are imported is left to its caller.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = (
    "codecarbon.external.hardware",
    "codecarbon.external.ram",
    "diffusers.pipelines.animatediff.pipeline_animatediff",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion",
    "huggingface_hub",
    "pydantic",
    "tokenizers",
    "torch",
    "transformers.generation.continuous_batching",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.clip.modeling_clip",
    "transformers.models.llama.modeling_llama",
    "transformers.models.llava.modeling_llava",
)
READ_EARLY = ("HF_", "TRANSFORMERS_", "DIFFUSERS_", "TORCH", "PYTORCH", "CUDA_", "HOME", "XDG_", "LC_", "LANG")
"""Variables that begin so are looked at by libraries when they are imported. OMP_NUM_THREADS is one too, and Snakemake
gives each job its own; a script that measures gets every core, as the server has."""


def serve(address: str, ready: int, early: dict[str, str]) -> dict[str, Any]:
    """Returns in a fork, for every script that is to run, with what its caller said."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        os.write(ready, b"ready\n")
        os.close(ready)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who look after a script
        while True:
            caller, _ = listening.accept()
            if os.fork():
                caller.close()
                continue
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asked, streams = heard(caller)
            if read_early(asked["environment"]) != early:
                caller.sendall(b"0\n")
                os._exit(0)
            if worker := os.fork():
                look_after(worker, caller)
            caller.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return asked


def heard(caller: socket.socket) -> tuple[dict[str, Any], list[int]]:
    said, streams, _, _ = socket.recv_fds(caller, 1 << 16, 3)
    while not said.endswith(b"\n"):
        said += caller.recv(1 << 16)
    return json.loads(said), streams


def look_after(worker: int, caller: socket.socket) -> None:
    """Tell the caller how the script ended; end the script when the caller is gone."""
    caller.sendall(f"{worker}\n".encode())
    end = os.pidfd_open(worker)
    if caller in select.select([end, caller], [], [])[0]:
        os.kill(worker, signal.SIGTERM)
    _, status = os.waitpid(worker, 0)
    with suppress(OSError):
        caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def read_early(environment: Any) -> dict[str, str]:
    own = "TORCHINDUCTOR_CACHE_DIR"  # which torch sets itself as it is imported
    return {name: value for name, value in environment.items() if name.startswith(READ_EARLY) and name != own}


def run(asked: dict[str, Any], path: list[str]) -> None:
    """As `python SCRIPT ARGUMENTS` does."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    script = asked["argv"][0]
    sys.argv[:] = sys.orig_argv[1:] = asked["argv"]
    own = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:] = [str(Path(script).absolute().parent), *own, *path]
    sys.path_importer_cache.clear()
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    given = {str(Path(__file__).absolute().parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    early = read_early(os.environ)  # before libraries write there what they found
    ready = os.dup(1)
    os.dup2(2, 1)  # for what libraries print as they are imported
    for module in MODULES:
        import_module(module)
    gc.collect()
    gc.freeze()  # else each fork copies all of this as it collects, and takes seconds more
    found = serve(sys.argv[1], ready, early)
    run(found, [one for one in sys.path if one not in given])
