"""One run of the matrix -> results/{hardware}/runs/{task}/{run}/: measure.py HARDWARE TASK RUN LOG

Runs under the interpreter that the config names for the run's engine, in a process of its own whose parent ends all
that it leaves (joulebench.measure.process).
"""

import os
import sys
from pathlib import Path

from joulebench.measure.process import end_cleanly_on_sigterm, end_with_parent, go_on_under, stay_behind


def main(hardware: str, task: str, run: str, log: Path) -> None:
    from joulebench.config import handed_over  # not before the fork: Polars starts threads
    from joulebench.logs import journal
    from joulebench.measure.run import measure
    from joulebench.plan import Plan

    with journal(log, f"measuring {task} {run}"):
        config = handed_over()
        plan = Plan(config)
        cell = plan.cell(hardware, task, run)
        go_on_under(config.engine_of(cell.hardware, cell.group, cell.run).python)
        end_cleanly_on_sigterm()
        end_with_parent()
        anew = not {"*", "measure", str(cell.record)}.isdisjoint(os.environ.get("JOULEBENCH_ANEW", "").splitlines())
        measure(plan.spec(cell), plan.prompts(cell), cell.model_folder, cell.folder, anew)


if __name__ == "__main__":
    stay_behind(Path(sys.argv[4]))
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
