"""The raw records of one hardware's runs -> points.csv, leaderboard.csv, left_out.csv, checks.csv."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from joulebench.analysis.conditions import read_machine
from joulebench.analysis.leaderboard import leaderboard
from joulebench.analysis.points import points, wanted_runs
from joulebench.analysis.published_scores import published_scores
from joulebench.analysis.quality import judged
from joulebench.analysis.verdicts import USABLE, fired, trusted
from joulebench.config.published import PublishedScores
from joulebench.config.services import targets_of
from joulebench.errors import UserError
from joulebench.logs import journal
from joulebench.tables.files import rounded, write_csv
from joulebench.tables.schemas import CHECKS, LEADERBOARD, LEFT_OUT, POINTS


def main(
    hardware: str,
    config: Mapping[str, Any],
    machine_json: Path | None,
    scores: Sequence[str],
    points_csv: Path,
    leaderboard_csv: Path,
    left_out_csv: Path,
    checks_csv: Path,
    log: Path,
) -> None:
    with journal(log, f"tables of {hardware}"):
        probed = None if machine_json is None else read_machine(machine_json)
        table, left_out = points(wanted_runs(config["specs"], config["tdp_w"], probed))
        table = rounded(table, POINTS)  # as points.csv has them, from which everything else is made
        for row in left_out.iter_rows(named=True):
            logging.warning("left out: %s %s: %s", row["task"], row["run"], row["reason"])
        if table.is_empty():
            raise UserError(f"{hardware}: no run was measured as the config says; see what was left out above")
        scored, unscored = judged(dict(zip(scores, config["scores"], strict=True)))
        for line in unscored:
            logging.warning("left out: %s", line)
        asked = [PublishedScores(**one) for one in config["published_scores"]]
        best = leaderboard(
            table,
            targets_of(config["targets"]),
            config["publish_flagged"],
            config["card_spread"],
            scored,
            published_scores(asked, set(table["model"])),
        )
        write_csv(left_out, LEFT_OUT, left_out_csv)
        write_csv(fired(table), CHECKS, checks_csv)
        write_csv(table, POINTS, points_csv)
        write_csv(best, LEADERBOARD, leaderboard_csv)
        doubtful = table.filter(pl.col("status").is_in(USABLE) & ~trusted(publish_flagged=False)).height
        if doubtful:
            logging.warning("%d points are flagged or invalid: %s says why, `verdict` of each", doubtful, points_csv)
        logging.info("%d points, %d rows on the leaderboard", table.height, best.height)


if "snakemake" in globals():
    job = globals()["snakemake"]
    out, machine = job.output, job.input.machine
    main(
        job.wildcards.hardware,
        job.params.config,
        Path(machine) if machine else None,
        list(job.input.scores),
        Path(out.points),
        Path(out.leaderboard),
        Path(out.left_out),
        Path(out.checks),
        Path(job.log[0]),
    )
