"""The points of one run, in order: one engine, one sampler, each point saved as it ends."""

import logging
import time
from collections.abc import Sequence

import polars as pl

from joulebench import engines
from joulebench.analysis.conditions import quiet_power_w
from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Adaptive
from joulebench.engines.base import DiffusionEngine, Prepared, TextEngine
from joulebench.errors import UserError
from joulebench.families import DIFFUSION, TEXT, of
from joulebench.measure.diffusion import DiffusionServer
from joulebench.measure.memory import Watched
from joulebench.measure.progress import Display, load_of_others
from joulebench.measure.serving import Load, Progress, Server, Serving
from joulebench.measure.session import Session, utc_now
from joulebench.measure.text import TextServer
from joulebench.meters.following import Now
from joulebench.meters.sampling import SamplerError, Sampling
from joulebench.records.models import Point, Status
from joulebench.records.schemas import ENERGY

log = logging.getLogger(__name__)

REST_S = 3.0
"""So long the GPUs have to have been quiet."""
PATIENCE_S = 20.0
"""So long they are waited for: clocks and fans settle."""
EVERY_S = 0.5

SERVERS = {TEXT: TextServer, DIFFUSION: DiffusionServer}


class Sweep:
    """Drives one loaded engine through the points that a session has left."""

    def __init__(
        self, spec: RunSpec, engine: TextEngine | DiffusionEngine, prepared: Sequence[Prepared], sampling: Sampling
    ) -> None:
        self._spec, self._sampling = spec, sampling
        self._server: Server = SERVERS[of(spec.task)](spec, engine, prepared)
        self._loaded_idle_power_w: dict[str, float] | None = None
        self._memory = Watched(spec.device, sampling.pid)

    def make_ready(self) -> None:
        """The first calls, outside every record. Raises UserError for a setting that the engine cannot hold."""
        self._server.make_ready()

    def run(self, session: Session) -> None:
        """Measure what is left, until the last point or the first that ends the sweep; `make_ready` comes before.

        Raises UserError where a point failed, after saving what it left.
        """
        spec, count = self._spec, len(self._spec.sweep.settings)
        self._loaded_idle_power_w = loaded_idle_power_w(self._sampling)
        with Display(f"{spec.task} {spec.run}", count) as display:
            for index in session.left():
                session.clear(index)
                point = self._point(session, index, display)
                ended = point.reason or (point.ended_by and f"ended by {point.ended_by}")
                log.info(
                    "%s %s: point %d of %d, %s: %s in %.1f s%s",
                    *(spec.task, spec.run, index + 1, count, point.at.words, point.status),
                    *(point.duration_s, f" ({ended})" if ended else ""),
                )
                if point.status == "failed":
                    raise UserError(f"{spec.task} {spec.run}, {point.at.words}: {point.reason}")
                if point.is_last:
                    return

    def _point(self, session: Session, index: int, display: Display) -> Point:
        spec, setting = self._spec, self._spec.sweep.settings[index]
        started_utc = utc_now()
        load = Load(index, of(spec.task).iterations)
        energy_before = self._now().energy_j

        def watch(progress: Progress) -> None:
            self._sampling.check()
            if display.due():
                now = self._now()
                spent = None if now.energy_j is None or energy_before is None else now.energy_j - energy_before
                beside = [] if spec.on_gpu else load_of_others(now.others_share, now.stolen_share)
                display.show(index, setting.words, progress, spent, beside)

        energy = self._sampling.follow() if isinstance(spec.sweep.protocol, Adaptive) else None
        what = Serving(
            *(self._server.prepared(setting), setting, spec.sweep.protocol, spec.sample.seed),
            *(spec.repeat, spec.sweep.start, spec.sweep.warmup_batches, energy),
            whole_sample=self._tells_lengths(index),
        )
        status: Status = "measured"
        reason, tables = None, None
        self._memory.start()
        try:
            self._server.serve(what, load, watch)
            tables = load.tables()
            if load.failure is not None:
                status, reason = "failed", load.failure
            elif (why := self._server.overloaded(what, *tables)) is not None:
                status, reason = "overloaded", why
        except Exception as error:  # noqa: BLE001 (whatever broke a point is its status, and ends the run)
            status, reason = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if engines.is_out_of_memory(error):
                status = "out_of_memory"
            elif isinstance(error, UserError):
                reason = str(error)
        memory, drawn = self._memory.most(), pl.DataFrame(schema=ENERGY)
        try:
            drawn = self._sampling.since(load.started, time.monotonic())
        except SamplerError as error:
            status, reason = "failed", reason if status == "failed" else str(error)
        except OSError as error:  # the run's folder is gone, or cannot be read
            status, reason = "failed", f"what the energy sampler wrote cannot be read ({error.strerror or error})"
        point = Point(
            point=index,
            max_batch_size=setting.max_batch_size,
            status=status,
            reason=reason,
            started_utc=started_utc,
            load_began=load.began,
            duration_s=round(load.ended - load.started, 6),
            ended_by=load.ended_by,
            loaded_idle_power_w=self._loaded_idle_power_w,
            memory=memory,
            **(self._server.facts(what) | session.of),
        )
        session.save(point, *(tables or load.tables()), drawn)
        return point

    def _tells_lengths(self, index: int) -> bool:
        """Whether the point has to answer the whole sample: one of the run does where the model ends its own answers.

        That is the last, which answers most at once (analysis.lengths).
        """
        spec, setting = self._spec, self._spec.sweep.settings[index]
        return spec.natural and setting.output_tokens is None and index == len(spec.sweep.settings) - 1

    def _now(self) -> Now:
        """For the display alone: where what the sampler wrote cannot be read, the end of the point says so."""
        try:
            return self._sampling.now()
        except OSError:
            return Now(None, None, None)


def loaded_idle_power_w(sampling: Sampling, patience_s: float = PATIENCE_S) -> dict[str, float] | None:
    """GPU -> its mean power with the model loaded, over 3 s in which every one was quiet (analysis.conditions), W.

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
