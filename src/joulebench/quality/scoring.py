"""The score of one model variant on one task: asked, answered, judged, and written down."""

import logging
import time
from contextlib import closing
from pathlib import Path
from typing import cast

import polars as pl

from joulebench import engines
from joulebench.config.quality import Quality
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import OutputLength
from joulebench.engines.base import TextEngine
from joulebench.errors import UserError
from joulebench.measure.devices import claimed, given
from joulebench.measure.run import checked, versions
from joulebench.measure.session import utc_now
from joulebench.quality import METRICS
from joulebench.quality.answering import Answer, answers
from joulebench.quality.proportion import wilson
from joulebench.records.files import write_json, write_parquet
from joulebench.records.models import Score

log = logging.getLogger(__name__)


def score(spec: RunSpec, quality: Quality, prompts: Path, model: Path, out: Path) -> Score:
    """Ask a run's model for one answer to each of its task's prompts, judge them, and write the score to `out`, last.

    Nothing is measured meanwhile, and no measurement runs beside it on the same device. Raises UserError where the
    model has drawn weights, which answer nothing, and where an answer failed or cannot be judged.
    """
    if spec.weights == "synthetic":
        raise UserError(f"{spec.model}: has drawn weights, whose answers say nothing; only checkpoints have a quality")
    length = OutputLength(kind="natural", tokens=quality.tokens)
    sweep = spec.sweep.model_copy(update={"batch_sizes": (quality.in_flight,), "start": "cold"})
    inputs, gpus = checked(spec, prompts, model), given(spec)
    metric = METRICS[quality.kind]
    metric.check(inputs.prompts, spec.dataset, quality)
    natural = spec.model_copy(update={"output_length": length, "sweep": sweep})
    asked, table = metric.asking(natural, inputs.prompts, quality)
    started_utc, began = utc_now(), time.monotonic()
    with claimed(asked, gpus):  # to the end of the judging, so that no measurement runs beside it
        with closing(engines.open_engine(asked, model, inputs.settings)) as opened:
            engine = cast(TextEngine, opened)
            said = answers(engine, engine.prepare(table), quality.in_flight, asked.stop)
        log.info("%d answers in %.0f s; judging them by %s", len(said), time.monotonic() - began, quality.kind)
        if quality.keep:
            write_parquet(_kept(inputs.prompts, said), out.with_suffix(".answers.parquet"))
        right = metric.right([one.text for one in said], inputs.prompts, spec.dataset, quality)
    share, low, high = wilson(sum(right), len(right))
    found = Score(
        spec=asked.model_dump(mode="json"),
        metric=quality.kind,
        judged=quality.model_dump(mode="json"),
        right=sum(right),
        asked=len(right),
        quality=share,
        quality_low=low,
        quality_high=high,
        mean_output_tokens=sum(one.tokens for one in said) / len(said),
        ended=sum(one.ended for one in said),
        started_utc=started_utc,
        duration_s=round(time.monotonic() - began, 3),
        model_files_sha256=inputs.model.files_sha256,
        requests_sha256=inputs.requests_sha256,
        versions=versions(engines.module(spec.engine).PACKAGES),
    )
    write_json(found, out)
    return found


def _kept(prompts: pl.DataFrame, said: list[Answer]) -> pl.DataFrame:
    """request, source_id, answer, output_tokens: what was said to which prompt."""
    return prompts.select("request", "source_id").with_columns(
        answer=pl.Series([one.text for one in said], dtype=pl.String),
        output_tokens=pl.Series([one.tokens for one in said], dtype=pl.Int32),
    )
