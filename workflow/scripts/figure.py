"""Tables -> figures/{figure}.{svg,png,html}, of one piece of hardware or across several."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from joulebench.config.services import Targets, targets_of
from joulebench.figures import draw
from joulebench.figures.render import save
from joulebench.logs import journal
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import TABLES


def main(figure: str, tables: Mapping[str, list[Path]], targets: Targets, out: list[Path], log: Path) -> None:
    with journal(log, f"figure {figure}"):
        read = {name: pl.concat([read_csv(path, TABLES[name]) for path in paths]) for name, paths in tables.items()}
        save(draw(figure, read, targets), out)


if "snakemake" in globals():
    job = globals()["snakemake"]
    given = {name: [files] if isinstance(files, str) else files for name, files in job.input.items()}
    main(
        job.wildcards.figure,
        {name: [Path(file) for file in files] for name, files in given.items()},
        targets_of(job.params.targets),
        [Path(path) for path in job.output],
        Path(job.log[0]),
    )
