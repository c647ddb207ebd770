"""How far one point's figures move: python benchmarks/repeated_point.py OUT.json [HARDWARE TASK RUN BATCH TIMES]

One engine serves the same point so many times, each as a run of its own under the config's protocol. Prints J per
output, its interval and the spread between the repeats. Run where results/prompts and results/models are made.
"""

import json
import sys
import tempfile
from pathlib import Path

from joulebench import config, meters
from joulebench.analysis.points import WantedRun, points
from joulebench.engines import open_engine
from joulebench.measure.session import Session
from joulebench.measure.sweep import Sweep
from joulebench.meters.machine import probe
from joulebench.meters.sampling import Sampling
from joulebench.plan import Plan
from joulebench.records.files import read_parquet, read_point, write_json
from joulebench.records.models import Run
from joulebench.records.schemas import PROMPTS


def main(
    out: Path,
    hardware: str = "h100",
    task: str = "llm-chat",
    run: str = "meta-llama--Llama-3.1-8B-Instruct",
    batch: int = 256,
    times: int = 3,
) -> None:
    plan = Plan(config.load("config.yaml"))
    cell = plan.cell(hardware, task, run)
    spec = plan.spec(cell)
    spec = spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"batch_sizes": (batch,)})})
    machine = probe(spec.device)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(spec, cell.model_folder)
        prepared = engine.prepare(read_parquet(plan.prompts(cell), PROMPTS))
        wanted = []
        with Sampling.start(meters.choose(spec.device).meters, Path(folder)) as sampling:
            for number in range(times):
                one = Path(folder, str(number))
                session = Session(one, spec, "", machine)
                Sweep(spec, engine, prepared, sampling).run(session)
                record = Run(
                    spec=spec.model_dump(mode="json"),
                    spec_hash=spec.hash,
                    parameters=0,
                    model_files_sha256={},
                    requests_sha256="",
                    versions={},
                    machine=machine.model_copy(update={"energy_sources": sampling.sources}),
                    started_utc=session.started_utc,
                    ended_utc=session.started_utc,
                    points=[read_point(session.place(0))],
                )
                write_json(record, one / "run.json")
                wanted.append(WantedRun(one, spec, None))
        engine.close()
        table = points(wanted)[0].select(
            "energy_per_output_token_j", "energy_per_output_token_low_j", "energy_per_output_token_high_j", "power_w"
        )
    print(table)
    values = table["energy_per_output_token_j"].drop_nulls()
    if len(values):
        print(f"spread {(values.max() - values.min()) / values.mean():.4%}, of {len(values)}")  # type: ignore[operator]
    out.write_text(json.dumps(table.to_dicts(), indent=2))


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *words[1:4], *map(int, words[4:]))  # type: ignore[arg-type]
