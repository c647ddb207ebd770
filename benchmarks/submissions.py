"""What it takes to submit many measuring runs to a real Slurm: python benchmarks/submissions.py [RUNS] [OPTION ...]

OPTIONs are Snakemake's; without any, profiles/slurm is taken as it is. Needs root and what tests/slurm/start.sh needs,
which brings up a Slurm with accounting. Its nodes are drained, so that no job starts; models and requests are empty
files. Prints how fast as many jobs as may be in the queue came there, Snakemake's peak memory, and what was asked of
Slurm while they waited; then cancels them with Ctrl-C.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from planning import ENVIRONMENT, PROJECT, SNAKEMAKE, write_project

COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sacctmgr", "sshare", "sinfo", "scancel")
QUIET_S = 40.0
"""So long without a new job, and all that will come are there."""
WATCH_S = 150.0
"""For so long after the last submission the calls are counted."""


def main(runs: int = 1000, *options: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = [PROJECT / "tests/slurm/start.sh", "--accounting", folder / "slurm"]
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
        try:
            subprocess.run(["scontrol", "update", "NodeName=n1,n2", "State=DRAIN", "Reason=benchmark"], check=True)
            submit(folder, runs, options)
        finally:
            subprocess.run([PROJECT / "tests/slurm/stop.sh", folder / "slurm"], check=True)


def submit(folder: Path, runs: int, options: tuple[str, ...]) -> None:
    where = folder / "project"
    where.mkdir()
    write_project(where, runs, "h100")
    models = [f"models/joulebench--llama-{number:04d}/model.json" for number in range(runs)]
    for name in ("h100/machine.json", "prompts/llm-chat.json", "prompts/llm-chat.parquet", *models):
        (where / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (where / "results" / name).touch()
    calls = Calls(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not the "ignore" of a shell's background job
    began = time.time()
    with (folder / "said").open("w") as said:
        snakemake = psutil.Popen(
            [*SNAKEMAKE, "--workflow-profile", "slurm", *options, "--", "results/h100/points.csv"],
            cwd=where,
            env=calls.environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )

    def peak_mb() -> float:
        status = Path(f"/proc/{snakemake.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

    queued = 0
    last = began
    while queued < runs and time.time() - last < QUIET_S:
        if snakemake.poll() is not None:
            sys.exit((folder / "said").read_text())
        if (now := in_queue()) != queued:
            queued, last = now, time.time()
        time.sleep(1)
    sent = calls.times("sbatch")
    submitting_s = last - sent[0] if sent else 0.0
    time.sleep(max(0.0, last + WATCH_S - time.time()))
    asked = calls.since(last)
    row = {
        "runs": runs,
        "options": " ".join(options),
        "in_queue": queued,
        "until_first_sbatch_s": round(sent[0] - began, 1) if sent else None,
        "sbatch_calls": len(sent),
        "submitting_s": round(submitting_s, 1),
        "s_per_run": round(submitting_s / max(1, queued), 4),
        "peak_mb": round(peak_mb()),
        "watched_s": WATCH_S,
        "calls_while_waiting": asked,
        "calls_in_all": calls.since(0),
    }
    ended = time.time()
    snakemake.send_signal(signal.SIGINT)
    snakemake.wait(600)
    row["ctrl_c_s"] = round(time.time() - ended, 1)
    row["left_in_queue"] = in_queue()
    print(json.dumps(row), flush=True)


def in_queue() -> int:
    """Not counted below; array tasks one by one."""
    done = subprocess.run(["squeue", "-h", "-r", "-t", "PD", "-o", "%i"], capture_output=True, text=True, check=True)
    return len(done.stdout.split())


class Calls:
    """When Slurm's commands were called, by links before them in PATH."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "calls"
        self._file.touch()
        (folder / "bin").mkdir()
        for name in COMMANDS:
            if (real := shutil.which(name)) is not None:
                script = f'#!/bin/bash\necho "$EPOCHREALTIME {name}" >> {self._file}\nexec {real} "$@"\n'
                (folder / "bin" / name).write_text(script)
                (folder / "bin" / name).chmod(0o755)
        self.environment = ENVIRONMENT | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

    def _all(self) -> list[tuple[float, str]]:
        lines = (line.split() for line in self._file.read_text().splitlines())
        return [(float(at), name) for at, name in lines]

    def times(self, name: str) -> list[float]:
        return [at for at, called in self._all() if called == name]

    def since(self, moment: float) -> dict[str, int]:
        return dict(Counter(name for at, name in self._all() if at >= moment))


if __name__ == "__main__":
    words = sys.argv[1:]
    main(int(words[0]) if words else 1000, *words[1:])
