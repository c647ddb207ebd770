"""Seconds and peak memory of `analysis.points` over many synthetic runs: python benchmarks/points.py [runs].

100 runs of 7 points hold 5 million iterations, with their requests and 50 energy polls a second.
The records are made up and written first, untimed; a fresh process then measures. They belong together as real ones
do, checksums too, so that what looks at that is timed with the rest.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from joulebench.analysis.points import WantedRun, points
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import OutputLength
from joulebench.records.files import sha256s, write_json
from joulebench.records.models import Machine, Point, Run, point_folder
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS

BATCHES = (8, 16, 32, 64, 128, 256, 512)
ITERATIONS_PER_POINT = 7143
MEAN_PROMPT, MEAN_OUTPUT = 180, 280
SAMPLED = min(BATCHES)
"""Requests of the sample, which are as long in every point: all of them begin at once."""

Integers = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=int, default=100)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:
        measure(args.measure, args.runs)
        return
    with tempfile.TemporaryDirectory() as folder:
        for run in range(args.runs):
            generate(Path(folder), run, spec(run))
        subprocess.run([sys.executable, __file__, str(args.runs), "--measure", folder], check=True)


def measure(root: Path, runs: int) -> None:
    wanted = [WantedRun(root / spec(run).run, spec(run), 700.0) for run in range(runs)]
    start = time.perf_counter()
    table, left_out = points(wanted)
    seconds = time.perf_counter() - start
    figures = table["energy_per_response_low_j", "latency_p99_s", "itl_p99_s", "integrated_power_ratio"]
    assert table.height == runs * len(BATCHES)
    assert left_out.is_empty()
    assert figures.null_count().sum_horizontal().item() == 0
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    iterations = table.height * ITERATIONS_PER_POINT
    print(f"{table.height} points, {iterations:,} iterations: {seconds:.2f} s, peak {peak_mb:.0f} MB")


def spec(run: int, batch_sizes: tuple[int, ...] = BATCHES) -> RunSpec:
    dataset = {"name": "synthetic", "source": {"kind": "packaged"}}
    sweep = {"batch_sizes": batch_sizes, "protocol": {"kind": "timed", "seconds": 20}}
    return RunSpec.model_validate(
        {
            "hardware": "h100",
            "device": "cuda",
            "reports_as": "H100",
            "task": "llm-chat",
            "model": f"example/model-{run:03d}",
            "variant": None,
            "weights": "checkpoint",
            "revision": "0" * 40,
            "trust_remote_code": False,
            "architecture": None,
            "weights_seed": None,
            "tokenizer": None,
            "dtype": "bfloat16",
            "generation": None,
            "engine": "vllm",
            "engine_settings": {},
            "dataset": dataset,
            "sample": {"requests": SAMPLED},
            "output_length": OutputLength(kind="reference", tokens=2048),
            "sweep": sweep,
        }
    )


def generate(root: Path, run: int, wanted: RunSpec, iterations: int = ITERATIONS_PER_POINT) -> Path:
    """Write the folder of a run of so many iterations a point: a closed loop whose step time and power grow with B."""
    rng = np.random.default_rng(run)
    sample = rng.geometric(1 / MEAN_OUTPUT, SAMPLED), rng.integers(1, 2 * MEAN_PROMPT, SAMPLED)
    folder = root / wanted.run
    ended = []
    for index, batch in enumerate(wanted.sweep.batch_sizes):
        place = folder / "points" / point_folder(index, f"b{batch}")
        place.mkdir(parents=True)
        frames = _point(rng, index, batch, iterations, sample)
        for name, frame in frames.items():
            frame.write_parquet(place / f"{name}.parquet", compression="zstd", statistics=False)
        ended.append(
            Point(
                point=index,
                max_batch_size=batch,
                status="measured",
                started_utc="2026-01-01T00:00:00Z",
                duration_s=round(frames["iterations"]["end_s"][-1], 6),
            )
        )
        write_json(ended[-1], place / "point.json")
    places = sorted((folder / "points").iterdir())
    write_json(
        Run(
            spec=wanted.model_dump(mode="json"),
            spec_hash=wanted.hash,
            parameters=8_000_000_000,
            model_files_sha256={},
            requests_sha256="0" * 64,
            versions={},
            machine=Machine(
                host="example",
                cpu="example",
                cores=2,
                memory_mb=1000,
                device="a made-up H100",
                devices=[],
                tdp_w=None,
                tdp_source=None,
                energy_sources={"gpu:0": "nvml_counter"},
            ),
            started_utc="2026-01-01T00:00:00Z",
            ended_utc="2026-01-01T01:00:00Z",
            points=ended,
            points_sha256={place.name: sha256s(place) for place in places},
        ),
        folder / "run.json",
    )
    return folder


def _served(rng: np.random.Generator, batch: int, count: int, sample: Integers) -> tuple[Integers, Integers]:
    """The first iteration and the length of each request, in the order in which they begin: B lines, none ever idle."""
    most = 10 + 2 * count // MEAN_OUTPUT
    lengths = rng.geometric(1 / MEAN_OUTPUT, (batch, most))
    lengths[:SAMPLED, 0] = sample
    begins = np.cumsum(lengths, axis=1) - lengths
    assert (begins[:, -1] >= count).all()
    inside = begins < count
    begins, lengths = begins[inside], lengths[inside]
    order = np.argsort(begins, kind="stable")
    return begins[order], lengths[order]


def _point(
    rng: np.random.Generator, index: int, batch: int, count: int, sample: tuple[Integers, Integers]
) -> dict[str, pl.DataFrame]:
    begins, lengths = _served(rng, batch, count, sample[0])
    prompts = rng.integers(1, 2 * MEAN_PROMPT, begins.size)
    prompts[:SAMPLED] = sample[1]
    ends = begins + lengths - 1
    done = ends < count
    opened = np.bincount(begins, minlength=count)
    end = np.cumsum((0.006 + 6e-5 * batch) * rng.lognormal(0, 0.1, count) + 0.01 * (opened > 0))
    iterations = {
        "point": np.full(count, index),
        "iteration": np.arange(count),
        "end_s": end,
        "running": np.full(count, batch),
        "waiting": np.arange(count, 0, -1),
        "prompt_tokens": np.bincount(begins, weights=prompts, minlength=count),
        "output_tokens": np.full(count, batch),
        "first_tokens": opened,
        "finished": np.bincount(ends[done], minlength=count),
        "preempted": np.zeros(count),
        "kv_cache_usage": rng.random(count),
        "token_gaps_s": [None] * count,
    }
    submitted = np.where(begins > 0, end[begins - 1], 0.0)
    finished = end[np.minimum(ends, count - 1)]
    served = pl.DataFrame(
        {
            "point": np.full(begins.size, index),
            "request": np.arange(begins.size),
            "prompt_tokens": prompts,
            "output_tokens": lengths,
            "submitted_s": submitted,
            "admitted_s": submitted,
            "first_output_s": end[begins],
            "finished_s": finished,
            "done": done,
            "asked_output_tokens": lengths,
            "begun_output_tokens": None,
        }
    )
    told = pl.col("output_tokens", "admitted_s", "first_output_s", "finished_s")
    status = pl.when("done").then(pl.lit("finished")).otherwise(pl.lit("aborted"))
    requests = served.with_columns(pl.when("done").then(told), status=status).select(REQUESTS.names())
    polled = np.arange(-1, end[-1] + 1, 0.02) + rng.uniform(0, 0.001)
    power = (400 + 0.6 * batch) * rng.normal(1, 0.01, polled.size)
    drawn = np.cumsum(power) * 0.02
    seldom = [0.0 if place % 25 == 0 else None for place in range(polled.size)]
    energy = {
        "device": ["gpu:0"] * polled.size,
        "source": ["nvml_counter"] * polled.size,
        "time_s": polled,
        "energy_j": drawn[np.arange(polled.size) // 5 * 5],
        "power_w": power,
        "temperature_c": np.full(polled.size, 60.0),
        "clock_mhz": np.full(polled.size, 1980.0),
        "memory_used_mb": np.full(polled.size, 70_000.0),
        "throttled": np.zeros(polled.size, dtype=bool),
        "power_capped": np.zeros(polled.size, dtype=bool),
        "processes": np.ones(polled.size, dtype=int),
        "others_busy_s": seldom,
        "stolen_s": seldom,
    }
    made = {"iterations": pl.DataFrame(iterations), "requests": requests, "energy": pl.DataFrame(energy)}
    schemas = {"iterations": ITERATIONS, "requests": REQUESTS, "energy": ENERGY}
    return {name: frame.cast(dict(schemas[name])) for name, frame in made.items()}  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
