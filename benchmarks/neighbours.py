"""What others on the processors do to a CPU's figures: python benchmarks/neighbours.py OUT [DUTY ...]

Measures B = 1 and 8 of two runs of config.yaml's cpu, with a neighbour for each DUTY: a process that computes for that
share of the time (1: always). Without one it tells how quiet the machine is. Run where the requests and models are
made: snakemake --cores all results/prompts/llm-{chat,code}.cpu.parquet
results/models/joulebench--{llama-9m,starcoder2-4m}/model.json. The records stay in the new folder OUT.
"""

import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

from joulebench import config
from joulebench.analysis.points import WantedRun, points
from joulebench.measure.run import measure
from joulebench.plan import Plan

RUNS = (("llm-code", "joulebench--starcoder2-4m"), ("llm-chat", "joulebench--llama-9m"))
BATCHES = (1, 8)
NEIGHBOUR = """
import os, sys, time
parent = os.getppid()
while os.getppid() == parent:
    begun_s = time.process_time()
    while time.process_time() - begun_s < 0.05 * float(sys.argv[1]): pass
    time.sleep(0.05 * (1 - float(sys.argv[1])))
"""
SHOWN = ("model", "max_batch_size", "others_share", "stolen_share", "power_w", "energy_per_response_j", "verdict")


def main(out: Path, *duties: str) -> None:
    """Measure in a process of its own: this one's children are no part of what is measured."""
    neighbours = [subprocess.Popen([sys.executable, "-c", NEIGHBOUR, duty]) for duty in duties]
    measuring = get_context("spawn").Process(target=measured, args=(out,))
    measuring.start()
    measuring.join()
    for neighbour in neighbours:
        neighbour.kill()
    sys.exit(measuring.exitcode)


def measured(out: Path) -> None:
    plan = Plan(config.load("config.yaml"))
    for task, run in RUNS:
        cell = plan.cell("cpu", task, run)
        spec = plan.spec(cell)
        spec = spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"batch_sizes": BATCHES})})
        folder = out / run
        measure(spec, plan.prompts(cell), cell.model_folder, folder)
        for row in points([WantedRun(folder, spec, None)])[0].select(SHOWN).iter_rows(named=True):
            shares = f"others {row['others_share']:.2%}, stolen {row['stolen_share']:.2%}"
            figures = f"{row['power_w']:.2f} W, {row['energy_per_response_j']:.3g} J/response"
            print(f"{row['model']} B = {row['max_batch_size']}: {shares}, {figures}, {row['verdict']}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
