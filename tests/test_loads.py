"""Each load: who is submitted when, which stretch counts, and when it is more than can be served."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from clockwork import Clockwork, ignore, prompts
from hypothesis import given, settings
from hypothesis import strategies as st

from joulebench import loads
from joulebench.analysis.windows import one_size, text_windows
from joulebench.config.sweeps import Ending, Fixed, Sweep
from joulebench.config.whole import parse
from joulebench.engines.base import Prepared, Step
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError
from joulebench.loads import LOADS
from joulebench.loads.base import WINDOWS
from joulebench.loads.gamma import Gaps
from joulebench.loads.setting import Setting
from joulebench.measure import text
from joulebench.measure.serving import Load, Serving
from joulebench.measure.text import of_setting, serve
from joulebench.records.models import Point
from joulebench.records.schemas import ITERATIONS


class World:
    """A clock that sleep and an engine's steps of 1 s set forward, and nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept = 0.0
        monkeypatch.setattr(text, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep))

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += seconds


class Steps(Clockwork):
    """Each step takes 1 s; `longest` as an engine has it."""

    longest: int | None = 40

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.most = 0

    def step(self) -> Step:
        assert self.waiting or self.left, "stepped with nothing to do"
        self.world.now += 1.0
        step = super().step()
        self.most = max(self.most, step.running)
        return step

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        return replace(prepared, prompt_tokens=len(ids), ids=ids)


def served(
    monkeypatch: pytest.MonkeyPatch, setting: Setting, protocol: Ending | None = None
) -> tuple[Load, pl.DataFrame, pl.DataFrame, Steps]:
    world = World(monkeypatch)
    load, engine = Load(0, ITERATIONS, started=0.0), Steps(world)
    serve(engine, Serving(prompts(4), setting, protocol), load, ignore)
    return load, *load.tables(), engine


def windows_of(iterations: pl.DataFrame, requests: pl.DataFrame, setting: Setting) -> dict[str, Any]:
    keyed = [frame.lazy().with_columns(key=pl.lit(0, pl.UInt32)) for frame in (iterations, requests)]
    found = text_windows(keyed[0], one_size(setting.max_batch_size, load=setting.load), keyed[1]).collect()
    assert found.schema == WINDOWS
    return found.row(0, named=True)


def test_all_at_once_and_no_more_in_flight_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven requests of three steps, three at a time: 3 + 3 + 1 of them, 9 s."""
    setting = Setting(load="at-once", requests=7, max_batch_size=3, axis="requests")
    load, requests, iterations, engine = served(monkeypatch, setting)
    assert load.failure is None
    assert requests["submitted_s"].to_list() == [0.0] * 7
    assert requests["finished_s"].to_list() == [3.0] * 3 + [6.0] * 3 + [9.0]
    assert engine.most == 3
    assert iterations["running"].to_list() == [3] * 6 + [1] * 3
    assert iterations["waiting"].to_list() == [4] * 3 + [1] * 3 + [0] * 3
    found = windows_of(iterations, requests, setting)
    assert (found["start_s"], found["end_s"], found["window"]) == (0.0, 9.0, "whole")
    # The batch is full from the end of the first step on, and somebody waits until the end of the sixth.
    assert (found["queue_start_s"], found["queue_end_s"], found["filled"]) == (1.0, 6.0, 3)


def test_fewer_at_once_than_may_be_in_flight_never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(load="at-once", requests=2, max_batch_size=8, axis="requests")
    _, requests, iterations, _ = served(monkeypatch, setting)
    found = windows_of(iterations, requests, setting)
    assert (found["start_s"], found["end_s"], found["queue_start_s"]) == (0.0, 3.0, None)
    assert LOADS["at-once"].overloaded(iterations, requests, 8, 0) is None


def test_arrivals_are_submitted_when_they_come_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0.0, 0.5, 10.0, 10.25, 20.5]
    monkeypatch.setattr(Gaps, "__init__", lambda self, *_: self.__dict__.update(_times=times, _given=0))
    setting = Setting(load="poisson", requests=5, rate_per_s=1.0, max_batch_size=8, axis="rate_per_s")
    _, requests, iterations, engine = served(monkeypatch, setting)
    assert requests["submitted_s"].to_list() == times
    # The second comes while the first step runs, and is in the next: 4 s in all. Then nothing is to do until 10 s.
    assert iterations["end_s"].to_list() == [1, 2, 3, 4, 10, 11, 12, 13, 14, 20.5, 21.5, 22.5, 23.5]
    assert iterations["running"].to_list() == [1, 2, 2, 1, 0, 1, 2, 2, 1, 0, 1, 1, 1]
    assert engine.world.slept == 6.0 + 6.5
    assert requests["finished_s"].to_list() == [3, 4, 13, 14, 23.5]
    assert (requests["first_output_s"] >= requests["submitted_s"]).all()


def stationary(rate: float, batch: int) -> Setting:
    return Setting(load="poisson", requests=100, rate_per_s=rate, max_batch_size=batch, axis="rate_per_s")


def test_the_window_of_arrivals_is_from_the_warm_up_to_the_last_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of three steps; nobody waits, so that a latency is 3 s and what is left of the step that one comes in."""
    _, requests, iterations, _ = served(monkeypatch, stationary(0.5, 50))
    found = windows_of(iterations, requests, stationary(0.5, 50))
    last_s = requests["submitted_s"].max()
    mean_s = (requests["finished_s"] - requests["submitted_s"]).mean()
    assert 3.0 <= mean_s < 4.0  # type: ignore[operator]
    ends = iterations["end_s"]
    assert found["start_s"] == min(end for end in ends if end >= 3 * mean_s)  # type: ignore[operator]
    assert found["end_s"] == max(end for end in ends if end <= last_s)  # type: ignore[operator]
    assert (found["window"], found["queue_start_s"]) == ("stationary", None)
    assert LOADS["poisson"].overloaded(iterations, requests, 50, 0) is None


def test_where_arrivals_end_before_the_warm_up_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    _, requests, iterations, _ = served(monkeypatch, stationary(1000.0, 200))
    found = windows_of(iterations, requests, stationary(1000.0, 200))
    assert found["start_s"] is None
    mean_s = (requests["finished_s"] - requests["submitted_s"]).mean()
    assert mean_s is not None
    came = requests["submitted_s"].max()
    assert found["no_window"] == (
        f"no stationary window: requests came for {came:.3f} s, 3 mean latencies are {3 * mean_s:.3f} s"  # type: ignore[operator]
    )


def test_a_queue_that_grows_is_overloaded_and_ends_no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, of three steps: two in 3 s, and one comes every second."""
    _, requests, iterations, _ = served(monkeypatch, stationary(1.0, 2))
    waiting = (requests["finished_s"] > requests["submitted_s"].max()).sum() - 2  # type: ignore[operator]
    assert waiting > 20
    why = LOADS["poisson"].overloaded(iterations, requests, 2, 0)
    assert why == f"{waiting} of 100 requests waiting when the last one came: the queue grows"
    assert not loads.is_last("overloaded", "poisson")
    assert loads.is_last("overloaded", "closed-loop")
    assert loads.is_last("failed", "poisson")
    assert loads.is_last("out_of_memory", "at-once")


@given(
    rate=st.floats(0.01, 1000), burstiness=st.floats(0.1, 10), requests=st.integers(1, 200), looks=st.integers(1, 50)
)
@settings(deadline=None, max_examples=100)
def test_nobody_comes_before_the_time_and_everybody_once(
    rate: float, burstiness: float, requests: int, looks: int
) -> None:
    whole = Gaps(requests, rate, burstiness, [0]).due(float("inf"), 0)
    assert len(whole) == requests
    assert list(whole) == sorted(whole)
    assert whole[0] == 0.0
    gaps, found = Gaps(requests, rate, burstiness, [0]), []
    for now_s in np.linspace(0.0, whole[-1] * 0.999, looks):
        next_s = gaps.next_s()
        came = gaps.due(float(now_s), 0)
        assert all(time_s <= now_s for time_s in came)
        assert bool(came) == (next_s is not None and next_s <= now_s)
        found += came
    found += gaps.due(whole[-1], 0)
    assert found == list(whole)
    assert gaps.next_s() is None


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_the_gaps_have_the_mean_and_the_variance_of_their_distribution(burstiness: float) -> None:
    """Of 200,000 gaps at 5 a second: mean 0.2 s, variance 0.04 / burstiness s^2; both to about 2 %."""
    times = Gaps(200_001, 5.0, burstiness, [7]).due(float("inf"), 0)
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(0.2, rel=0.02)
    assert gaps.var() == pytest.approx(0.04 / burstiness, rel=0.04)


@pytest.mark.parametrize(("requests", "burstiness"), [(2, 1.0), (24, 0.3), (500, 1.0)])
def test_few_arrivals_come_at_their_rate_too(requests: int, burstiness: float) -> None:
    """The gaps between N arrivals at 4 a second take (N - 1) / 4 s in all."""
    times = Gaps(requests, 4.0, burstiness, [0]).due(float("inf"), 0)
    assert times[-1] == pytest.approx((requests - 1) / 4)
    twice = Gaps(requests, 8.0, burstiness, [0]).due(float("inf"), 0)
    assert list(twice) == pytest.approx([time_s / 2 for time_s in times])


def test_where_all_came_before_the_first_step_its_queue_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten at once but for microseconds, two at a time: eight wait; the drained end of the point is no answer."""
    setting = Setting(load="poisson", requests=10, rate_per_s=100_000.0, max_batch_size=2, axis="rate_per_s")
    _, requests, iterations, _ = served(monkeypatch, setting)
    assert iterations["waiting"][-1] == 0
    why = LOADS["poisson"].overloaded(iterations, requests, 2, 0)
    assert why is not None
    assert "of 10 requests waiting" in why
    assert LOADS["poisson"].overloaded(iterations, requests, 6, 0) is None


def test_the_same_arrivals_each_time_and_others_in_another_repeat() -> None:
    setting = Setting(load="gamma", requests=9, rate_per_s=2.0, burstiness=0.5, max_batch_size=4)
    times = [LOADS["gamma"].arrivals(setting, 9, seed, repeat).due(1e9, 0) for seed, repeat in ((0, 1), (0, 1), (0, 2))]
    assert times[0] == times[1] != times[2]
    even = LOADS["poisson"].arrivals(setting.model_copy(update={"burstiness": None}), 9, 0, 1).due(1e9, 0)
    assert even != times[0]


def test_a_closed_loop_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(max_batch_size=2)
    _, requests, iterations, _ = served(monkeypatch, setting, Fixed(kind="fixed", requests=5))
    assert requests["submitted_s"].to_list() == [0.0, 0.0, 3.0, 3.0, 6.0]
    assert iterations["waiting"].to_list() == [3] * 3 + [1] * 3 + [0] * 3
    assert windows_of(iterations, requests, setting)["queue_start_s"] == 1.0


class Twice:
    """A load of a test: half of the requests when it begins, the other half when these are done."""

    needs = ("requests",)
    counts = True
    ends_overloaded = False
    windows = LOADS["at-once"].windows
    overloaded = LOADS["at-once"].overloaded

    def arrivals(self, setting: Setting, requests: int, seed: int, repeat: int) -> "Twice":
        self.waiting, self.half = requests, requests // 2
        return self

    def due(self, now_s: float, room: int) -> list[float]:
        if room < self.half or not self.waiting:
            return []
        self.waiting -= self.half
        return [now_s] * self.half

    def next_s(self) -> float | None:
        return None


def test_a_fourth_load_is_one_module_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOADS, "twice", Twice())
    sweep = Sweep(load="twice", requests=(4, 6), max_batch_size=3)
    assert [one.label for one in sweep.settings] == ["n4-b3", "n6-b3"]
    _, requests, iterations, _ = served(monkeypatch, sweep.settings[1])
    assert requests["submitted_s"].to_list() == [0.0] * 3 + [3.0] * 3
    assert windows_of(iterations, requests, sweep.settings[1])["end_s"] == 6.0
    with pytest.raises(ValueError, match="load twice takes no rate_per_s"):
        Sweep(load="twice", requests=(4,), rate_per_s=1.0, max_batch_size=3)


TIMED = {"kind": "timed", "seconds": 1}


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({}, "one list says what varies"),
        ({"batch_sizes": [1], "requests": [2, 3], "load": "at-once"}, "found batch_sizes, requests"),
        ({"requests": [3, 2], "load": "at-once", "max_batch_size": 8}, "requests must rise, found [3, 2]"),
        ({"requests": [2, 3], "load": "at-once"}, "max_batch_size is missing"),
        ({"batch_sizes": [1], "load": "at-once"}, "the load at-once needs requests"),
        ({"rate_per_s": [1], "load": "poisson", "requests": 9, "max_batch_size": 1, "burstiness": 2}, "no burstiness"),
        ({"requests": [2], "load": "at-once", "max_batch_size": 1, "protocol": TIMED}, "leave protocol out"),
        ({"batch_sizes": [1]}, "protocol is missing"),
        ({"batch_sizes": [1], "load": "at-onse", "requests": 1}, "no load 'at-onse'; did you mean 'at-once'?"),
        ({"requests": [2], "load": "at-once", "max_batch_size": 1, "start": "equilibrium"}, "which is a closed loop's"),
    ],
)
def test_a_sweep_that_says_no_load(sweep: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="Sweep") as refused:
        Sweep.model_validate(sweep)
    assert said in str(refused.value)


def test_settings_by_name() -> None:
    assert Setting(max_batch_size=8).label == "b8"
    assert Setting(max_batch_size=64, input_tokens=512, output_tokens=256).label == "b64-i512-o256"
    assert Setting(load="at-once", max_batch_size=100, requests=500).label == "n500-b100"
    assert Setting(load="poisson", max_batch_size=256, requests=500, rate_per_s=0.25).label == "r0.25-n500-b256"
    rate = Setting(load="poisson", max_batch_size=256, requests=500, rate_per_s=4.0, axis="rate_per_s")
    assert (rate.words, rate.value) == ("4 requests/s", 4.0)
    assert Setting(max_batch_size=8).words == "B = 8"


def test_a_point_of_before_is_a_closed_loop_at_its_batch_size() -> None:
    told = {"point": 3, "status": "measured", "started_utc": "2026-01-01T00:00:00Z", "duration_s": 1.0}
    with pytest.raises(ValueError, match="max_batch_size is 8, its setting's 4"):
        Point.model_validate(told | {"max_batch_size": 8, "setting": {"max_batch_size": 4}})
    point = Point(point=3, max_batch_size=8, status="measured", started_utc="2026-01-01T00:00:00Z", duration_s=1.0)
    assert (point.at, point.folder) == (Setting(max_batch_size=8), "03-b8")


def test_prompts_and_answers_of_exact_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Steps(World(monkeypatch))
    sample = [Prepared("a", 3, 2, True, (7, 7), (1, 2, 3)), Prepared("b", 2, 1, True, (9,), (4, 5))]
    found = of_setting(engine, sample, Setting(max_batch_size=1, input_tokens=7, output_tokens=3))
    # Its own prompt, then the next one's, then from the first again; the answers come round again as well.
    assert [list(one.ids) for one in found] == [[1, 2, 3, 4, 5, 1, 2], [4, 5, 1, 2, 3, 4, 5]]
    assert [list(one.answer) for one in found] == [[7, 7, 7], [9, 9, 9]]
    assert {(one.prompt_tokens, one.max_output_tokens, one.ignore_end) for one in found} == {(7, 3, True)}
    cut = of_setting(engine, sample, Setting(max_batch_size=1, input_tokens=2))
    assert [list(one.ids) for one in cut] == [[1, 2], [4, 5]]
    assert [one.max_output_tokens for one in cut] == [2, 1]
    assert of_setting(engine, sample, Setting(max_batch_size=1)) is sample
    with pytest.raises(UserError, match=r"b1-i30-o11: a prompt and its answer of 41 tokens, the engine holds 40"):
        of_setting(engine, sample, Setting(max_batch_size=1, input_tokens=30, output_tokens=11))


def test_pictures_are_made_in_batches_and_prompts_with_images_are_not_cut() -> None:
    cell = {"engine": "e", "models": ["m"]}
    model = {"weights": "checkpoint", "revision": "0" * 40}
    drawing = {"generation": {"height": 8, "width": 8, "denoising_steps": 1}}

    def config_of(task: str, sweep: dict[str, Any], **own: Any) -> dict[str, Any]:
        asked = {"dataset": {"name": "sharegpt", "source": {"kind": "packaged"}}, "sample": {"requests": 1}, **own}
        return {
            "measure_on": ["cpu"],
            "hardware": {"cpu": {"device": "cpu"}},
            "tasks": {task: {**asked, "sweep": sweep}},
            "models": {"m": model | (drawing if task == "text-to-image" else {})},
            "engines": {"e": {"kind": "transformers"}},
            "matrix": {"cpu": {task: cell}},
        }

    at_once = {"load": "at-once", "requests": [1, 2], "max_batch_size": 1}
    with pytest.raises(ConfigError, match="text-to-image is made in batches; give batch_sizes and protocol alone"):
        parse(config_of("text-to-image", at_once))
    media = {"dataset": {"name": "llava", "source": {"kind": "packaged"}, "media": {"kind": "packaged"}}}
    lengths = {"max_batch_size": 1, "input_tokens": [8, 16], "protocol": {"kind": "timed", "seconds": 1}}
    with pytest.raises(ConfigError, match="a prompt of vlm-chat holds an image"):
        parse(config_of("vlm-chat", lengths, output_length={"kind": "natural", "tokens": 4}, **media))
