"""The loads, against engines whose every step is known beforehand."""

from collections.abc import Sequence
from itertools import count
from types import SimpleNamespace

import polars as pl
import pytest
from clockwork import Clockwork, ignore, prompts

from joulebench.config.sweeps import Fixed, Timed
from joulebench.engines.base import Prepared, Step, Times
from joulebench.loads.setting import Setting
from joulebench.measure import text
from joulebench.measure.diffusion import batches
from joulebench.measure.serving import Load, Request, Serving, serving_order
from joulebench.measure.text import serve
from joulebench.records.schemas import BATCHES, ITERATIONS


def test_closed_loop_keeps_b_in_flight_until_the_queue_is_empty() -> None:
    load = Load(0, ITERATIONS)
    serve(Clockwork(), Serving(prompts(7), Setting(max_batch_size=2), Fixed(kind="fixed", requests=7)), load, ignore)
    requests, iterations = load.tables()
    # Three steps a pair; the seventh request runs alone at the end.
    assert iterations["running"].to_list() == [2] * 9 + [1] * 3
    # Seven in all, less those admitted: five wait while the first two run, and so on.
    assert iterations["waiting"].to_list() == [5] * 3 + [3] * 3 + [1] * 3 + [0] * 3
    assert iterations["prompt_tokens"].to_list() == [20, 0, 0, 20, 0, 0, 20, 0, 0, 10, 0, 0]
    assert iterations["first_tokens"].to_list() == [2, 0, 0, 2, 0, 0, 2, 0, 0, 1, 0, 0]
    assert iterations["finished"].to_list() == [0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 1]
    assert iterations["output_tokens"].sum() == 7 * 3
    assert requests["status"].to_list() == ["finished"] * 7
    order = requests.select(
        (pl.col("submitted_s") <= pl.col("admitted_s")).all().alias("admission"),
        (pl.col("admitted_s") <= pl.col("first_output_s")).all().alias("first"),
        (pl.col("first_output_s") <= pl.col("finished_s")).all().alias("last"),
    )
    assert order.row(0) == (True, True, True)
    assert requests["finished_s"].max() == iterations["end_s"].max()


def test_a_full_engine_shows_fewer_running_than_asked_for() -> None:
    load = Load(0, ITERATIONS)
    serve(
        Clockwork(seats=3),
        Serving(prompts(8), Setting(max_batch_size=8), Fixed(kind="fixed", requests=8)),
        load,
        ignore,
    )
    assert load.tables()[1]["running"].max() == 3


def test_timed_ends_after_a_turnover_and_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks) / 1000)  # a millisecond passes between two looks at it
    monkeypatch.setattr(text, "time", clock)
    load = Load(0, ITERATIONS, started=0.0)
    engine = Clockwork()
    serve(engine, Serving(prompts(3), Setting(max_batch_size=4), Timed(kind="timed", seconds=0.05)), load, ignore)
    requests, iterations = load.tables()
    turnover = iterations.filter(pl.col("finished").cum_sum() >= 4)["end_s"][0]
    # An iteration is two looks, and one more for each of the up to four requests that it lets in.
    assert 0.05 <= iterations["end_s"][-1] - turnover < 0.05 + 0.007
    assert iterations["waiting"].min() > 0
    assert set(requests["status"]) <= {"finished", "aborted"}
    assert requests.filter(pl.col("status") == "aborted")["finished_s"].null_count() <= 4
    assert engine.left == {}


class Locked(Clockwork):
    """A text engine of whole batches: nobody is let in before all are done."""

    whole_batches = True

    def step(self) -> Step:
        assert not (self.waiting and self.left)
        return super().step()


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(("asked", "batches"), [(None, 4), (2, 4), (10, 11)])
def test_timed_ends_between_batches_where_an_engine_serves_whole_ones(
    batch: int, asked: int | None, batches: int
) -> None:
    """The seconds are over at the first look: three batches, or as many as are asked for beyond that, are served after
    the turnover, each to its end."""
    load = Load(0, ITERATIONS)
    protocol = Timed(kind="timed", seconds=1e-9, min_batches=asked)
    serve(Locked(), Serving(prompts(3, tokens=5), Setting(max_batch_size=batch), protocol), load, ignore)
    requests, iterations = load.tables()
    assert iterations["finished"].to_list() == [0, 0, 0, 0, batch] * batches
    assert requests["status"].to_list() == ["finished"] * batches * batch


def test_a_failed_request_ends_the_point_with_its_reason() -> None:
    load = Load(0, ITERATIONS)
    serve(
        Clockwork(fails=1),
        Serving(prompts(4), Setting(max_batch_size=2), Fixed(kind="fixed", requests=4)),
        load,
        ignore,
    )
    assert load.failure == "request 1 failed: its seat broke"
    assert load.tables()[0]["status"].to_list()[1] == "failed"


def test_requests_repeat_in_a_seeded_order() -> None:
    once = list(serving_order(5, 5, seed=3))
    thrice = list(serving_order(5, 13, seed=3))
    assert once == [0, 1, 2, 3, 4] == thrice[:5]
    assert sorted(thrice[5:10]) == [0, 1, 2, 3, 4]
    assert len(thrice) == 13
    assert thrice == list(serving_order(5, 13, seed=3))
    assert thrice != list(serving_order(5, 13, seed=4))


class Darkroom:
    """A diffusion engine that notes the batches it was given."""

    def __init__(self, breaks_at: int = 1000) -> None:
        self.batches: list[list[str]] = []
        self.breaks_at = breaks_at

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        raise NotImplementedError

    def generate(self, batch: Sequence[Prepared]) -> int:
        if len(self.batches) == self.breaks_at:
            raise RuntimeError("the lamp broke")
        self.batches.append([str(one.prompt) for one in batch])
        return 25

    def close(self) -> None:
        pass


def test_batches_back_to_back_after_the_warm_up() -> None:
    load, engine = Load(2, BATCHES), Darkroom()
    protocol = Fixed(kind="fixed", requests=10)
    batches(engine, Serving(prompts(6), Setting(max_batch_size=4), protocol, warmup_batches=1), load, ignore)
    requests, iterations = load.tables()
    # Ten images in batches of four take three, after one to warm up.
    assert [len(batch) for batch in engine.batches] == [4, 4, 4, 4]
    assert iterations["warmup"].to_list() == [True, False, False, False]
    assert iterations["outputs"].to_list() == [4] * 4
    assert iterations["denoising_steps"].to_list() == [25] * 4
    assert (iterations["start_s"] <= iterations["end_s"]).all()
    assert iterations["point"].to_list() == [2] * 4
    assert requests.height == 16


def test_what_a_broken_batch_left_is_kept() -> None:
    load = Load(0, BATCHES)
    what = Serving(prompts(6), Setting(max_batch_size=2), Fixed(kind="fixed", requests=10), warmup_batches=1)
    with pytest.raises(RuntimeError, match="the lamp broke"):
        batches(Darkroom(breaks_at=2), what, load, ignore)
    requests, iterations = load.tables()
    assert iterations.height == 2
    assert requests["status"].to_list() == ["finished"] * 4 + ["aborted"] * 2


def test_the_first_output_of_what_is_aborted_is_recorded() -> None:
    """vLLM tells it when a request is dropped, and not before: request 1 had one, request 2 was not admitted."""

    class Late(Clockwork):
        def abort(self) -> dict[int, Times]:
            super().abort()
            return {1: Times(11.0, 12.5, None), 2: Times(None, None, None)}

    load = Load(0, ITERATIONS, started=10.0)
    load.requests = [Request(prompt_tokens=10, submitted=10.0) for _ in range(3)]
    serve(Late(), Serving(prompts(1), Setting(max_batch_size=1), Fixed(kind="fixed", requests=1)), load, ignore)
    requests = load.tables()[0][:3]
    assert requests["admitted_s"].to_list() == [None, 1.0, None]
    assert requests["first_output_s"].to_list() == [None, 2.5, None]
    assert requests["status"].to_list() == ["aborted"] * 3


def test_a_point_that_tells_the_samples_lengths_answers_all_of_it() -> None:
    def served(whole_sample: bool) -> pl.DataFrame:
        lengths = [*prompts(5, tokens=2), *prompts(1, tokens=40)]
        load = Load(0, ITERATIONS)
        protocol = Timed(kind="timed", seconds=1e-9)
        serve(
            Clockwork(), Serving(lengths, Setting(max_batch_size=2), protocol, whole_sample=whole_sample), load, ignore
        )
        return load.tables()[0]

    assert served(False)["status"].head(6).to_list().count("finished") < 6
    assert served(True)["status"].head(6).to_list() == ["finished"] * 6


def test_a_point_of_fewer_requests_than_the_sample_ends_with_them() -> None:
    load = Load(0, ITERATIONS)
    protocol = Fixed(kind="fixed", requests=3)
    serve(Clockwork(), Serving(prompts(5), Setting(max_batch_size=2), protocol, whole_sample=True), load, ignore)
    assert load.tables()[0]["status"].to_list() == ["finished"] * 3


def test_whoever_watches_is_told_that_the_rest_of_the_sample_is_answered() -> None:
    """Two places, answers of 2 tokens, the last of 40: from the turnover on, all but it are answered."""
    lengths, seen = [*prompts(5, tokens=2), *prompts(1, tokens=40)], []
    what = Serving(lengths, Setting(max_batch_size=2), Timed(kind="timed", seconds=1e-9), whole_sample=True)
    serve(Clockwork(), what, Load(0, ITERATIONS), seen.append)
    told = [one.answered for one in seen if one.answered is not None]
    assert seen[0].answered is None
    assert told == sorted(told)
    assert told[-1] == 5
    assert {one.sample for one in seen} == {6}
    assert seen[-1].answered is None
