"""What measuring costs a vLLM engine: python benchmarks/perturbation.py OUT [TASK RUN] [BATCH REQUESTS PAIRS]

One engine serves the same requests in turn as it is measured (closed loop, statistics, the sampler reading the
counter) and bare (all requests at once, nothing of ours attached). Prints output tokens a second of each pair and
their ratio; beside it, for each measured stretch, energy by Zeus's own window and by the sampled counter. Aim: a
median ratio of at least 0.99, and energies within 0.5 %. Run where results/requests and results/models are made.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from joulebench import config, meters
from joulebench.analysis.energy import Drawn, headline
from joulebench.analysis.recorded import read_energy
from joulebench.engines import open_engine
from joulebench.engines.vllm import VllmEngine
from joulebench.measure.load import Load
from joulebench.measure.order import serving_order
from joulebench.measure.text import serve, warm_up
from joulebench.meters.sampling import Sampling
from joulebench.plan import Plan
from joulebench.records import ITERATIONS, PROMPTS, read_parquet, write_parquet
from joulebench.setting import Setting
from joulebench.sweeps import Fixed


def main(
    out: Path,
    task: str = "llm-chat",
    run: str = "meta-llama--Llama-3.1-8B-Instruct",
    batch: int = 256,
    requests: int = 1024,
    pairs: int = 3,
) -> None:
    from zeus.monitor import ZeusMonitor

    plan = Plan(config.load("config.yaml"))
    cell = plan.cell("h100", task, run)
    spec = plan.spec(cell)
    spec = spec.model_copy(update={"sweep": spec.sweep.model_copy(update={"batch_sizes": (batch,)})})
    began = time.monotonic()
    engine = open_engine(spec, cell.model_folder)
    assert isinstance(engine, VllmEngine)
    prepared = engine.prepare(read_parquet(plan.requests(cell), PROMPTS))
    warm_up(engine, prepared)
    print(f"engine start {time.monotonic() - began:.1f} s", flush=True)
    zeus = ZeusMonitor(gpu_indices=[0], sync_execution_with="torch", approx_instant_energy=False)
    core = engine._engine
    loggers = core.logger_manager
    rows: list[dict[str, Any]] = []

    def measured() -> dict[str, Any]:
        core.logger_manager = loggers
        with (
            tempfile.TemporaryDirectory() as folder,
            Sampling.start(meters.choose("cuda").meters, Path(folder)) as sampling,
        ):
            load = Load(0, ITERATIONS)
            zeus.begin_window("run", sync_execution=False)
            protocol = Fixed(kind="fixed", requests=requests)
            setting = Setting(max_batch_size=batch)
            serve(engine, prepared, load, setting, protocol, 0, lambda _: sampling.check())
            window = zeus.end_window("run", sync_execution=False)
            ended = time.monotonic()
            write_parquet(sampling.since(load.started, ended), Path(folder) / "energy.parquet")
            times = pl.DataFrame(
                {"key": [0, 0], "at_s": [0.0, ended - load.started]}, schema_overrides={"key": pl.UInt32}
            )
            low, high = Drawn(headline(read_energy({0: Path(folder) / "energy.parquet"}))).energy_j(times, "at_s")
        iterations = load.tables()[1]
        seconds = load.ended - load.started
        tokens = int(iterations["output_tokens"].sum())
        return {
            "tokens_per_s": tokens / seconds,
            "sampled_j": None if low is None or high is None else high - low,
            "zeus_j": window.total_energy,
            "j_per_token": (high - low) / tokens if low is not None and high is not None else None,
        }

    def bare() -> dict[str, Any]:
        core.logger_manager = None
        order = serving_order(len(prepared), requests, 0)
        started = time.monotonic()
        for number, index in enumerate(order):
            engine.submit(number, prepared[index])
        tokens = 0
        while core.has_unfinished_requests():
            tokens += sum(len(one.outputs[0].token_ids) for one in core.step())
        seconds = time.monotonic() - started
        engine.abort()
        return {"tokens_per_s": tokens / seconds}

    for pair in range(pairs):
        parts = {name: one() for name, one in ((("measured", measured), ("bare", bare))[:: 1 if pair % 2 == 0 else -1])}
        ratio = parts["measured"]["tokens_per_s"] / parts["bare"]["tokens_per_s"]
        rows.append({"pair": pair, "ratio": ratio, **parts})
        print(json.dumps(rows[-1]), flush=True)
        out.write_text(json.dumps(rows, indent=2))
    engine.close()
    print(f"median ratio {statistics.median(row['ratio'] for row in rows):.4f}")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *words[1:3], *map(int, words[3:]))  # type: ignore[arg-type]
