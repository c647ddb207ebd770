"""What measuring costs a vLLM engine: python benchmarks/perturbation.py OUT [GROUP RUN] [BATCH REQUESTS PAIRS APART]

One engine serves the same requests in turn as it is measured (closed loop, statistics, the sampler reading the
counter) and bare (all requests at once, nothing of ours attached), after a bare stretch that does not count; every
second pair begins with the bare one. Prints output tokens a second of each pair and their ratio; beside it, for each
measured stretch, energy by Zeus's own window and by the sampled counter, and for both how many processors this process
and the engine core's kept busy: near 1, that process is what limits. Aim: a median ratio of at least 0.99, and energies
within 0.5 %. Run where results/prompts and results/models are made. GROUP is a task of config.yaml's matrix for the
h100, or one of its studies. With APART (1) the engine core's process has half of the processor's cores for itself, and
this one and the sampler the other half: what they cost each other by sharing a core is then gone.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from joulebench import config, meters
from joulebench.analysis.energy import Drawn, headline
from joulebench.analysis.keyed import read_energy
from joulebench.config.sweeps import Fixed, Sweep
from joulebench.engines import open_engine
from joulebench.engines.vllm import Engine
from joulebench.loads.setting import Setting
from joulebench.measure.serving import Load, Serving, serving_order
from joulebench.measure.text import serve, warm_up
from joulebench.meters.sampling import Sampling
from joulebench.plan import Plan
from joulebench.records.files import read_parquet, write_parquet
from joulebench.records.schemas import ITERATIONS, PROMPTS


def main(
    out: Path,
    group: str = "llm-chat",
    run: str = "meta-llama--Llama-3.1-8B-Instruct",
    batch: int = 256,
    requests: int = 1024,
    pairs: int = 3,
    apart: int = 0,
) -> None:
    from zeus.monitor import ZeusMonitor

    plan = Plan(config.load("config.yaml"))
    cell = plan.cell("h100", group, run)
    spec = plan.spec(cell)
    only = Sweep(batch_sizes=(batch,), protocol=Fixed(kind="fixed", requests=requests))
    spec = spec.model_copy(update={"sweep": only})
    began = time.monotonic()
    engine = open_engine(spec, cell.model_folder)
    assert isinstance(engine, Engine)
    prepared = engine.prepare(read_parquet(plan.prompts(cell), PROMPTS))
    warm_up(engine, prepared)
    print(f"engine start {time.monotonic() - began:.1f} s", flush=True)
    if apart:
        keep_apart()
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
            serve(engine, Serving(prepared, setting, protocol), load, lambda _: sampling.check())
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

    own = psutil.Process()

    def busy(one: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `one` gives, and the processors that this process and the largest of its children kept busy."""
        processes = [own, *own.children(recursive=True)]
        before, began = {each: sum(each.cpu_times()[:2]) for each in processes}, time.monotonic()
        given = one()
        seconds = time.monotonic() - began
        used = {each: (sum(each.cpu_times()[:2]) - before[each]) / seconds for each in processes if each.is_running()}
        core = max((share for each, share in used.items() if each != own), default=0.0)
        return given | {"own_processors": used[own], "core_processors": core}

    print(f"first, not counted: {bare()['tokens_per_s']:.0f} tokens/s", flush=True)
    for pair in range(pairs):
        order = (("measured", measured), ("bare", bare))[:: 1 if pair % 2 == 0 else -1]
        parts = {name: busy(one) for name, one in order}
        ratio = parts["measured"]["tokens_per_s"] / parts["bare"]["tokens_per_s"]
        rows.append({"pair": pair, "ratio": ratio, **parts})
        print(json.dumps(rows[-1]), flush=True)
        out.write_text(json.dumps(rows, indent=2))
    engine.close()
    ratios = [row["ratio"] for row in rows]
    print(f"median ratio {statistics.median(ratios):.4f}, geometric mean {statistics.geometric_mean(ratios):.4f}")


def keep_apart() -> None:
    """This process's children on half of the cores, with both threads of each, and this process on the others."""
    siblings = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    cores = sorted({path.read_text().strip() for path in siblings})
    threads = [thread for core in cores for thread in parsed(core)]
    half = len(threads) // 2
    own = psutil.Process()
    for child in own.children(recursive=True):
        for thread in child.threads():
            os.sched_setaffinity(thread.id, threads[:half])
    for thread in own.threads():
        os.sched_setaffinity(thread.id, threads[half:])
    print(f"engine core on {threads[:half]}, the rest on {threads[half:]}", flush=True)


def parsed(listed: str) -> list[int]:
    """The numbers of "0,8" or "0-1"."""
    bounds = [[int(word) for word in part.split("-")] for part in listed.split(",")]
    return [number for one in bounds for number in range(one[0], one[-1] + 1)]


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *words[1:3], *map(int, words[3:]))  # type: ignore[arg-type]
