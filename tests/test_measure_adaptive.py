"""The adaptive protocol: engines on a clock of their own, and a sampler's file that grows with it."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from building import PROJECT, machine, prepare_tiny, tiny_spec
from pydantic import ValidationError

from joulebench.analysis.energy import Drawn, headline
from joulebench.analysis.keyed import read_energy
from joulebench.analysis.points import WantedRun, points
from joulebench.config.sweeps import Adaptive, Sweep
from joulebench.engines.base import Prepared, Step, Times
from joulebench.loads.setting import Setting
from joulebench.measure import diffusion, sweep, text
from joulebench.measure.diffusion import batches
from joulebench.measure.protocol import AdaptiveEnd
from joulebench.measure.run import measure
from joulebench.measure.serving import Load, Progress, Serving, sample_tokens
from joulebench.measure.session import Session
from joulebench.meters.base import COLUMNS
from joulebench.meters.following import Following
from joulebench.meters.sampling import Sampling
from joulebench.records.files import read_parquet, read_point, write_parquet
from joulebench.records.models import SampleTokens
from joulebench.records.schemas import BATCHES, ENERGY, ITERATIONS

HEADER = ",".join(COLUMNS) + "\n"
STEP_S = 0.25
POLLS_S, MOVES_EACH = 0.02, 5


def line(device: str, source: str, time_s: float, energy_j: float | None) -> str:
    joules = "" if energy_j is None else f"{energy_j:.6f}"
    return f"{device},{source},{time_s:.6f},{joules},,,,,,,,,\n"


class World:
    """A clock that only engines move, and the file of a sampler that polls every 20 ms; each fifth poll has news.

    `power_w`: what the device draws at a time, constant from one step of the clock to the next.
    """

    def __init__(self, folder: Path, power_w: Callable[[float], float] = lambda _: 100.0, source: str = "nvml_counter"):
        self.now = 0.0
        self.power_w, self.source = power_w, source
        self.file = folder / "sampler.csv"
        self.file.write_text(HEADER)
        self._drawn_j = self._shown_j = 0.0
        self._polls = 0
        self.pass_by(1 / 128)

    def monotonic(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        began, power = self.now, self.power_w(self.now)
        self.now = began + seconds
        with self.file.open("a") as file:
            while (poll := self._polls * POLLS_S + 0.003) <= self.now:
                if self._polls % MOVES_EACH == 0:
                    self._shown_j = self._drawn_j + power * (poll - began)
                file.write(line("gpu:0", self.source, poll, self._shown_j if self.source else None))
                self._polls += 1
        self._drawn_j += power * seconds

    def energy(self) -> Following:
        return Following(self.file, {"gpu:0": self.source or None, "cpu:0": None}, 1 << 17)


class Clockwork:
    """A text engine: every answer takes 4 steps of 0.25 s, and its prompt of 10 tokens is read in the first."""

    def __init__(self, world: World, steps: int = 4, whole_batches: bool = False) -> None:
        self.world, self.steps, self.whole_batches = world, steps, whole_batches
        self.left: dict[int, int] = {}
        self.new: list[int] = []

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        raise NotImplementedError

    def submit(self, request: int, prepared: Prepared) -> None:
        assert not (self.whole_batches and any(left < self.steps for left in self.left.values()))
        self.left[request] = self.steps
        self.new.append(request)

    def step(self) -> Step:
        step = Step(running=len(self.left), waiting=0, output_tokens=len(self.left), prompt_tokens=10 * len(self.new))
        self.new.clear()
        self.world.pass_by(STEP_S)
        for request in list(self.left):
            self.left[request] -= 1
            if self.left[request] == 0:
                del self.left[request]
                step.finished[request] = self.steps
        return step

    def abort(self) -> dict[int, Times]:
        self.left.clear()
        return {}

    def close(self) -> None: ...


class Asked:
    """A stop rule that says enough when it is asked for the nth time, and notes what it was handed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, enough_at: int = 1_000_000) -> None:
        self.made: list[tuple[float, float, float]] = []
        self.handed: list[tuple[Any, ...]] = []
        self.enough_at = enough_at
        monkeypatch.setattr("joulebench.measure.protocol.Stopping", self._make)

    def _make(self, half_width: float, confidence: float, min_seconds: float, start: str) -> "Asked":
        self.made.append((half_width, confidence, min_seconds))
        return self

    def enough(self, *blocks: Any) -> bool:
        self.handed.append(tuple(block.tolist() if isinstance(block, np.ndarray) else block for block in blocks))
        return len(self.handed) >= self.enough_at


def protocol(**changes: Any) -> Adaptive:
    return Adaptive.model_validate({"kind": "adaptive", "min_seconds": 3.0, "max_seconds": 30.0} | changes)


def prompts(count: int = 6, ignore_end: bool = True) -> list[Prepared]:
    return [Prepared("p", prompt_tokens=10, max_output_tokens=4, ignore_end=ignore_end) for _ in range(count)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    for module in (text, diffusion):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def serve(world: World, engine: Clockwork, batch: int, asked: Adaptive, prepared: Sequence[Prepared] = ()) -> Load:
    load = Load(0, ITERATIONS, started=world.now)
    shares: list[float] = []

    def watch(progress: Progress) -> None:
        shares.append(progress.share)

    what = Serving(prepared or prompts(), Setting(max_batch_size=batch), asked, energy=world.energy())
    text.serve(engine, what, load, watch)
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] <= shares[-1] == 1.0
    return load


def window_s(load: Load, batch: int) -> float:
    """From the turnover on."""
    iterations = load.tables()[1]
    return float(iterations["end_s"][-1] - iterations.filter(pl.col("finished").cum_sum() >= batch)["end_s"][0])


def test_the_stop_rule_is_handed_the_blocks_that_counters_have_passed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.power_w = lambda now: 100.0 if now < 3.0 else 200.0
    asked = Asked(monkeypatch, enough_at=2)
    load = serve(world, Clockwork(world), 2, protocol(half_width=0.03, confidence=0.9))
    assert asked.made == [(0.03, 0.9, 3.0)]
    # The turnover ends at 1.008 s, and steps of 0.25 s make blocks of 1 s. At the first check after 3 s, at 4.258 s,
    # three blocks are there; at 5.258 s four. Two requests at once, a token a step each, two prompts of 10 a second.
    (block_s, drawn_j, outputs, asked_prompts, ratio, turnovers), longer = asked.handed
    assert block_s == pytest.approx([1.0, 1.0, 1.0])
    # The power has doubled at 3.008 s, the end of the second block; what the counter's last tenth of it shows is a mix.
    assert drawn_j == pytest.approx([100.0, 100.0, 200.0], abs=5.0)
    assert sum(drawn_j) == pytest.approx(400.0, abs=1e-3)
    assert outputs == [8, 8, 8]
    assert asked_prompts == [20, 20, 20]
    assert ratio == 10 / 4
    assert turnovers == [1, 1, 1]  # two answers a second
    assert longer[1] == pytest.approx([*drawn_j, 200.0], abs=1e-3)
    assert load.ended_by == "precision"
    assert load.ended == 5.25 + 1 / 128


def test_what_is_in_flight_at_the_end_is_aborted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Asked(monkeypatch, enough_at=1)
    engine = Clockwork(world, steps=3)
    requests, iterations = serve(world, engine, 2, protocol()).tables()
    assert engine.left == {}
    assert iterations["waiting"].min() > 0
    assert requests["status"].to_list() == ["finished"] * (requests.height - 2) + ["aborted"] * 2


def test_engines_of_whole_batches_end_between_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Asked(monkeypatch, enough_at=1)
    requests, iterations = serve(world, Clockwork(world, steps=7, whole_batches=True), 3, protocol()).tables()
    assert iterations.height % 7 == 0
    assert set(requests["status"]) == {"finished"}


@pytest.mark.parametrize("min_seconds", [3.0, 7.5, 29.0])
def test_not_before_the_minimum(world: World, monkeypatch: pytest.MonkeyPatch, min_seconds: float) -> None:
    asked = Asked(monkeypatch, enough_at=1)
    load = serve(world, Clockwork(world), 2, protocol(min_seconds=min_seconds))
    assert len(asked.handed) == 1
    assert min_seconds <= window_s(load, 2) <= min_seconds + 1.0 + STEP_S


@pytest.mark.parametrize("reason", ["precision", "max_seconds", "max_requests"])
def test_never_before_the_turnover(world: World, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """The first answers take 50 s, longer than all that ends the point after them."""
    Asked(monkeypatch, enough_at=1 if reason == "precision" else 1_000_000)
    limits = {"max_requests": 1} if reason == "max_requests" else {"max_seconds": 10.0}
    load = serve(world, Clockwork(world, steps=200), 2, protocol(**limits))
    assert load.ended_by == reason
    assert load.ended - load.started > 200 * STEP_S
    assert load.tables()[1]["finished"].sum() == 2


def test_it_ends_at_the_most_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    load = serve(world, Clockwork(world), 2, protocol(max_seconds=8.2))
    assert load.ended_by == "max_seconds"
    assert window_s(load, 2) == pytest.approx(8.25)
    assert 4 <= len(asked.handed) <= 6  # once a second, from the third on


def test_it_ends_at_the_most_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Asked(monkeypatch)
    load = serve(world, Clockwork(world), 2, protocol(max_requests=15))
    assert load.ended_by == "max_requests"
    assert load.tables()[1]["finished"].sum() == 16  # two at a time


@pytest.mark.parametrize("shown", [True, False])
def test_without_energy_it_ends_at_the_most_seconds_and_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, shown: bool
) -> None:
    asked = Asked(monkeypatch, enough_at=1)
    world.source = "codecarbon_estimate" if shown else ""
    with caplog.at_level(logging.WARNING):
        load = serve(world, Clockwork(world), 2, protocol(max_seconds=6.0))
    # An estimate is energy.
    assert load.ended_by == ("precision" if shown else "max_seconds")
    assert bool(asked.handed) == shown
    assert ("nothing measures energy here" in caplog.text) != shown


def test_answers_that_the_model_ends_have_no_known_ratio(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, enough_at=1)
    serve(world, Clockwork(world), 2, protocol(), prompts(ignore_end=False))
    assert len(asked.handed[0]) == 3
    assert sample_tokens([Prepared("a", 10, 4, True), Prepared("b", 20, 8)]) is None
    told = sample_tokens([Prepared("a", 10, 4, True), Prepared("b", 20, 8, True)])
    assert told == SampleTokens(requests=2, prompt_tokens=30, output_tokens=12)


def test_the_real_rule_stops_what_is_steady_and_not_what_is_not(world: World) -> None:
    steady = serve(world, Clockwork(world), 2, protocol(min_seconds=10.0), prompts(ignore_end=False))
    assert steady.ended_by == "precision"
    assert window_s(steady, 2) < 16.0
    noise = np.random.default_rng(0).uniform(20.0, 500.0, 1000)
    world.power_w = lambda now: float(noise[int(now)])
    unsteady = serve(world, Clockwork(world), 2, protocol(min_seconds=10.0), prompts(ignore_end=False))
    assert unsteady.ended_by == "max_seconds"


class Darkroom:
    """A diffusion engine: every batch takes so many seconds."""

    arguments: ClassVar[dict[str, Any]] = {}

    def __init__(self, world: World, seconds: float) -> None:
        self.world, self.seconds = world, seconds

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        raise NotImplementedError

    def generate(self, batch: Sequence[Prepared]) -> int:
        self.world.pass_by(self.seconds)
        return 25

    def close(self) -> None: ...


def develop(world: World, seconds: float, asked: Adaptive) -> Load:
    load = Load(0, BATCHES, started=world.now)
    shares: list[float] = []
    what = Serving(prompts(), Setting(max_batch_size=4), asked, warmup_batches=1, energy=world.energy())
    batches(Darkroom(world, seconds), what, load, lambda one: shares.append(one.share))
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] <= shares[-1] == 1.0
    return load


def test_a_block_a_batch_of_images(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, enough_at=1)
    load = develop(world, 5.0, protocol())
    # No block of the warm-up. The counter has not passed a batch's end when it is there: four batches give three.
    assert asked.handed == [
        (pytest.approx([5.0] * 3), pytest.approx([500.0] * 3), [4, 4, 4]),
    ]
    assert load.ended_by == "precision"
    assert load.tables()[1]["warmup"].to_list() == [True, False, False, False, False]
    assert set(load.tables()[0]["status"]) == {"finished"}


def test_short_batches_are_asked_about_once_a_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, enough_at=3)
    load = develop(world, 0.1, protocol(min_seconds=2.0))
    assert load.ended - load.started < 5.5
    assert len(asked.handed[-1][0]) > 30
    assert asked.handed[-1][0] == pytest.approx([0.1] * len(asked.handed[-1][0]))


@pytest.mark.parametrize(
    ("seconds", "limits", "reason", "served"),
    [
        (50.0, {}, "max_seconds", 3),
        (10.0, {}, "max_seconds", 3),
        (5.0, {"max_requests": 9}, "max_requests", 3),
        (5.0, {"max_requests": 1}, "max_requests", 3),
    ],
)
def test_batches_end_at_their_limits_after_three(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, limits: dict[str, Any], reason: str, served: int
) -> None:
    Asked(monkeypatch)
    load = develop(world, seconds, protocol(**limits))
    assert (load.ended_by, len(load.iterations)) == (reason, 1 + served)


def readings(seed: int, seconds: float) -> str:
    """Two GPUs whose counters move at every fifth poll, each in its own places, and a CPU that moves at every poll."""
    noise = np.random.default_rng(seed)
    lines, shown = [], {"gpu:0": 0.0, "gpu:1": 0.0, "cpu:0": 0.0}
    for poll in range(int(seconds / POLLS_S)):
        for place, device in enumerate(shown):
            if device == "cpu:0" or poll % MOVES_EACH == 2 * place:
                shown[device] += float(noise.uniform(0.5, 60.0))
            at = 1000.0 + poll * POLLS_S + 0.001 * place + float(noise.uniform(0.0, 0.0005))
            lines.append(line(device, "nvml_counter" if place < 2 else "rapl", at, shown[device]))
    return "".join(lines)


def in_the_tables(lines: str, times: Sequence[float], folder: Path) -> list[float | None]:
    """What the tables will say."""
    frame = pl.read_csv(lines.encode(), has_header=False, schema=ENERGY)
    write_parquet(frame, folder / "energy.parquet")
    asked = pl.DataFrame({"key": [0] * len(times), "at_s": times}, schema_overrides={"key": pl.UInt32})
    return Drawn(headline(read_energy({0: folder / "energy.parquet"}))).energy_j(asked, "at_s").to_list()


@pytest.mark.parametrize(
    ("seed", "devices"), [(0, ["gpu:0", "gpu:1", "cpu:0"]), (1, ["gpu:0", "cpu:0"]), (2, ["cpu:0"])]
)
def test_followed_energy_is_the_headline_of_the_tables(tmp_path: Path, seed: int, devices: list[str]) -> None:
    lines = "".join(one for one in readings(seed, 12.0).splitlines(True) if one.split(",")[0] in devices)
    noise = np.random.default_rng(seed)
    file = tmp_path / "sampler.csv"
    file.write_text(HEADER)
    energy = Following(file, dict.fromkeys(devices, "some"), 1 << 17)
    assert energy.measures
    times = np.sort(noise.uniform(999.5, 1012.5, 300)).tolist()
    times += [float(one.split(",")[2]) for one in lines.splitlines()[::7]]
    known: dict[float, float] = {}
    written = 0
    while written < len(lines):  # in pieces that end anywhere in a line
        piece = lines[written : written + int(noise.integers(1, 4000))]
        with file.open("a") as growing:
            growing.write(piece)
        written += len(piece)
        energy.read()
        for at in times:
            found = energy.energy_j(at)
            if at in known:
                assert found == known[at]  # what is known once does not change
            elif found is not None:
                known[at] = found
    expected = in_the_tables(lines, times, tmp_path)
    assert None in expected
    for at, value in zip(times, expected, strict=True):
        assert known.get(at) == (None if value is None else pytest.approx(value, abs=1e-6))


def test_nothing_is_known_until_every_counter_has_moved_on(tmp_path: Path) -> None:
    file = tmp_path / "sampler.csv"
    file.write_text(HEADER + line("cpu:0", "rapl", 1.0, 0.0) + line("dram:0", "rapl", 1.0, 0.0))
    energy = Following(file, {"cpu:0": "rapl", "dram:0": "rapl"}, 1 << 17)
    assert energy.energy_j(1.0) == 0.0
    with file.open("a") as growing:
        growing.write(line("cpu:0", "rapl", 3.0, 20.0) + line("dram:0", "rapl", 3.0, 0.0))  # polled, not moved
    energy.read()
    assert energy.energy_j(2.0) is None
    with file.open("a") as growing:
        growing.write(line("dram:0", "rapl", 5.0, 4.0))
    energy.read()
    assert energy.energy_j(2.0) == 10.0 + 1.0
    assert energy.energy_j(4.0) is None
    assert energy.energy_j(0.5) is None


def test_a_headline_device_without_a_source_measures_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(HEADER + line("cpu:0", "rapl", 1.0, 0.0) + line("host", "", 1.0, None))
    assert not Following(tmp_path / "s.csv", {"cpu:0": "rapl", "host": None}, 100).measures
    assert Following(tmp_path / "s.csv", {"gpu:0": "nvml_counter", "host": None}, 100).measures
    assert Following(tmp_path / "s.csv", {"cpu:0": "rapl", "host": None}, 100).energy_j(1.0) is None


def test_an_estimate_of_a_processor_that_is_counted_is_not_added(tmp_path: Path) -> None:
    both = (("cpu:0", "rapl", 10.0), ("host", "codecarbon_estimate", 1000.0))
    lines = [line(device, source, at, watts * at) for at in (1.0, 2.0, 3.0) for device, source, watts in both]
    (tmp_path / "s.csv").write_text(HEADER + "".join(lines))
    sources: dict[str, str | None] = {device: source for device, source, _ in both}
    assert Following(tmp_path / "s.csv", sources, 1 << 17).energy_j(2.5) == pytest.approx(25.0)
    assert in_the_tables("".join(lines), [2.5], tmp_path) == [pytest.approx(25.0)]


def test_only_the_end_of_a_long_file_is_looked_at(tmp_path: Path) -> None:
    lines = readings(3, 4.0)
    (tmp_path / "s.csv").write_text(HEADER + lines)
    energy = Following(tmp_path / "s.csv", {"gpu:0": "nvml_counter", "gpu:1": "nvml_counter"}, 5000)
    assert energy.energy_j(1001.0) is None
    assert energy.energy_j(1003.6) == pytest.approx(in_the_tables(lines, [1003.6], tmp_path)[0])


def test_it_costs_less_than_a_thousandth_of_the_time(tmp_path: Path) -> None:
    """A minute of a real H100's polls and iterations, the lines handed over a second's worth at a time."""
    folder = PROJECT / "results/h100/runs/llm-chat/google--gemma-2-2b-it/points/00-b8"
    if not folder.exists():
        pytest.skip("the published records are not here")
    polls = read_parquet(folder / "energy.parquet", ENERGY)
    steps = read_parquet(folder / "iterations.parquet", ITERATIONS)
    seconds = float(steps["end_s"][-1])
    portions: dict[int, list[str]] = {}
    rows: list[tuple[float, int, int, int]] = []
    joules = float(polls["energy_j"][-1])
    for turn in range(int(60 / seconds) + 1):
        for row in polls.filter(pl.col("time_s").is_between(0.0, seconds)).iter_rows(named=True):
            row["time_s"], row["energy_j"] = row["time_s"] + turn * seconds, row["energy_j"] + turn * joules
            fields = ["" if value is None else str(value).lower() for value in row.values()]
            portions.setdefault(int(row["time_s"]), []).append(",".join(fields) + "\n")
        for row in steps.select("end_s", "finished", "output_tokens", "prompt_tokens").iter_rows():
            rows.append((row[0] + turn * seconds, *row[1:]))
    file = tmp_path / "sampler.csv"
    file.write_text(HEADER + "".join(portions[0]))
    energy = Following(file, {"gpu:0": "nvml_counter"}, 1 << 17)
    asked = Adaptive(kind="adaptive", half_width=1e-9, max_seconds=1e6)
    end = AdaptiveEnd(asked, energy, 0.8, turnover=8, fewest=0, block_s=1.0)
    spent_s, finished, second = 0.0, 0, 0
    for end_s, done, outputs, asked_prompts in rows:
        if int(end_s) > second:
            second = int(end_s)
            with file.open("a") as growing:
                growing.write("".join(portions[second - 1] if second > 1 else []))
        finished += done
        began = time.process_time()
        assert not end.over(end_s, finished, outputs, asked_prompts, finished / 8)
        spent_s += time.process_time() - began
    assert len(end._energies_j) > 50
    assert spent_s / rows[-1][0] < 5e-3  # well under 1e-3 on a machine that is not busy
    print(f"{spent_s / rows[-1][0] * 1e3:.3f} ms a second, {len(rows) / rows[-1][0]:.0f} iterations a second")


def test_the_config_knows_the_protocol() -> None:
    given = Sweep.model_validate({"batch_sizes": [1], "protocol": {"kind": "adaptive"}}).protocol
    assert given == Adaptive(
        kind="adaptive", half_width=0.02, confidence=0.95, min_seconds=10.0, max_seconds=120.0, max_requests=None
    )
    for wrong in (
        {"half_width": 0.0},
        {"half_width": 0.5},
        {"confidence": 0.4},
        {"confidence": 1.0},
        {"min_seconds": 0.0},
        {"max_requests": 0},
        {"min_seconds": 20.0, "max_seconds": 10.0},
    ):
        with pytest.raises(ValidationError):
            Adaptive.model_validate({"kind": "adaptive"} | wrong)


@pytest.mark.slow
def test_a_sweep_hands_the_energy_on_and_says_how_each_point_ended(
    tmp_path: Path,
) -> None:
    """With a real sampler, which finds nothing that measures energy."""
    limits = {"min_seconds": 0.1, "max_seconds": 0.3}
    for task, engine in (
        ("llm-chat", Clockwork(World(tmp_path))),
        ("text-to-image", Darkroom(World(tmp_path), 1.0)),
    ):
        folder = tmp_path / task
        folder.mkdir()
        spec = tiny_spec(task, sweep=Sweep(batch_sizes=(1, 3), protocol=protocol(**limits)))
        session = Session(folder, spec, "digest", machine())
        with Sampling.start(("none",), folder) as sampling:
            sweep.Sweep(spec, engine, prompts(), sampling).run(session)
        assert [(one.status, one.ended_by) for one in session.points()] == [("measured", "max_seconds")] * 2
        assert read_point(session.place(1)).duration_s > 0.3


@pytest.mark.slow
def test_a_small_run_ends_when_it_knows_enough(tmp_path: Path) -> None:
    prepare_tiny("llm-chat", tmp_path / "asked.parquet", tmp_path / "model")
    asked = protocol(half_width=0.45, confidence=0.5, min_seconds=1.0, max_seconds=60.0)
    spec = tiny_spec(sweep=Sweep(batch_sizes=(2,), protocol=asked))
    run = measure(spec, tmp_path / "asked.parquet", tmp_path / "model", tmp_path / "run")
    (point,) = run.points
    assert point == read_point(tmp_path / "run" / "points" / "00-b2")
    assert point.ended_by == "precision"
    assert 3.0 < point.duration_s < 60.0
    table, left_out = points([WantedRun(tmp_path / "run", spec, None)])
    assert left_out.is_empty()
    assert table["energy_per_response_j"].item() > 0
