"""The reliability page is that of the tests."""

import subprocess
import sys

import pytest
from building import PROJECT


@pytest.mark.slow
def test_the_page_is_in_step_with_the_tests() -> None:
    command = [sys.executable, str(PROJECT / "tests" / "faults" / "page.py")]
    made = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert made == (PROJECT / "docs" / "reliability.md").read_text(encoding="utf-8"), (
        "python tests/faults/page.py > docs/reliability.md"
    )
