"""The carbon intensity that the config asks for -> results/carbon.json."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joulebench.carbon import reading
from joulebench.config.footprint import Footprint
from joulebench.logs import journal
from joulebench.records.files import write_json


def main(asked: Mapping[str, Any] | None, out: Path, log: Path) -> None:
    with journal(log, "carbon intensity"):
        found = reading(Footprint.model_validate({"carbon": asked}).carbon)
        if found.g_per_kwh is None:
            logging.warning("no carbon intensity: %s", found.reason)
        else:
            logging.info("%g gCO2e/kWh: %s", found.g_per_kwh, found.source)
        write_json(found, out)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(job.params.asked, Path(job.output[0]), Path(job.log[0]))
