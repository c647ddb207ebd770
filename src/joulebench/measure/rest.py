"""What the GPUs draw with the model loaded and nothing running, looked at once a run, before its first point."""

import logging
import time

from joulebench.analysis.idle import quiet_power_w
from joulebench.meters.sampling import Sampling

log = logging.getLogger(__name__)

REST_S = 3.0
"""So long the GPUs have to have been quiet."""
PATIENCE_S = 20.0
"""So long they are waited for: clocks and fans settle."""
EVERY_S = 0.5


def loaded_idle_power_w(sampling: Sampling, patience_s: float = PATIENCE_S) -> dict[str, float] | None:
    """GPU -> its mean power over 3 s in which every one was quiet (analysis.idle), W.

    None where there is no GPU or no power reading, and, with a warning, where they are not quiet in `patience_s`.
    Raises SamplerError if the sampler fails meanwhile.
    """
    gpus = [device for device in sampling.sources if device.startswith("gpu:")]
    if not gpus:
        return None
    give_up_s = time.monotonic() + patience_s
    time.sleep(REST_S)
    while True:
        end = time.monotonic()
        polls = sampling.since(end - REST_S, end, margin_s=0.0)
        readings = {gpu: polls.filter(device=gpu)["power_w"] for gpu in gpus}
        if any(watts.is_null().all() for watts in readings.values()):
            return None
        found = {gpu: quiet_power_w(watts.to_numpy()) for gpu, watts in readings.items()}
        known = {gpu: round(watts, 2) for gpu, watts in found.items() if watts is not None}
        if len(known) == len(gpus):
            log.info("loaded and at rest: %s", ", ".join(f"{gpu} {watts:.1f} W" for gpu, watts in known.items()))
            return known
        if end > give_up_s:
            log.warning("the GPUs did not come to rest in %g s: no energy net of idle for this run", patience_s)
            return None
        time.sleep(EVERY_S)
