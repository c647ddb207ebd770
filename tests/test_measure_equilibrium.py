"""A start in equilibrium: which requests it finds, what the load makes of them, and what the tables make of that."""

from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from building import prepare_tiny, tiny_spec
from clockwork import Clockwork, ignore
from hypothesis import given
from hypothesis import strategies as st

from joulebench.analysis import latency, lengths, windows
from joulebench.analysis.keyed import KEY
from joulebench.analysis.points import WantedRun, points
from joulebench.config.sweeps import Sweep, Timed
from joulebench.config.tasks import OutputLength
from joulebench.engines import prompts
from joulebench.engines.base import Prepared
from joulebench.errors import UserError
from joulebench.files import RecordError
from joulebench.loads import closed_loop
from joulebench.loads.setting import Setting
from joulebench.measure import text
from joulebench.measure.equilibrium import begun, check, found
from joulebench.measure.run import measure
from joulebench.measure.serving import Load, Serving
from joulebench.measure.text import serve
from joulebench.records.files import sha256s, write_json
from joulebench.records.schemas import ITERATIONS, REQUESTS


def test_equal_steps_along_the_lengths_fall_on_requests_and_ages() -> None:
    # Answers of 4 and 12 tokens end to end are 16; B = 4 are steps of 4: one place in the first, three in the second,
    # their ages 4 apart, and the first request's that of the second's first.
    places = sorted(found([4, 12], 4, seed=0))
    assert [request for request, _ in places] == [0, 1, 1, 1]
    offset = places[0][1]
    assert places == [(0, offset), (1, offset), (1, offset + 4), (1, offset + 8)]
    assert 0 <= offset < 4


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200), st.integers(0, 10), st.integers(1, 4)
)
def test_a_request_is_found_in_proportion_to_its_length(sample: list[int], batch: int, seed: int, repeat: int) -> None:
    places = found(sample, batch, seed, repeat)
    assert len(places) == batch
    assert all(0 <= age < sample[request] for request, age in places)
    times = Counter(request for request, _ in places)
    for request, tokens in enumerate(sample):
        assert abs(times[request] - batch * tokens / sum(sample)) < 1 + 1e-9
    # The mean context is that of a place looked at late, (L^2 - L) / 2 summed over the sum of L, to within a step.
    stationary = sum(tokens * (tokens - 1) / 2 for tokens in sample) / sum(sample)
    assert abs(sum(age for _, age in places) / batch - stationary) <= max(sample)


def test_another_repeat_and_another_batch_are_found_with_others() -> None:
    sample = list(range(1, 40))
    assert found(sample, 8, 0) == found(sample, 8, 0)
    assert len({tuple(found(sample, 8, seed, repeat)) for seed in (0, 1) for repeat in (1, 2)}) == 4


class Begins(Clockwork):
    """Prefills one waiting request a step, so that the places fill one after the other."""

    def with_prompt(self, prepared: Prepared, ids: Sequence[int]) -> Prepared:
        return prompts.with_prompt(prepared, f"9{prepared.prompt}", ids)

    def step(self):  # type: ignore[no-untyped-def]
        waiting, self.waiting = self.waiting, self.waiting[:1]
        step = super().step()
        self.waiting += waiting[1:]
        step.waiting = len(self.waiting)
        return step


def prepared(*tokens: int) -> list[Prepared]:
    return [Prepared(str(number), 10, most, True, [7] * most, [3] * 10) for number, most in enumerate(tokens)]


def loaded(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.2) -> tuple[Begins, pl.DataFrame, pl.DataFrame]:
    """A load of B = 4 over answers of 4 and 12 tokens."""
    ticks = count()
    monkeypatch.setattr(text, "time", SimpleNamespace(monotonic=lambda: next(ticks) / 1000))
    load, engine = Load(0, ITERATIONS, started=0.0), Begins()
    protocol = Timed(kind="timed", seconds=seconds)
    what = Serving(prepared(4, 12), Setting(max_batch_size=4), protocol, start="equilibrium")
    serve(engine, what, load, ignore)
    return engine, *load.tables()


def test_the_first_b_requests_are_begun_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, requests, iterations = loaded(monkeypatch)
    begun, whole = requests.head(4), requests.slice(4)
    expected = found([4, 12], 4, 0)
    assert begun["begun_output_tokens"].to_list() == [age for _, age in expected]
    assert begun["prompt_tokens"].to_list() == [10 + age for _, age in expected]
    assert begun["asked_output_tokens"].to_list() == [(4, 12)[request] - age for request, age in expected]
    assert engine.served[:4] == [90 + request for request, _ in expected]
    assert whole["begun_output_tokens"].null_count() == whole.height > 10
    # As sampled, then in a new order each time round: of two requests, one each in every two.
    assert engine.served[4:6] == [0, 1]
    # The window opens when the fourth has got its first token, and lasts 0.2 s.
    opened_s = iterations.filter(pl.col("first_tokens").cum_sum() >= 4)["end_s"][0]
    assert iterations.filter(pl.col("end_s") <= opened_s)["finished"].sum() <= 2
    assert 0.2 <= iterations["end_s"][-1] - opened_s < 0.22


def test_the_window_opens_when_all_begun_requests_have_their_first_token(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, iterations = loaded(monkeypatch)
    rows = iterations.lazy().with_columns(key=pl.lit(0, KEY))
    of = windows.text_windows(rows, windows.one_size(4, begun=4)).collect().row(0, named=True)
    filled = iterations.filter(pl.col("running") == 4)["end_s"][0]
    fourth = iterations.filter(pl.col("first_tokens").cum_sum() >= 4)["end_s"][0]
    assert fourth <= of["start_s"] < fourth + 0.02  # one was begun at a time, and one has gone meanwhile
    assert of["queue_start_s"] is None
    assert of["end_s"] == iterations["end_s"][-1]
    assert of["no_window"] is None
    cold = windows.text_windows(rows, windows.one_size(4)).collect().row(0, named=True)
    assert cold["queue_start_s"] == filled < cold["start_s"]


#  end, running, waiting, first tokens, finished
SHORT = [
    (1.0, 2, 2, 2, 0),
    (2.0, 4, 1, 2, 1),
    (3.0, 3, 9, 1, 1),
    (4.0, 3, 9, 1, 1),
    (6.0, 4, 9, 1, 1),
    (7.0, 3, 9, 1, 1),
]
"""B = 4: the last begins at 2 s, when one has gone."""
ENDED = [
    (1.0, 4, 2, 3, 3),
    (2.0, 4, 1, 1, 0),
    (3.0, 3, 9, 1, 2),
    (4.0, 3, 9, 1, 1),
    (6.0, 4, 9, 1, 1),
    (7.0, 3, 9, 1, 1),
]
"""Three of four have gone when the last begins: four more, the most that ran, have at 6 s."""
NARROW = [
    (1.0, 3, 1, 3, 0),
    (2.0, 3, 1, 1, 1),
    (3.0, 3, 9, 1, 1),
    (4.0, 3, 9, 1, 2),
    (6.0, 3, 9, 1, 1),
    (7.0, 3, 9, 1, 1),
]
"""Memory holds three: three more have finished at 4 s."""


@pytest.mark.parametrize(("rows", "opens_s"), [(SHORT, 2.0), (ENDED, 6.0), (NARROW, 4.0)])
def test_when_the_load_is_stationary(rows: list[tuple[int, ...]], opens_s: float) -> None:
    steps = pl.DataFrame(rows, schema=["end_s", "running", "waiting", "first_tokens", "finished"], orient="row")
    keyed = steps.lazy().with_columns(key=pl.lit(0, KEY))
    of = windows.text_windows(keyed, windows.one_size(4, begun=4)).collect().row(0, named=True)
    assert (of["start_s"], of["end_s"], of["queue_start_s"]) == (opens_s, 7.0, None)
    opening = closed_loop.Opening(4)
    told = [opening.towards(running, first, finished) for _, running, _, first, finished in rows]
    assert told == sorted(told)
    assert next(row[0] for row, towards in zip(rows, told, strict=True) if towards >= 1) == opens_s


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_load_and_the_tables_open_at_the_same_iteration(steps: list[tuple[int, int, int]]) -> None:
    rows = [(float(place + 1), running, 9, first, done) for place, (running, first, done) in enumerate(steps)]
    frame = pl.LazyFrame(rows, schema=["end_s", "running", "waiting", "first_tokens", "finished"], orient="row")
    frame = frame.cast({"running": pl.Int32, "first_tokens": pl.Int32, "finished": pl.Int32})
    of = windows.text_windows(frame.with_columns(key=pl.lit(0, KEY)), windows.one_size(8, begun=8)).collect()
    opening = closed_loop.Opening(8)
    told = [end for end, running, _, first, done in rows if opening.towards(running, first, done) >= 1]
    # The window's start is where it opened, unless nothing is left of it.
    assert of["start_s"].to_list() == [told[0] if told and told[0] < rows[-1][0] else None]


def test_memory_that_holds_fewer_than_the_batch_is_overloaded() -> None:
    rows = [(0, place, float(place + 1), 3, 5, 9, 3, first, done, 0, 0.5, None) for place, (first, done) in enumerate(
        [(3, 0), (1, 1), (1, 1), (1, 2), (1, 1), (1, 1)]
    )]  # fmt: skip
    steps = pl.DataFrame(rows, schema=ITERATIONS, orient="row")
    assert closed_loop.overloaded(steps, 4, begun=4) == (True, 3.0)
    assert closed_loop.overloaded(steps.with_columns(running=pl.lit(4, pl.Int32)), 4, begun=4) == (False, 4.0)
    empty = pl.when(pl.col("iteration") % 2 == 1).then(0).otherwise(4).cast(pl.Int32)
    assert closed_loop.overloaded(steps.with_columns(running=empty), 4, begun=4) == (False, 4.0)  # limited by no memory


def test_a_point_that_ends_before_all_have_begun_has_no_window() -> None:
    rows = [(1.0, 1, 3, 1, 0), (2.0, 2, 2, 1, 0), (3.0, 2, 2, 0, 0)]
    steps = pl.LazyFrame(rows, schema=["end_s", "running", "waiting", "first_tokens", "finished"], orient="row")
    steps = steps.with_columns(key=pl.lit(0, KEY))
    of = windows.text_windows(steps, windows.one_size(4, begun=4)).collect().row(0, named=True)
    assert of["start_s"] is None
    assert (
        of["no_window"] == "no stationary window: 2 of 4 requests begun in the middle got their first token, 0 finished"
    )


#   prompt, output, submitted, admitted, first output, finished, status, asked, begun
SERVED = [
    (15, 4, 0.0, 0.0, 1.0, 5.0, "finished", 4, 5),
    (12, 9, 0.0, 0.0, 1.0, 9.0, "finished", 9, 2),
    (10, 3, 2.0, 2.0, 3.0, 7.0, "finished", 3, None),
    (20, 5, 5.0, 6.0, 7.0, 11.0, "finished", 5, None),
    (30, None, 11.0, 11.5, None, None, "aborted", 9, None),
]


def served(rows: list[tuple[object, ...]] = SERVED) -> pl.DataFrame:
    table = [(0, number, *row) for number, row in enumerate(rows)]
    return pl.DataFrame(table, schema=REQUESTS, orient="row").with_columns(key=pl.lit(0, KEY))


def test_latencies_of_a_start_in_equilibrium() -> None:
    window = pl.DataFrame({"key": [0], "start_s": [1.0], "end_s": [12.0]}, schema_overrides={"key": KEY})
    of = latency.request_latency(served(), window).row(0, named=True)
    # First outputs of the two whole requests: 1 s after their admission.
    assert (of["ttft_p50_s"], of["ttft_told"]) == (1.0, 2)
    # Per token: (7-3)/2 and (11-7)/4; what was begun got its first token before the window.
    assert (of["tpot_p50_s"], of["tpot_p99_s"]) == (1.0, 2.0)
    # Until 9 s one of those that were begun is in flight: the request that finished at 11 s alone, after 6 s.
    assert of["latency_p50_s"] == of["latency_p99_s"] == 6.0


def test_no_latency_while_one_that_was_begun_is_in_flight() -> None:
    window = pl.DataFrame({"key": [0], "start_s": [1.0], "end_s": [12.0]}, schema_overrides={"key": KEY})
    left = (12, None, 0.0, 0.0, 1.0, None, "aborted", 90, 2)
    of = latency.request_latency(served([*SERVED, left]), window).row(0, named=True)
    assert of["latency_p50_s"] is None
    assert of["tpot_p50_s"] == 1.0  # of the whole ones


def test_lengths_are_of_whole_requests() -> None:
    of = lengths.mean_lengths(served().lazy()).collect().row(0, named=True)
    assert (of["mean_prompt_tokens"], of["mean_output_tokens"]) == ((10 + 20 + 30) / 3, (3 + 5 + 9) / 3)


TIMED = Timed(kind="timed", seconds=1)


@pytest.mark.parametrize(
    ("start", "natural", "whole_batches", "can"),
    [
        ("cold", False, False, True),
        ("cold", True, True, True),
        ("equilibrium", False, False, True),
        ("equilibrium", True, False, False),
        ("equilibrium", False, True, False),
    ],
)
def test_a_start_in_equilibrium_takes_lengths_and_single_requests(
    start: str, natural: bool, whole_batches: bool, can: bool
) -> None:
    sweep = Sweep.model_validate({"batch_sizes": [4], "protocol": TIMED.model_dump(), "start": start})
    requests = [Prepared("a", 3, 9)] if natural else prepared(4, 12)
    if can:
        check(sweep, requests, whole_batches)
    else:
        with pytest.raises(UserError, match=r"sweep.start is equilibrium, which takes answers of given lengths"):
            check(sweep, requests, whole_batches)


def test_fixed_counts_whole_requests() -> None:
    asked = {"batch_sizes": [4], "protocol": {"kind": "fixed", "requests": 9}, "start": "equilibrium"}
    with pytest.raises(ValueError, match="fixed counts whole requests; set start: cold"):
        Sweep.model_validate(asked)


def words(text: str, add_special_tokens: bool = True) -> SimpleNamespace:
    """A tokenizer: a token a word."""
    return SimpleNamespace(input_ids=[int(word) for word in text.split()])


@pytest.mark.parametrize(
    ("kind", "tokens", "reference", "answer"),
    [
        ("reference", 9, "1 2 3", [1, 2, 3]),
        ("reference", 2, "1 2 3", [1, 2]),
        ("reference", 9, "", [8]),  # an empty answer is one token, of the prompt
        ("fixed", 5, "1 2 3", [1, 2, 3, 1, 2]),
        ("fixed", 3, None, [8, 9, 8]),
        ("natural", 4, "1 2 3", []),
    ],
)
def test_what_stands_behind_the_prompt(kind: str, tokens: int, reference: str | None, answer: list[int]) -> None:
    length = OutputLength.model_validate({"kind": kind, "tokens": tokens})
    one = prompts.prepared("8 9", [8, 9], length, reference, words)
    assert list(one.answer) == answer
    assert one.max_output_tokens == (len(answer) or tokens)
    assert one.ignore_end == (kind != "natural")
    if len(answer) > 1:
        aged = begun(Begins(), one, 1)
        assert (aged.prompt, list(aged.ids)) == ("98 9", [8, 9, answer[0]])
        assert (aged.prompt_tokens, aged.max_output_tokens) == (3, len(answer) - 1)


def test_a_cold_start_is_the_default_and_in_no_hash() -> None:
    assert Sweep(batch_sizes=(4,), protocol=TIMED).start == "cold"
    asked = Sweep(batch_sizes=(4,), protocol=TIMED, start="cold")
    assert "start" not in asked.model_dump(exclude_defaults=True)
    assert "start" in asked.model_copy(update={"start": "equilibrium"}).model_dump(exclude_defaults=True)


@pytest.mark.slow
def test_a_small_run_that_starts_in_equilibrium_is_measured_whole(tmp_path: Path) -> None:
    prepare_tiny("llm-chat", tmp_path / "asked.parquet", tmp_path / "model")
    sweep = Sweep(batch_sizes=(1, 4), protocol=Timed(kind="timed", seconds=2.0), start="equilibrium")
    spec = tiny_spec(sweep=sweep)
    run = measure(spec, tmp_path / "asked.parquet", tmp_path / "model", tmp_path / "run")
    assert [(one.status, one.start) for one in run.points] == [("measured", "equilibrium")] * 2
    table, left_out = points([WantedRun(tmp_path / "run", spec, None)])
    assert left_out.is_empty()
    assert table["start"].to_list() == ["equilibrium"] * 2
    assert table["window"].to_list() == ["stationary"] * 2
    assert table["queue_energy_per_output_token_j"].null_count() == 2
    # Another start than the records tell of, or fewer begun, is another's.
    file = tmp_path / "run" / "points" / "01-b4" / "requests.parquet"
    rows = pl.read_parquet(file)
    first = pl.col("request") > 0
    rows.with_columns(begun_output_tokens=pl.when(first).then("begun_output_tokens")).write_parquet(file)
    record = run.model_copy(update={"points_sha256": run.points_sha256 | {"01-b4": sha256s(file.parent)}})
    write_json(record, tmp_path / "run" / "run.json")
    with pytest.raises(RecordError, match=r"01-b4/requests.parquet: 3 requests have begun_output_tokens"):
        points([WantedRun(tmp_path / "run", spec, None)])
