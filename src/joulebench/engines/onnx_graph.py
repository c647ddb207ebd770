"""A graph of onnxruntime-genai's builder in a session of ONNX Runtime, and its cache, read and written in place."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from joulebench.config.spec import RunSpec
from joulebench.engines.onnx_export import GRAPH, REMEDY, settings_of
from joulebench.errors import UserError, in_one_line

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
ELEMENTS = {"float32": 1, "int64": 7, "float16": 10, "bfloat16": 16}
"""Numbers of the types in ONNX' TensorProto."""
PAST, PRESENT = "past_key_values", "present"
GIVEN = {"input_ids", "attention_mask", "position_ids"}
"""Inputs of a graph that this engine can give, beside the cache."""
NO_MEMORY = re.compile("allocate memory|out of memory", re.IGNORECASE)
"""In its errors while a graph runs, which have no kind of their own."""


class Graph:
    """The exported model in a session, and its cache: `slots` rows of `room` tokens each.

    The cache is torch's memory, which the session reads and writes in place: past and present are bound to the same. On
    a CPU all else that is done with it is NumPy's: torch would start threads that go on spinning beside the session's.
    """

    def __init__(self, spec: RunSpec, place: Path, slots: int, room: int, threads: int) -> None:
        import torch

        self._torch, self._device = torch, spec.torch_device
        settings = settings_of(place)
        self._session = opened(place / GRAPH, spec.device, threads)
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        logits = next(one for one in self._session.get_outputs() if one.name == "logits")
        pasts = [name for name in self._inputs if name.startswith(f"{PAST}.")]
        unknown = sorted(self._inputs.keys() - GIVEN - set(pasts))
        if unknown or not pasts or logits.shape[1] != 1 or not settings["search"]["past_present_share_buffer"]:
            raise UserError(
                f"{place}: not a graph that is served here (inputs {', '.join(unknown) or 'as expected'}, "
                f"{len(pasts)} parts of a cache, logits {logits.shape}); take the engine transformers"
            )
        self._element, dtype = ELEMENTS[spec.dtype], getattr(torch, spec.dtype)
        width = settings["model"]["decoder"]["head_size"]
        heads = {name: int(self._inputs[name].shape[1]) for name in pasts}
        self._cache = {
            name: torch.zeros(slots, heads[name], room, width, dtype=dtype, device=self._device) for name in pasts
        }
        self._logits = torch.empty(slots, 1, int(logits.shape[2]), dtype=dtype, device=self._device)
        on_cpu = self._device == "cpu"
        self._views: list[Any] = [part.numpy() if on_cpu else part for part in self._cache.values()]
        self._scores = self._logits.numpy() if on_cpu else self._logits
        self._bindings: dict[tuple[int, int], Any] = {}

    def run(self, ids: Sequence[Sequence[int]], held: Sequence[int], first: int) -> list[int]:
        """The most likely token after each row of `ids`, all of one length, behind the `held` tokens of its cache row.

        The rows of the cache are those from `first` on.
        """
        torch, rows = self._torch, len(ids)
        given = np.array(ids, dtype=np.int64)
        behind = np.array(held, dtype=np.int64)[:, None]
        ends = behind + given.shape[1]
        parts = {
            "input_ids": given,
            "attention_mask": (np.arange(ends.max()) < ends).astype(np.int64),
            "position_ids": behind + np.arange(given.shape[1]),
        }
        binding = self._bindings.get((first, rows)) or self._bound(first, rows)
        kept = {name: torch.from_numpy(part).to(self._device) for name, part in parts.items() if name in self._inputs}
        for name, part in kept.items():
            binding.bind_input(name, self._device, 0, ELEMENTS["int64"], tuple(part.shape), part.data_ptr())
        if self._device == "cuda":
            torch.cuda.synchronize()  # the session works on a stream of its own
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:
            if NO_MEMORY.search(str(error)):
                raise torch.OutOfMemoryError(in_one_line(error)) from error
            raise
        binding.synchronize_outputs()
        found: list[int] = self._scores[:rows, 0].argmax(-1).tolist()
        return found

    def _bound(self, first: int, rows: int) -> Any:
        """A binding of the cache's rows, and of the logits: they stay where they are."""
        binding = self._session.io_binding()
        for name, whole in self._cache.items():
            part = whole[first : first + rows]
            where = (self._device, 0, self._element, tuple(part.shape), part.data_ptr())
            binding.bind_input(name, *where)
            binding.bind_output(PRESENT + name.removeprefix(PAST), *where)
        logits = self._logits[:rows]
        binding.bind_output("logits", self._device, 0, self._element, tuple(logits.shape), logits.data_ptr())
        self._bindings[first, rows] = binding
        return binding

    def move(self, source: int, target: int, held: int) -> None:
        """Copy the first `held` tokens of one row of the cache to another."""
        for part in self._views:
            part[target, :, :held] = part[source, :, :held]


def opened(graph: Path, device: str, threads: int) -> Any:
    """A session of the graph on `device`.

    Raises UserError where ONNX Runtime is not installed, cannot load the graph, or has not the device's provider: it
    would go on without a word, on the CPU.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as kinds
    except ImportError as error:
        raise UserError(f"engine onnxruntime: {in_one_line(error)}; {REMEDY}") from None
    provider = PROVIDERS[device]
    if provider not in (there := onnxruntime.get_available_providers()):
        raise UserError(
            f"engine onnxruntime: has {', '.join(there)}, {device} takes {provider}; pip install onnxruntime-gpu in "
            "place of onnxruntime"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised as well
    try:
        session = onnxruntime.InferenceSession(str(graph), options, providers=[provider])
    except Exception as error:
        if type(error).__module__ != kinds.__name__ and not isinstance(error, RuntimeError):
            raise
        raise UserError(f"{graph}: cannot be loaded ({in_one_line(error)}); delete its folder and run again") from None
    if session.get_providers()[0] != provider:
        raise UserError(
            f"engine onnxruntime: {provider} did not start, found {', '.join(session.get_providers())}; see its log, "
            "and install the CUDA libraries that it names"
        )
    return session
