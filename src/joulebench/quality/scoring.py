"""The score of one model variant on one task: asked, answered, judged, and written down."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import polars as pl

from joulebench import datasets, engines
from joulebench.config.quality import Answers, Quality
from joulebench.config.spec import Judge, RunSpec
from joulebench.config.tasks import Dataset, OutputLength
from joulebench.engines.base import DiffusionEngine, TextEngine
from joulebench.errors import UserError
from joulebench.families import DIFFUSION, TEXT, of
from joulebench.measure.devices import claimed, given
from joulebench.measure.run import Inputs, checked, versions
from joulebench.measure.session import utc_now
from joulebench.quality import METRICS
from joulebench.quality.answering import answers
from joulebench.quality.mean import student
from joulebench.quality.picturing import pictures
from joulebench.quality.proportion import wilson
from joulebench.records.files import write_json, write_parquet
from joulebench.records.made import model_as
from joulebench.records.models import Score

log = logging.getLogger(__name__)


def score(spec: RunSpec, quality: Quality, prompts: Path, model: Path, out: Path, judge: Judge | None = None) -> Score:
    """Ask a run's model for one response to each of its task's prompts, judge them, and write the score to `out`, last.

    `judge`: the model that judges, of a metric that needs one. Nothing is measured meanwhile, and no measurement runs
    beside it on the same device. Raises UserError where the model has drawn weights, which answer nothing, and where an
    answer failed or cannot be judged.
    """
    if spec.weights == "synthetic":
        raise UserError(f"{spec.model}: has drawn weights, whose answers say nothing; only checkpoints have a quality")
    inputs, gpus = checked(spec, prompts, model), given(spec)
    metric = METRICS[quality.kind]
    dataset = datasets.as_drawn(spec.dataset, prompts.with_suffix(".json"))
    metric.check(inputs.prompts, dataset, quality)
    judging = None
    if judge is not None:
        judging = model_as(judge.folder, judge.model, judge.made_from)
        metric.check_judge(judge.model, judge.folder)
    sweep = spec.sweep.model_copy(update={"batch_sizes": (quality.in_flight,), "start": "cold"})
    changes: dict[str, Any] = {"sweep": sweep}
    if isinstance(quality, Answers):
        changes["output_length"] = OutputLength(kind="natural", tokens=quality.tokens)
    asked, table = metric.asking(spec.model_copy(update=changes), inputs.prompts, quality)
    job = _Job(asked, quality, metric, inputs, table, out, judge, dataset)
    started_utc, began = utc_now(), time.monotonic()
    with claimed(asked, gpus):  # to the end of the judging, so that no measurement runs beside it
        told = JUDGED[of(spec.task)](job)
    found = Score(
        spec=asked.model_dump(mode="json"),
        metric=quality.kind,
        judged=quality.model_dump(mode="json"),
        asked=table.height,
        **told,
        judge=judging,
        started_utc=started_utc,
        duration_s=round(time.monotonic() - began, 3),
        model_files_sha256=inputs.model.files_sha256,
        export=inputs.export,
        requests_sha256=inputs.requests_sha256,
        versions=versions(engines.module(spec.engine).PACKAGES),
    )
    write_json(found, out)
    return found


@dataclass(frozen=True)
class _Job:
    """What is asked of whom, and who judges it; `table` holds the prompts as they are asked."""

    spec: RunSpec
    quality: Quality
    metric: ModuleType
    inputs: Inputs
    table: pl.DataFrame
    out: Path
    judge: Judge | None
    dataset: Dataset

    @contextmanager
    def engine(self) -> Iterator[Any]:
        """It is closed before anything is judged."""
        began = time.monotonic()
        with closing(engines.open_engine(self.spec, self.inputs.model_folder, self.inputs.settings)) as opened:
            yield opened
        took_s = time.monotonic() - began
        log.info("%d responses in %.0f s; judging them by %s", self.table.height, took_s, self.quality.kind)

    def keep(self, name: str, **columns: pl.Series) -> None:
        """Beside the score, where the config says so: what was made of which prompt."""
        if self.quality.keep:
            kept = self.table.select("request", "source_id").with_columns(**columns)
            write_parquet(kept, self.out.with_suffix(f".{name}.parquet"))


def _answers(job: _Job) -> dict[str, Any]:
    """Of text: the share of right answers."""
    with job.engine() as opened:
        engine = cast(TextEngine, opened)
        said = answers(engine, engine.prepare(job.table), job.quality.in_flight, job.spec.stop)
    texts, tokens = [one.text for one in said], [one.tokens for one in said]
    job.keep("answers", answer=pl.Series(texts, dtype=pl.String), output_tokens=pl.Series(tokens, dtype=pl.Int32))
    right = job.metric.right(texts, job.inputs.prompts, job.dataset, job.quality)
    share, low, high = wilson(sum(right), len(right))
    return {
        "right": sum(right),
        "quality": share,
        "quality_low": low,
        "quality_high": high,
        "mean_output_tokens": sum(tokens) / len(said),
        "ended": sum(one.ended for one in said),
    }


def _images(job: _Job) -> dict[str, Any]:
    """Of images: the mean of their scores, from 0 to 100 each."""
    assert job.judge is not None
    with job.engine() as opened:
        engine = cast(DiffusionEngine, opened)
        made = pictures(engine, engine.prepare(job.table), job.quality.in_flight)
    scores, cut = job.metric.scores(made, job.table, job.judge.folder, job.spec.torch_device, job.quality)
    job.keep("images", image=pl.Series(made, dtype=pl.Binary), score=pl.Series(scores, dtype=pl.Float64))
    mean, low, high = student(scores)
    return {
        "right": None,
        "quality": mean,
        "quality_low": None if low is None else max(low, 0.0),
        "quality_high": None if high is None else min(high, 100.0),
        "mean_output_tokens": None,
        "ended": None,
        "cut": cut,
    }


JUDGED = {TEXT: _answers, DIFFUSION: _images}
