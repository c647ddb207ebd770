"""One run of the config in a process of its own: what its measuring and its score begin with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from joulebench.config import handed_over
from joulebench.logs import journal
from joulebench.measure.process import end_cleanly_on_sigterm, end_with_parent, go_on_under
from joulebench.plan.matrix import Cell, Plan


@contextmanager
def run_of_config(hardware: str, group: str, folder: str, log: Path, doing: str) -> Iterator[tuple[Plan, Cell]]:
    """The plan, and the run whose records lie in results/{hardware}/runs/{group}/{folder}; what happens goes to `log`.

    The process goes on under the interpreter that the config names for the run's engine, and ends cleanly on SIGTERM
    and with its parent. To be called once nothing forks any more. Raises ConfigError where there is no such run.
    """
    with journal(log, f"{doing} {group} {folder}"):
        config = handed_over()
        plan = Plan(config)
        cell = plan.cell(hardware, group, folder)
        go_on_under(config.engine_of(cell.hardware, cell.group, cell.run).python)
        end_cleanly_on_sigterm()
        end_with_parent()
        yield plan, cell
