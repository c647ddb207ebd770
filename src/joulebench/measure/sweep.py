"""The points of one run, in order: one engine, one sampler, each point saved as it ends."""

import logging
import time
from collections.abc import Sequence
from typing import cast

import polars as pl

from joulebench import engines
from joulebench.config.spec import RunSpec
from joulebench.config.sweeps import Adaptive
from joulebench.engines.base import DiffusionEngine, Prepared, TextEngine
from joulebench.errors import UserError
from joulebench.families import TEXT, of
from joulebench.files import whole_folder
from joulebench.loads import LOADS
from joulebench.loads.setting import Setting
from joulebench.measure.diffusion import batches
from joulebench.measure.equilibrium import check
from joulebench.measure.load import Load, Progress, Watch
from joulebench.measure.progress import Display, load_of_others
from joulebench.measure.rest import loaded_idle_power_w
from joulebench.measure.sample_tokens import sample_tokens
from joulebench.measure.session import Session, utc_now
from joulebench.measure.text import serve, warm_up
from joulebench.measure.to_length import of_setting
from joulebench.meters.following import Now
from joulebench.meters.sampling import SamplerError, Sampling
from joulebench.records.files import write_json, write_parquet
from joulebench.records.models import Point, SampleTokens, Status
from joulebench.records.schemas import ENERGY

log = logging.getLogger(__name__)


class Sweep:
    """Drives one loaded engine through the points that a session has left."""

    def __init__(
        self, spec: RunSpec, engine: TextEngine | DiffusionEngine, prepared: Sequence[Prepared], sampling: Sampling
    ) -> None:
        self._spec, self._engine, self._prepared, self._sampling = spec, engine, prepared, sampling
        self._is_text = of(spec.task) is TEXT
        self._sample_tokens: SampleTokens | None = None
        if self._is_text:
            check(spec.sweep, prepared, cast(TextEngine, engine).whole_batches)
        self._loaded_idle_power_w: dict[str, float] | None = None

    def run(self, session: Session) -> None:
        """Measure what is left, until the last point or the first that ends the sweep.

        Raises UserError where a point failed, after saving what it left.
        """
        settings = self._spec.sweep.settings
        if self._is_text:
            for setting in settings:  # what cannot be held is told before anything is measured
                of_setting(cast(TextEngine, self._engine), self._prepared, setting)
            warm_up(cast(TextEngine, self._engine), self._prepared)
        self._loaded_idle_power_w = loaded_idle_power_w(self._sampling)
        with Display(f"{self._spec.task} {self._spec.run}", len(settings)) as display:
            for index in session.left():
                session.clear(index)
                point = self._point(session, index, settings[index], display)
                ended = point.reason or (point.ended_by and f"ended by {point.ended_by}")
                log.info(
                    "%s %s: point %d of %d, %s: %s in %.1f s%s",
                    *(self._spec.task, self._spec.run, index + 1, len(settings), point.at.words, point.status),
                    *(point.duration_s, f" ({ended})" if ended else ""),
                )
                if point.status == "failed":
                    raise UserError(f"{self._spec.task} {self._spec.run}, {point.at.words}: {point.reason}")
                if point.is_last:
                    return

    def _point(self, session: Session, index: int, setting: Setting, display: Display) -> Point:
        started_utc = utc_now()
        load = Load(index, of(self._spec.task).iterations)
        energy_before = self._now().energy_j

        def watch(progress: Progress) -> None:
            self._sampling.check()
            if display.due():
                now = self._now()
                spent = None if now.energy_j is None or energy_before is None else now.energy_j - energy_before
                beside = [] if self._spec.on_gpu else load_of_others(now.others_share, now.stolen_share)
                display.show(index, setting.words, progress, spent, beside)

        status: Status = "measured"
        reason, tables = None, None
        try:
            self._load(load, setting, watch)
            tables = load.tables()
            status, reason = self._verdict(load.failure, *tables, setting)
        except Exception as error:  # noqa: BLE001 (whatever broke a point is its status, and ends the run)
            status, reason = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if engines.module(self._spec.engine).is_out_of_memory(error):
                status = "out_of_memory"
            elif isinstance(error, UserError):
                reason = str(error)
        return self._save(session, index, setting, load, tables or load.tables(), status, reason, started_utc)

    def _now(self) -> Now:
        """For the display alone: where what the sampler wrote cannot be read, the end of the point says so."""
        try:
            return self._sampling.now()
        except OSError:
            return Now(None, None, None)

    def _load(self, load: Load, setting: Setting, watch: Watch) -> None:
        spec = self._spec
        energy = self._sampling.follow() if isinstance(spec.sweep.protocol, Adaptive) else None
        if self._is_text:
            engine = cast(TextEngine, self._engine)
            prepared = of_setting(engine, self._prepared, setting)
            self._sample_tokens = sample_tokens(prepared)
            serve(
                engine,
                *(prepared, load, setting, spec.sweep.protocol, spec.sample.seed, watch, spec.repeat, energy),
                spec.sweep.start,
            )
        else:
            pipeline = cast(DiffusionEngine, self._engine)
            batches(
                pipeline,
                self._prepared,
                load,
                setting.max_batch_size,
                spec.sweep,
                spec.sample.seed,
                watch,
                spec.repeat,
                energy,
            )

    def _verdict(
        self, failure: str | None, requests: pl.DataFrame, iterations: pl.DataFrame, setting: Setting
    ) -> tuple[Status, str | None]:
        if failure is not None:
            return "failed", failure
        if self._is_text:
            batch = setting.max_batch_size
            begun = batch if self._spec.sweep.start == "equilibrium" else 0
            if (why := LOADS[setting.load].overloaded(iterations, requests, batch, begun)) is not None:
                return "overloaded", why
        return "measured", None

    def _save(
        self,
        session: Session,
        index: int,
        setting: Setting,
        load: Load,
        tables: tuple[pl.DataFrame, pl.DataFrame],
        status: Status,
        reason: str | None,
        started_utc: str,
    ) -> Point:
        requests, iterations = tables
        energy = pl.DataFrame(schema=ENERGY)
        try:
            energy = self._sampling.since(load.started, time.monotonic())
        except SamplerError as error:
            status, reason = "failed", reason if status == "failed" else str(error)
        except OSError as error:  # the run's folder is gone, or cannot be read
            status, reason = "failed", f"what the energy sampler wrote cannot be read ({error.strerror or error})"
        point = Point(
            point=index,
            max_batch_size=setting.max_batch_size,
            setting=setting if self._is_text else None,
            status=status,
            reason=reason,
            started_utc=started_utc,
            duration_s=round(load.ended - load.started, 6),
            ended_by=load.ended_by,
            start=self._spec.sweep.start if self._is_text else None,
            loaded_idle_power_w=self._loaded_idle_power_w,
            sample_tokens=self._sample_tokens,
            generation=None if self._is_text else cast(DiffusionEngine, self._engine).arguments,
            **session.of,
        )
        with whole_folder(session.place(index)) as folder:
            write_parquet(requests, folder / "requests.parquet")
            write_parquet(iterations, folder / "iterations.parquet")
            write_parquet(energy, folder / "energy.parquet")
            write_json(point, folder / "point.json")
        return point
