"""What a run is measured on: the processor, or as many GPUs as its model is spread over, held by it alone."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from joulebench.config.spec import RunSpec
from joulebench.measure.locks import alone_on, alone_on_some
from joulebench.meters import GPUS, Chosen, choose
from joulebench.meters.base import Gpu, Gpus, NoMeterError
from joulebench.meters.machine import MachineError, probe, require
from joulebench.records.models import Machine

LEAVING_S = 10.0
"""For so long a process of a measurement that has just ended may still be on its GPU."""


def given(spec: RunSpec) -> Sequence[Gpu]:
    """The GPUs that this process may use, of which the run takes some; none for a run on a CPU.

    Raises MachineError where they are fewer than the `tensor_parallel` of the run.
    """
    if spec.device not in GPUS:
        return []
    kind = GPUS[spec.device]
    try:
        words = kind.named()
        if words is not None and len(words) < spec.tensor_parallel:
            raise _too_few(spec, str(len(words)))  # known before the driver is asked
        gpus = kind.visible()
    except NoMeterError as error:
        raise _too_few(spec, str(error)) from None
    if len(gpus) < spec.tensor_parallel:
        raise _too_few(spec, str(len(gpus)))
    return gpus


@contextmanager
def claimed(spec: RunSpec, gpus: Sequence[Gpu]) -> Iterator[tuple[Machine, Chosen]]:
    """Hold what the run is measured on, and see what it is and what measures it: machine and meters.

    `gpus`: what `given` gave. Raises MachineError where it is not the hardware of the config.
    """
    with taken(spec, gpus):
        chosen = choose(spec.device)
        machine = probe(spec.device, chosen, hardware_name=spec.hardware, reports_as=spec.reports_as)
        require(machine, spec.hardware, spec.device, spec.reports_as, spec.server_processes)
        yield machine, chosen


@contextmanager
def taken(spec: RunSpec, gpus: Sequence[Gpu]) -> Iterator[None]:
    """Hold as many of `gpus` as the run needs, the first that no other measurement holds, or the CPU for a run on it.

    Waits, and says so, while too few are free. From then on the environment names the held ones alone, in the order
    in which they were given, for this process and all that it starts: probe, sampler and engine see the same.
    """
    if spec.device not in GPUS:
        with alone_on("cpu"):
            yield
        return
    kind = GPUS[spec.device]
    with alone_on_some([gpu.uuid for gpu in gpus], spec.tensor_parallel) as mine:
        kind.see_only([gpu for gpu in gpus if gpu.uuid in mine])
        _let_leave(kind, spec.server_processes)
        yield


def _too_few(spec: RunSpec, found: str) -> MachineError:
    variable, needs = GPUS[spec.device].variable(), spec.tensor_parallel
    value = os.environ.get(variable)
    return MachineError(
        f"{spec.hardware}: {spec.run} needs {needs} GPU{'s' if needs > 1 else ''} (tensor_parallel); found {found} "
        f"({variable}{' is not set' if value is None else f'={value}'}); ask Slurm for {needs} (the gpu resource, "
        f"--gpus or --gres), or run where there are {needs} and let {variable} name them"
    )


def _let_leave(kind: Gpus, stay: int) -> None:
    """Wait a little for whoever held the GPUs before: its lock is gone sooner than its last process.

    `stay`: so many processes on each are a server's.
    """
    give_up_s = time.monotonic() + LEAVING_S
    with suppress(NoMeterError):  # of which the probe, who comes next, tells more
        while any(gpu["compute_processes"] > stay for gpu in kind.facts()) and time.monotonic() < give_up_s:
            time.sleep(0.2)
