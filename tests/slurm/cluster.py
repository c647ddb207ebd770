"""A project that the tests measure in, and what they do to the Slurm that `start.sh` brought up."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import psutil
from building import BIN, copy_project

CONF = Path("/etc/slurm/slurm.conf")
RUN = "results/cpu/runs/llm-chat/joulebench--llama-1m"
FIRST = f"{RUN}/points/00-b1/point.json"
MEASURE, SAMPLER = "workflow/scripts/measure.py", "joulebench.meters.sampler"
IMPATIENT = (
    *("--default-resources", "cpus_per_task=1", "mem_mb=2000", "nodes=1"),
    *("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"),
    *("--latency-wait", "5", "--max-status-checks-per-second", "1"),
)
Ended = Mapping[str, "Future[None]"]
"""How things went that were done at once, by their names."""
WITHOUT_ACCOUNTING = ("--slurm-status-command", "squeue")


@dataclass(frozen=True)
class Project:
    """A copy of the project."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def snakemake(self, config: str, target: str, *words: str) -> "subprocess.Popen[bytes]":
        """The user's command; what it says goes to said.txt."""
        command = [str(BIN / "snakemake"), "--configfile", f"config/{config}.yaml", *words, "--", target]
        self.locks.mkdir(exist_ok=True)
        with (self / "said.txt").open("w") as out:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(self / "src"), "JOULEBENCH_LOCKS": str(self.locks)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def submit(self, config: str, target: str, *words: str) -> "subprocess.Popen[bytes]":
        """The same through Slurm."""
        return self.snakemake(config, target, "--workflow-profile", "slurm", *IMPATIENT, *words)

    def said(self) -> str:
        """What Snakemake said, and after it what its jobs said."""
        return (self / "said.txt").read_text() + "".join(
            f"\n== {log}\n{log.read_text()}" for log in (self / ".snakemake/slurm_logs").rglob("*.log")
        )

    @property
    def locks(self) -> Path:
        """Its own: other projects measure on this processor at the same time."""
        return self.folder.with_name(f"{self.folder.name}-locks")

    def jobs(self, state: str = "R", what: str = "%A") -> list[str]:
        """Its jobs, as `jobs` says them."""
        lines = [line.rpartition("|") for line in jobs(state, f"{what}|%Z")]
        return [said for said, _, folder in lines if folder == str(self.folder)]

    def processes(self, *words: str) -> list[psutil.Process]:
        """The processes that live in this project and have one of these words in their command."""
        found = psutil.process_iter(["cmdline", "cwd"])
        here = [one for one in found if one.info["cwd"] == str(self.folder) and alive(one)]
        return [one for one in here if any(word in one.info["cmdline"] for word in words)]

    def wait_until(self, condition: Callable[[], object], seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time\n" + self.said()
            time.sleep(0.1)

    def end(self) -> None:
        """Snakemake, where a test failed."""
        for one in self.processes("--configfile"):
            one.kill()

    def ends(self, workflow: "subprocess.Popen[bytes]", code: int, seconds: float = 500.0) -> None:
        try:
            workflow.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end in {seconds:g} s\n{self.said()}") from None
        assert workflow.returncode == code, self.said()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def copied(where: Path) -> Project:
    """A copy of what git would have of this tree."""
    copy_project(where)
    return Project(where)


def jobs(state: str = "R", what: str = "%A") -> list[str]:
    """Ids of the jobs that run now (or, PD, wait), or whatever else squeue prints of them."""
    return ask("squeue", "-h", "-t", state, "-o", what).split()


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def cancel(job: str) -> None:
    ask("scancel", job)


def requeue(job: str) -> None:
    ask("scontrol", "requeue", job)


def reach_the_time_limit(job: str) -> None:
    """Slurm looks every half minute."""
    ask("scontrol", "update", f"JobId={job}", "EndTime=now+1")


def node_of(job: str) -> str:
    return ask("squeue", "-h", "-j", job, "-o", "%N").strip()


def on(node: str, partition: str = "gpu") -> tuple[str, ...]:
    """Options of Snakemake by which measuring jobs run there."""
    return "--set-resources", f"measure:slurm_partition={partition}", f"measure:slurm_extra='--nodelist={node}'"


def not_on(*nodes: str) -> tuple[str, ...]:
    return "--set-resources", f"measure:slurm_extra='--exclude={','.join(nodes)}'"


def preempt(job: str) -> None:
    """Somebody more urgent wants the whole node."""
    ask("sbatch", "-p", "urgent", "-w", node_of(job), "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")


def lose_the_node(job: str) -> None:
    """The node's power goes: its daemon and all of the job's processes at once, without a word to the controller."""
    node = node_of(job)
    stepd = re.compile(rf"slurmstepd: \[{job}\.")
    daemons = [psutil.Process(pid_of(f"{node}.pid"))]
    daemons += [one for one in psutil.process_iter(["cmdline"]) if stepd.match(" ".join(one.info["cmdline"] or ()))]
    lost = list(dict.fromkeys([*daemons, *(child for one in daemons for child in one.children(recursive=True))]))
    for one in lost:  # the daemons first: what is left of the job must not be told of as having failed
        one.kill()
    psutil.wait_procs(lost, timeout=10)
    ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")


def mend(nodes: Sequence[str]) -> None:
    """Bring back what `lose_the_node` took; a node that registers is up again (ReturnToService=2)."""
    deadline = time.monotonic() + 30
    for node in nodes:
        if "DOWN" in ask("scontrol", "show", "node", node):
            ask("slurmd", "-N", node)
        while "DOWN" in ask("scontrol", "show", "node", node):
            assert time.monotonic() < deadline, f"{node} does not come back"
            time.sleep(0.2)


def pid_of(name: str) -> int:
    folder = re.search(r"^# Folder: (.*)$", CONF.read_text(), re.MULTILINE)
    assert folder is not None
    return int(Path(folder[1], name).read_text())


def stop(daemon: str, number: signal.Signals) -> None:
    process = psutil.Process(pid_of(f"{daemon}.pid"))
    process.send_signal(number)
    deadline = time.monotonic() + 30
    while alive(process):
        assert time.monotonic() < deadline, f"{daemon} does not end"
        time.sleep(0.1)
