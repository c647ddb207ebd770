"""What an engine serves in place of a model's own files -> results/models/{model}/onnx/{form}/: export_model.py OUT LOG

Runs under the interpreter that the config names for the engine.
"""

import logging
import sys
from pathlib import Path

from joulebench import engines
from joulebench.config import handed_over
from joulebench.logs import journal
from joulebench.measure.process import go_on_under
from joulebench.plan import Plan
from joulebench.records.made import model_as


def main(out: Path, log: Path) -> None:
    with journal(log, f"export {out.parent}"):
        config = handed_over()
        plan = Plan(config)
        cell = plan.exporter(out)
        go_on_under(config.engine_of(cell.hardware, cell.group, cell.run).python)
        spec = plan.spec(cell)
        model_as(cell.model_folder, spec.model, spec.model_dump(mode="json"))
        made = engines.export(spec, cell.model_folder)
        logging.info("%s: %s for %s", made.model, made.precision, made.provider)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
