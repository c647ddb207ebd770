import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from building import PROJECT
from cluster import CONF, Ended, Project, copied

TASKS = ("llm-chat", "llm-code")
PACKAGES = "slurm-wlm munge slurmdbd mariadb-server-core mariadb-client-core"


def why_not() -> str | None:
    if os.geteuid() != 0:
        return "Slurm's daemons are started as root"
    programs = ("slurmctld", "slurmd", "munged", "slurmdbd", "mariadbd")
    if missing := [name for name in programs if shutil.which(name) is None]:
        return f"no {', '.join(missing)}: apt-get install -y --no-install-recommends {PACKAGES}"
    if CONF.exists() and not CONF.read_text().startswith("# Joulebench's tests wrote this."):
        return f"this machine has a Slurm of its own ({CONF})"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason))


@pytest.fixture(scope="module")
def slurm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """With accounting where the module says ACCOUNTING, and two nodes where it does not say NODES."""
    folder = [str(tmp_path_factory.mktemp("slurm")), str(getattr(request.module, "NODES", 2))]
    words = ["--accounting"] if getattr(request.module, "ACCOUNTING", False) else []
    try:
        subprocess.run([PROJECT / "tests/slurm/start.sh", *words, *folder], check=True)
        yield
    finally:
        subprocess.run([PROJECT / "tests/slurm/stop.sh", folder[0]], check=True)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clean copy with small configs: `two` tasks, a sweep to be cut off in the middle, and one on two GPUs."""
    project = copied(tmp_path_factory.mktemp("bare"))
    raw = yaml.safe_load((project / "config/tiny.yaml").read_text())
    for block in (raw["tasks"], raw["matrix"]["cpu"]):
        for task in set(block) - set(TASKS):
            del block[task]
    raw["models"] = {"joulebench/llama-1m": raw["models"]["joulebench/llama-1m"]}
    raw["hardware"]["h100"] = {"device": "cuda", "reports_as": "H100", "tdp_w": 700, "slurm": {"gpu_model": "h100"}}
    raw["variants"] = {"tp2": {"tensor_parallel": 2}}
    raw["engines"]["vllm"] = {"kind": "vllm"}
    raw["matrix"]["h100"] = {"llm-chat": {"engine": "vllm", "models": ["joulebench/llama-1m+tp2"]}}
    (project / "config/two.yaml").write_text(yaml.safe_dump(raw))
    for name, batches, seconds in (("long", [1, 2, 4], 4), ("minutes", [1, 2, 3, 4], 12)):
        sweep = {"batch_sizes": batches, "protocol": {"kind": "timed", "seconds": seconds}}
        raw["tasks"]["llm-chat"]["sweep"] = sweep
        (project / f"config/{name}.yaml").write_text(yaml.safe_dump(raw))
    return project


@pytest.fixture(scope="session")
def prepared(bare: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One in which everything is there but the runs."""
    project = Project(tmp_path_factory.mktemp("prepared") / "project")
    shutil.copytree(bare.folder, project.folder, symlinks=True)
    words = ("--config", "measure_on=[cpu,h100]", "--cores", "2")
    project.ends(project.snakemake("two", "fetch", *words), 0)
    project.ends(project.snakemake("two", "results/cpu/machine.json", "--cores", "2"), 0)
    return project


@pytest.fixture(scope="module")
def ended(
    request: pytest.FixtureRequest, slurm: None, prepared: Project, tmp_path_factory: pytest.TempPathFactory
) -> Ended:
    """How each of the module's WAYS went, all at once, each in a copy of it: what takes time is Slurm's waiting."""
    ways = {way: Project(tmp_path_factory.mktemp("way") / "mine") for way in request.module.WAYS}
    for project in ways.values():
        shutil.copytree(prepared.folder, project.folder, symlinks=True)

    def gone(way: Callable[[Project], None], project: Project) -> None:
        try:
            way(project)
        finally:
            project.end()

    with ThreadPoolExecutor(len(ways)) as threads:
        ended = {way.__name__: threads.submit(gone, way, project) for way, project in ways.items()}
    return ended


@pytest.fixture
def mine(slurm: None, prepared: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of it that a test may spoil."""
    project = Project(tmp_path / "mine")
    shutil.copytree(prepared.folder, project.folder, symlinks=True)
    yield project
    project.end()
