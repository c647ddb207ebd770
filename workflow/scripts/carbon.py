"""The carbon intensity that the config asks for -> results/carbon.json."""

import logging
from pathlib import Path

from joulebench.carbon import reading
from joulebench.config.resolved import handed_over
from joulebench.logs import journal
from joulebench.records.files import write_json


def main(out: Path, log: Path) -> None:
    with journal(log, "carbon intensity"):
        found = reading(handed_over().footprint.carbon)
        if found.g_per_kwh is None:
            logging.warning("no carbon intensity: %s", found.reason)
        else:
            logging.info("%g gCO2e/kWh: %s", found.g_per_kwh, found.source)
        write_json(found, out)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(Path(job.output[0]), Path(job.log[0]))
