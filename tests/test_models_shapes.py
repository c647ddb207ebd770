"""The real shapes of config.yaml: what each would hold, against the count that its maker published."""

import warnings
from pathlib import Path

import pytest

from joulebench import config
from joulebench.models import synthetic
from joulebench.spec import architecture

PROJECT = Path(__file__).parents[1]
TOLERANCE = 0.01
SHAPES = {
    name: model
    for name, model in config.load(PROJECT / "config.yaml").models.items()
    if isinstance(model, config.Synthetic) and not name.startswith("joulebench/")
}


def test_every_real_shape_says_its_published_count() -> None:
    assert len(SHAPES) >= 20
    assert [name for name, model in SHAPES.items() if model.parameters is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_shape_has_the_published_number_of_parameters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    model = SHAPES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = synthetic.parameters(name, architecture(name, model), model)
    assert counted == pytest.approx(model.parameters, rel=TOLERANCE)
