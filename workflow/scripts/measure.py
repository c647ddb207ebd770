"""One run of the matrix -> results/{hardware}/runs/{task}/{run}/: measure.py HARDWARE TASK RUN LOG

Runs under the interpreter that the config names for the run's engine, in a process of its own whose parent ends all
that it leaves (joulebench.measure.process).
"""

import os
import sys
from pathlib import Path

from joulebench.measure.process import stay_behind


def main(hardware: str, task: str, run: str, log: Path) -> None:
    from joulebench.measure.run import measure  # not before the fork: Polars starts threads
    from joulebench.plan.process import run_of_config

    with run_of_config(hardware, task, run, log, "measuring") as (plan, cell):
        anew = not {"*", "measure", str(cell.record)}.isdisjoint(os.environ.get("JOULEBENCH_ANEW", "").splitlines())
        measure(plan.spec(cell), plan.prompts(cell), cell.model_folder, cell.folder, anew)


if __name__ == "__main__":
    stay_behind(Path(sys.argv[4]))
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
