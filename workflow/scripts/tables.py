"""The raw records of one hardware's runs -> points.csv, leaderboard.csv, left_out.csv."""

import logging
from pathlib import Path

from joulebench.analysis.leaderboard import leaderboard
from joulebench.analysis.points import WantedRun, points
from joulebench.errors import UserError
from joulebench.journal import journal
from joulebench.plan import Plan
from joulebench.resolved import handed_over
from joulebench.tables import LEADERBOARD, LEFT_OUT, POINTS, write_csv


def main(hardware: str, points_csv: Path, leaderboard_csv: Path, left_out_csv: Path, log: Path) -> None:
    with journal(log, f"tables of {hardware}"):
        plan = Plan(handed_over())
        tdp_w = plan.config.hardware[hardware].tdp_w
        wanted = [WantedRun(cell.folder, plan.spec(cell), tdp_w) for cell in plan.cells(hardware)]
        table, left_out = points(wanted)
        for row in left_out.iter_rows(named=True):
            logging.warning("left out: %s %s: %s", row["task"], row["run"], row["reason"])
        if table.is_empty():
            raise UserError(f"{hardware}: no run was measured as the config says; see what was left out above")
        targets = {name: task.latency_target for name, task in plan.config.tasks.items()}
        best = leaderboard(table, targets)
        write_csv(left_out, LEFT_OUT, left_out_csv)
        write_csv(table, POINTS, points_csv)
        write_csv(best, LEADERBOARD, leaderboard_csv)
        logging.info("%d points, %d rows on the leaderboard", table.height, best.height)


if "snakemake" in globals():
    job = globals()["snakemake"]
    out = job.output
    main(job.wildcards.hardware, Path(out.points), Path(out.leaderboard), Path(out.left_out), Path(job.log[0]))
