"""results/{hardware}/studies/{study}.csv -> the same with the columns of LLM-perf's published CSVs."""

import logging
from pathlib import Path

from joulebench.errors import UserError
from joulebench.exports.llm_perf import laid_beside
from joulebench.logs import journal
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import STUDY


def main(study: Path, out: Path, log: Path) -> None:
    with journal(log, f"{study} as LLM-perf has it"):
        found = laid_beside(read_csv(study, STUDY))
        if found.is_empty():
            raise UserError(
                f"{study}: nothing tells the prefill from the decode; such a study varies output_tokens, from 1 on"
            )
        write_csv(found, found.schema, out)
        logging.info("%d rows", found.height)


if "snakemake" in globals():
    job = globals()["snakemake"]
    main(Path(job.input[0]), Path(job.output[0]), Path(job.log[0]))
