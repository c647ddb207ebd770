"""results/{hardware}/studies/{study}.csv -> figures/study_{study}.{svg,png,html}."""

from pathlib import Path

from joulebench.figures import study
from joulebench.figures.render import save
from joulebench.logs import journal
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import STUDY


def main(name: str, asks: str, table: Path, out: list[Path], log: Path) -> None:
    with journal(log, f"figure of study {name}"):
        save(study.draw(read_csv(table, STUDY), name, asks), out)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(
        job.wildcards.study,
        job.params.asks,
        Path(job.input[0]),
        [Path(path) for path in job.output],
        Path(job.log[0]),
    )
