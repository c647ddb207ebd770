"""Tables -> results/{hardware}/figures/{figure}.{svg,png,html}."""

from pathlib import Path

from joulebench.figures import draw
from joulebench.figures.render import save
from joulebench.journal import journal
from joulebench.tables import LEADERBOARD, POINTS, read_csv


def main(figure: str, points: Path, leaderboard: Path, out: list[Path], log: Path) -> None:
    with journal(log, f"figure {figure}"):
        save(draw(figure, read_csv(points, POINTS), read_csv(leaderboard, LEADERBOARD)), out)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(
        job.wildcards.figure,
        Path(job.input.points),
        Path(job.input.leaderboard),
        [Path(path) for path in job.output],
        Path(job.log[0]),
    )
