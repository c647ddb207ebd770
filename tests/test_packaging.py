"""pyproject.toml and the lock files say the same: no environment holds what the package does not allow."""

import tomllib

import pytest
from building import PROJECT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from joulebench.doctor.packages import pins

PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = {"analysis": PROJECT_TABLE["dependencies"], **PROJECT_TABLE["optional-dependencies"]}


def locked(file: str) -> dict[str, str]:
    found = pins(PROJECT / "envs" / f"{file}.txt")
    return {canonicalize_name(name): number for name, number in found.items()}


@pytest.mark.parametrize("file", sorted(DECLARED))
def test_each_environment_holds_what_is_declared_and_within_its_bounds(file: str) -> None:
    wanted = {canonicalize_name(one.name): one.specifier for one in map(Requirement, DECLARED[file])}
    held = locked(file)
    if file == "cpu":  # Zeus is installed without what it asks for
        held["zeus"] = locked("no-deps")["zeus"]
    assert set(held) == set(wanted), f"envs/{file}.txt and pyproject.toml name other packages"
    outside = {name: number for name, number in held.items() if not wanted[name].contains(number)}
    assert outside == {}


def test_every_lock_file_is_declared() -> None:
    """But those that are no part of the package: tests, constraints, what is installed alone, another interpreter's."""
    files = {path.stem for path in (PROJECT / "envs").glob("*.txt")}
    assert files - {"dev", "constraints", "no-deps", "vllm"} == set(DECLARED)


@pytest.mark.parametrize("file", ["analysis", "cpu", "onnx", "cluster", "wandb", "docs", "dev"])
def test_the_constraints_name_no_other_version(file: str) -> None:
    constraints = locked("constraints")
    others = {name: number for name, number in locked(file).items() if constraints.get(name, number) != number}
    assert others == {}
