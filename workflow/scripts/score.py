"""How right a run's answers are -> results/{hardware}/quality/{task}/{run}.json: score.py HARDWARE TASK RUN LOG

Runs under the interpreter that the config names for the run's engine, as measure.py does.
"""

import logging
import sys
from pathlib import Path

from joulebench.measure.process import stay_behind


def main(hardware: str, task: str, run: str, log: Path) -> None:
    from joulebench.plan.process import run_of_config  # not before the fork: Polars starts threads
    from joulebench.quality.scoring import score

    with run_of_config(hardware, task, run, log, "score of") as (plan, cell):
        asked = plan.spec(cell), plan.quality(cell)
        found = score(*asked, plan.prompts(cell), cell.model_folder, cell.score, plan.judge(cell))
        logging.info("%s", found)


if __name__ == "__main__":
    stay_behind(Path(sys.argv[4]))
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
