"""The tables of all hardware -> results/site/index.html."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from joulebench.config.services import Service, Targets, services_of, targets_of
from joulebench.files import write_text
from joulebench.logs import journal
from joulebench.plan.studies import Measured
from joulebench.site import SCORES, TABLES, page
from joulebench.site.studies import Study, Unfinished
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import CLAIMS, QUALITY, STUDY
from joulebench.tables.schemas import TABLES as SCHEMAS


def main(
    hardware: Sequence[str],
    tables: Mapping[str, Sequence[Path]],
    scores: Mapping[str, Path],
    publish_flagged: bool,
    targets: Targets,
    services: Mapping[str, Service],
    card_spread: Mapping[str, float],
    measured: Sequence[Measured],
    claims: Mapping[str, Path],
    out: Path,
    log: Path,
) -> None:
    """`tables`: name -> its file for each of `hardware`; `scores`, `card_spread`, `claims`: by hardware."""
    with journal(log, "site"):
        read = {
            name: {table: read_csv(paths[place], SCHEMAS[table]) for table, paths in tables.items()}
            for place, name in enumerate(hardware)
        }
        for name, path in scores.items():
            read[name][SCORES] = read_csv(path, QUALITY)
        held = {name: read_csv(path, CLAIMS) for name, path in claims.items()}
        studies = [_study(one, held.get(one.hardware)) for one in measured if one.is_whole]
        unfinished = [
            Unfinished(one.hardware, one.study, one.task, one.there, one.runs) for one in measured if not one.is_whole
        ]
        write_text(page(read, publish_flagged, targets, services, card_spread, studies, unfinished), out)
        logging.info("%s: %.1f MB", out, out.stat().st_size / 1e6)


def _study(one: Measured, claims: pl.DataFrame | None) -> Study:
    held = pl.DataFrame(schema=CLAIMS) if claims is None else claims.filter(pl.col("study") == one.study)
    return Study(one.hardware, one.study, one.asks, read_csv(Path(one.table), STUDY), held)


if "snakemake" in globals():
    job = globals()["snakemake"]
    # One file of a table is a string here, several are a list.
    given = {name: [files] if isinstance(files, str) else list(files) for name, files in job.input.items()}
    main(
        job.params.hardware,
        {name: [Path(file) for file in given[name]] for name in TABLES},
        {Path(file).parent.name: Path(file) for file in given[SCORES]},
        job.params.publish_flagged,
        targets_of(job.params.targets),
        services_of(job.params.services),
        job.params.card_spread,
        [Measured(**one) for one in job.params.studies],
        {Path(file).parts[1]: Path(file) for file in given["claims"]},
        Path(job.output[0]),
        Path(job.log[0]),
    )
