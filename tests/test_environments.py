"""What the lock files pin: releases for every Python that the project says it runs on."""

from importlib.metadata import PackageNotFoundError, metadata

import pytest
from building import PROJECT
from packaging.specifiers import SpecifierSet

DEBIAN_12 = "3.11.2"
"""The oldest Python that anybody is told to take (README.md)."""

PINNED = [
    line.split("#")[0].strip().split("==")
    for line in (PROJECT / "envs/constraints.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line.split("#")[0]
]


@pytest.mark.parametrize(("package", "release"), PINNED)
def test_each_package_takes_the_oldest_python(package: str, release: str) -> None:
    try:
        found = metadata(package)
    except PackageNotFoundError:
        pytest.skip("not installed here")
    assert found["Version"] == release
    assert SpecifierSet(found["Requires-Python"] or "").contains(DEBIAN_12)
