"""How long a run may take: the time limit that a cluster is asked for."""

import math

from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Adaptive, Fixed, Timed
from joulebench.families import of

START_S = 600.0
"""Weights from a cold file system, compiling, CUDA graphs. Measured on an H100, all on a local disk: 11 to 95 s."""

EXTRA_S = {"text": 60.0, "diffusion": 300.0}
"""Of a point beside its window: ramp and turnover; warm-up and a batch that overruns. Means of runs: to 20 s, 103 s."""

REQUEST_S = {"text": 2.0, "diffusion": 15.0}
"""One request of a point that serves a fixed number."""

MARGIN = 1.5


def runtime_min(spec: RunSpec) -> int:
    """Minutes to ask for: 1.5 (start + points x (window + extra)), rounded up.

    A generous limit costs a longer wait in the queue; one that was too short costs a point, for the sweep goes on
    after it. Every point of the sweep is counted, though most sweeps end before their last.
    """
    family = of(spec.task).name
    protocol = spec.sweep.protocol
    settings = spec.sweep.settings
    if isinstance(protocol, Fixed):
        windows_s = len(settings) * protocol.requests * REQUEST_S[family]
    elif isinstance(protocol, Adaptive):
        windows_s = len(settings) * protocol.max_seconds
    elif isinstance(protocol, Timed):
        windows_s = len(settings) * protocol.seconds
    else:
        windows_s = sum(
            (one.requests or 0) * (REQUEST_S[family] + 1 / (one.rate_per_s or math.inf)) for one in settings
        )
    return math.ceil(MARGIN * (START_S + windows_s + len(settings) * EXTRA_S[family]) / 60)
