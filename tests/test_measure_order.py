"""In which order a run and its repeats serve the same sampled requests."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from building import machine, tiny_spec

from joulebench.config import sweeps
from joulebench.engines.base import Prepared, Step, Times
from joulebench.measure.serving import serving_order
from joulebench.measure.session import Session
from joulebench.measure.sweep import Sweep
from joulebench.meters.sampling import Sampling

AS_EVER = [0, 1, 2, 3, 4, 5, 3, 0, 2, 1, 4, 5, 2, 3, 0]
"""Fifteen of six requests under seed 7, as served when the first records were published."""
PROMPTS = [Prepared(str(number), prompt_tokens=5, max_output_tokens=1) for number in range(6)]


class Noting:
    """Serves at once, as a text engine or a pipeline, and notes what it was given."""

    whole_batches = False

    def __init__(self) -> None:
        self.served: list[int] = []
        self.new: list[int] = []
        self.arguments: dict[str, object] = {}

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        raise NotImplementedError

    def submit(self, request: int, prepared: Prepared) -> None:
        self.new.append(request)
        self.served.append(int(str(prepared.prompt)))

    def step(self) -> Step:
        new, self.new = self.new, []
        done = Step(running=len(new), waiting=0, admitted=new, first_output=new, finished=dict.fromkeys(new, 1))
        done.output_tokens = done.first_tokens = len(new)
        return done

    def abort(self) -> dict[int, Times]:
        self.new.clear()
        return {}

    def generate(self, batch: Sequence[Prepared]) -> int:
        self.served += [int(str(one.prompt)) for one in batch]
        return 1

    def close(self) -> None:
        pass


def served(task: str, repeat: int, folder: Path) -> list[int]:
    """The sampled requests in the order in which a run of one point, B = 2, serves eighteen of them."""
    sweep = sweeps.Sweep(batch_sizes=(2,), protocol=sweeps.Fixed(kind="fixed", requests=18), warmup_batches=0)
    spec = tiny_spec(task, repeat, sweep=sweep)
    engine = Noting()
    folder.mkdir()
    with Sampling.start(("none",), folder) as sampling:
        sweep_of = Sweep(spec, engine, PROMPTS, sampling)
        sweep_of.make_ready()
        sweep_of.run(Session(folder, spec, "digest", machine()))
    return engine.served[1:] if task == "llm-chat" else engine.served  # the first one of a text task warms up


def test_the_first_run_serves_as_it_always_did() -> None:
    assert list(serving_order(6, 15, seed=7)) == AS_EVER
    assert list(serving_order(6, 15, seed=7, repeat=1)) == AS_EVER


@pytest.mark.parametrize("repeat", [2, 3, 10])
def test_a_repeat_serves_the_same_requests_in_other_orders(repeat: int) -> None:
    found = list(serving_order(40, 120, seed=7, repeat=repeat))
    turns = [found[:40], found[40:80], found[80:]]
    first = list(serving_order(40, 120, seed=7))
    assert all(sorted(turn) == list(range(40)) for turn in turns)
    others = [turns[0], turns[1], turns[2], first[:40], first[40:80], first[80:]]
    others += [list(serving_order(40, 40, seed=7, repeat=another)) for another in (4, 5)]
    others += [list(serving_order(40, 40, seed=8, repeat=repeat))]
    assert len({tuple(turn) for turn in others}) == len(others)
    assert found == list(serving_order(40, 120, seed=7, repeat=repeat))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["llm-chat", "text-to-image"])
def test_a_runs_repeat_goes_from_its_spec_to_the_engine(task: str, tmp_path: Path) -> None:
    first, second, again = (
        served(task, repeat, tmp_path / name) for name, repeat in zip("abc", (1, 2, 2), strict=True)
    )
    assert first[:6] == [0, 1, 2, 3, 4, 5]
    assert sorted(first) == sorted(second) == sorted([*range(6)] * 3)
    assert second[:6] != first[:6]
    assert second[6:] != first[6:]
    assert second == again
