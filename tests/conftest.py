import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from building import PROJECT, plain

_HUB = tempfile.TemporaryDirectory(prefix="joulebench-hub-")
os.environ |= {"HF_HOME": _HUB.name, "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What the hub's client keeps on this machine is not the tests' to use or to change. Read when it is first imported."""


@pytest.fixture(autouse=True)
def environment_as_it_was() -> Iterator[None]:
    """What a test, or an engine that it opens, puts into the environment is not the next test's."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The project's own config as plain keys and values, in the project's folder, from which it names files."""
    monkeypatch.chdir(PROJECT)
    return plain(PROJECT / "config.yaml")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in one process, test after test: a file, whose tests share fixtures; all that needs the one Slurm."""
    for item in items:
        group = "slurm" if item.path.parent.name == "slurm" else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
