"""What the loaded GPUs draw at rest, looked at before the first point."""

from typing import Any

import polars as pl
import pytest

from joulebench.measure import sweep
from joulebench.records.schemas import ENERGY


class World:
    """A clock that sleeping moves on, and GPUs polled 50 times a second, whose power is a function of the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **watts: Any) -> None:
        self.now, self.watts = 0.0, {name.replace("_", ":"): power for name, power in watts.items()}
        self.sources = dict.fromkeys(self.watts, "nvml_counter")
        monkeypatch.setattr(sweep, "time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def since(self, start: float, end: float, margin_s: float) -> pl.DataFrame:
        rows = [
            {"device": name, "time_s": tick / 50 - start, "power_w": power(tick / 50)}
            for name, power in self.watts.items()
            for tick in range(round(start * 50), round(end * 50) + 1)
        ]
        kept = {name: ENERGY[name] for name in ("device", "time_s", "power_w")}
        return pl.DataFrame(rows, schema=kept)

    def look(self) -> dict[str, float] | None:
        return sweep.loaded_idle_power_w(self)  # type: ignore[arg-type]


def test_it_waits_until_every_gpu_has_been_quiet_for_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first is busy until 2 s. Three quiet seconds end at 5 s; it looks every half second.
    world = World(monkeypatch, gpu_0=lambda s: 400.0 if s < 2 else 120.0, gpu_1=lambda s: 118.0)
    assert world.look() == {"gpu:0": 120.0, "gpu:1": 118.0}
    assert 5.0 <= world.now <= 6.0


def test_what_never_comes_to_rest_is_said_and_not_guessed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, gpu_0=lambda s: 120.0 + 10 * (int(s * 5) % 2))
    assert world.look() is None
    assert "did not come to rest in 20 s" in caplog.text
    assert world.now < 25


@pytest.mark.parametrize("watts", [{"cpu_0": lambda s: 50.0}, {"gpu_0": lambda s: None}])
def test_without_a_gpu_or_its_power_there_is_nothing_to_wait_for(
    monkeypatch: pytest.MonkeyPatch, watts: dict[str, Any]
) -> None:
    world = World(monkeypatch, **watts)
    assert world.look() is None
    assert world.now <= 3.0
