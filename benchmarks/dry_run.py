"""Seconds that `snakemake -n` takes to plan a config of many runs: python benchmarks/dry_run.py [RUNS] [PROFILE]

Aim: under 6 s for 2,000 runs on two cores. PROFILE is `default` or `slurm`.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
SNAKEMAKE = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(PROJECT / "Snakefile")]


def write_project(folder: Path, runs: int, hardware: str = "cpu") -> None:
    """The project in `folder`, with so many runs of one task on one piece of hardware to be measured."""
    raw = yaml.safe_load((PROJECT / "config.yaml").read_text())
    model = raw["models"]["joulebench/llama-1m"]
    if hardware != "cpu":
        model = model | {"tokenizer": model["tokenizer"] | {"train_on": "llm-chat"}}
    names = [f"joulebench/llama-{number:04d}" for number in range(runs)]
    raw["models"] = dict.fromkeys(names, model)
    raw["matrix"] = {hardware: {"llm-chat": raw["matrix"][hardware]["llm-chat"] | {"models": names}}}
    raw["measure_on"], raw["studies"] = [hardware], {}
    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    for link in ("config", "rules", "workflow", "profiles"):
        (folder / link).symlink_to(PROJECT / link)


def main(runs: int = 2000, profile: str = "default", repeats: int = 3) -> None:
    words = ["-n", "--quiet", "all", "--workflow-profile", profile]
    words += ["--cores", "all"] if profile == "default" else []
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), runs, "cpu" if profile == "default" else "h100")
        for _ in range(repeats):
            began = time.monotonic()
            done = subprocess.run(
                [*SNAKEMAKE, *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
            )
            seconds = time.monotonic() - began
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
            print(f"{runs} runs: {seconds:.2f} s, {peak_mb:.0f} MB at most")


if __name__ == "__main__":
    main(*(int(word) if word.isdigit() else word for word in sys.argv[1:]))
