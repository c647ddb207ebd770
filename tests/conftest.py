import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from building import PROJECT, plain
from warmed import serving

_KEPT = tempfile.TemporaryDirectory(prefix="joulebench-kept-")
os.environ |= {"HF_HOME": _KEPT.name, "HF_HUB_DISABLE_TELEMETRY": "1", "XDG_CACHE_HOME": f"{_KEPT.name}/cache"}
"""What programs keep for this user is not the tests' to use or to change. Read when the hub's client is imported."""

# What other tests measure at the same time is not waited for.
os.environ["JOULEBENCH_LOCKS"] = _KEPT.name

# Beside other tests a core is not free for each of torch's threads, and those that wait would keep it from the others.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

# Where it is set, each of the hundreds of processes that tests start would compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True)
def environment_as_it_was() -> Iterator[None]:
    """What a test, or an engine that it opens, puts into the environment is not the next test's."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def warm() -> Iterator[None]:
    """Scripts that load models, and are given `warmed.search_path`, start without their imports."""
    with serving():
        yield


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The project's own config as plain keys and values, in the project's folder, from which it names files."""
    monkeypatch.chdir(PROJECT)
    return plain(PROJECT / "config.yaml")


LONGEST = ("test_workflow", "slurm", "test_faults_measuring", "test_faults_machines", "test_measure_run", "test_report")
"""Files that take minutes, and the folder of Slurm's: beside others they begin first, and none is left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: min(places.get(name, len(places)) for name in (item.path.stem, item.path.parent.name)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What runs in one process, test after test: a file, whose tests share fixtures; all that needs the one Slurm."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "tests/slurm" if file.startswith("tests/slurm/") else file

    return ByFile(config, log)
