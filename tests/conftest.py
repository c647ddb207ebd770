from typing import Any

import pytest
from building import PROJECT, plain


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The project's own config as plain keys and values, in the project's folder, from which it names files."""
    monkeypatch.chdir(PROJECT)
    return plain(PROJECT / "config.yaml")
