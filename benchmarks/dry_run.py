"""Seconds that `snakemake -n` takes to plan a config of many runs: python benchmarks/dry_run.py [RUNS]

Aim: under 6 s for 2,000 runs on two cores.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]


def main(runs: int = 2000, repeats: int = 3) -> None:
    raw = yaml.safe_load((PROJECT / "config.yaml").read_text())
    model = raw["models"]["joulebench/llama-1m"]
    names = [f"joulebench/llama-{number:04d}" for number in range(runs)]
    raw["models"] = dict.fromkeys(names, model)
    raw["matrix"] = {"cpu": {"llm-chat": raw["matrix"]["cpu"]["llm-chat"] | {"models": names}}}
    snakemake = [str(Path(sys.executable).parent / "snakemake"), "--snakefile", str(PROJECT / "Snakefile")]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.yaml").write_text(yaml.safe_dump(raw))
        for link in ("config", "rules", "workflow", "profiles"):
            (Path(folder) / link).symlink_to(PROJECT / link)
        for _ in range(repeats):
            began = time.monotonic()
            done = subprocess.run(
                [*snakemake, "-n", "--cores", "all", "--quiet"], cwd=folder, capture_output=True, text=True, check=False
            )
            seconds = time.monotonic() - began
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
            print(f"{runs} runs: {seconds:.2f} s, {peak_mb:.0f} MB at most")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
