"""The power of one point over its time: a small recording worked out by hand, and the H100's published records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import PROJECT, best_row, example_spec, point_record, table_of, write_point, write_run

from joulebench.analysis import trace as tracing
from joulebench.analysis.points import WantedRun
from joulebench.analysis.trace import chosen, trace
from joulebench.files import RecordError
from joulebench.inputs.yaml_files import read_yaml
from joulebench.plan import plan
from joulebench.records.schemas import BATCHES, ENERGY, ITERATIONS, REQUESTS
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import LEADERBOARD, TRACE

TWO = {"batch_sizes": [1, 2], "protocol": {"kind": "fixed", "requests": 8}}
# end_s, running, waiting, finished
STEPS = [
    (1.0, 1, 3, 0),
    (2.0, 2, 2, 0),  # the batch of two is full: the queue window opens
    (3.0, 2, 2, 1),
    (4.0, 2, 1, 1),  # two have finished: the stationary window opens
    (6.0, 2, 1, 1),  # the last with a request waiting: both close
    (7.0, 1, 0, 1),
    (8.0, 1, 0, 1),
]
# The counter moves once a second, by 100 J until 3.5 s, by 200 J until 6.5 s, then by 50 J.
COUNTER = {0.5: 100, 1.5: 200, 2.5: 300, 3.5: 400, 4.5: 600, 5.5: 800, 6.5: 1000, 7.5: 1050, 8.5: 1100}
EXPECTED = [
    # start_s, end_s, power_w, running, window
    (0.5, 1.5, 100, None, "ramp"),  # nothing is known of the running batch before the first step has ended
    (1.5, 2.0, 100, 2, "ramp"),
    (2.0, 2.5, 100, 2, "queue"),
    (2.5, 3.5, 100, 2, "queue"),
    (3.5, 4.0, 200, 2, "queue"),
    (4.0, 4.5, 200, 2, "stationary"),
    (4.5, 5.5, 200, 2, "stationary"),
    (5.5, 6.0, 200, 2, "stationary"),
    (6.0, 6.5, 200, 1, "drain"),
    (6.5, 7.5, 50, 1, "drain"),
    (7.5, 8.0, 50, 1, "drain"),
    (8.0, 8.5, 50, None, None),
]


def polls(device: str = "gpu:0", share: float = 1.0, until_s: float = 8.5) -> list[dict[str, Any]]:
    """Four looks a second from -0.5 s on, where the counter stood at 60 J: not an update of it."""
    found = []
    for time in (-0.5 + 0.25 * look for look in range(int(4 * until_s) + 3)):
        counted = max((joules for moved, joules in COUNTER.items() if moved <= time), default=60)
        found.append({"device": device, "source": "nvml_counter", "time_s": time, "energy_j": share * counted})
    return found


def steps(rows: Sequence[tuple[float, int, int, int]] = STEPS) -> pl.DataFrame:
    full = [(1, i, end, run, wait, 0, 2, 0, done, 0, 0.5, None) for i, (end, run, wait, done) in enumerate(rows)]
    return pl.DataFrame(full, schema=ITERATIONS, orient="row")


def wanted(folder: Path, iterations: pl.DataFrame, energy: list[dict[str, Any]], **changes: Any) -> WantedRun:
    """A run folder whose second point, B = 2, has these records."""
    ended = [point_record(i + 1, point=i, duration_s=9) for i in range(2)]
    frames = {"requests": REQUESTS.to_frame(), "iterations": iterations, "energy": pl.DataFrame(energy, schema=ENERGY)}
    write_point(folder, ended[1], frames)
    spec = example_spec(**{"output_length": {"kind": "fixed", "tokens": 100}, "sweep": TWO} | changes)
    return write_run(folder, spec, *ended)


def board(*rows: dict[str, Any]) -> pl.DataFrame:
    first = best_row(rank=1, model="example/one", tdp_w=700.0, max_batch_size=2, setting="b2")
    return table_of(LEADERBOARD, *(first | row for row in rows or ({},)))


def rows_of(table: pl.DataFrame) -> list[tuple[Any, ...]]:
    return table.select("start_s", "end_s", "power_w", "running", "window").rows()


def test_stretches_lie_between_updates_and_are_cut_where_a_window_ends(tmp_path: Path) -> None:
    table = trace(board(), [wanted(tmp_path, steps(), polls())])
    assert table.schema == TRACE
    for found, expected in zip(rows_of(table), EXPECTED, strict=True):
        assert found[:3] == pytest.approx(expected[:3])
        assert found[3:] == expected[3:]
    facts = table.select("task", "model", "variant", "hardware", "max_batch_size", "device", "energy_source", "tdp_w")
    assert facts.unique().rows() == [
        ("llm-chat", "example/one", None, "h100", 2, "gpu:0", "nvml_counter", 700.0),
    ]


def test_each_device_of_the_headline_has_its_own_stretches(tmp_path: Path) -> None:
    energy = [*polls("gpu:1", 0.5), *polls("cpu:0", 3.0), *polls("gpu:0")]
    table = trace(board(), [wanted(tmp_path, steps(), energy)])
    assert table["device"].to_list() == ["gpu:0"] * len(EXPECTED) + ["gpu:1"] * len(EXPECTED)
    assert table.filter(pl.col("device") == "gpu:1")["power_w"].to_list() == pytest.approx(
        [power / 2 for _, _, power, _, _ in EXPECTED]
    )


def test_with_very_many_updates_a_stretch_is_of_whole_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_ROWS", 3)
    table = trace(board(), [wanted(tmp_path, steps(), polls())])
    # Eight stretches between nine updates, by three: 0.5 to 3.5 (100 W), to 6.5 (200 W), to the last (50 W).
    known: list[tuple[float, float, int, str | None]]
    known = [(0.5, 2.0, 100, "ramp"), (2.0, 3.5, 100, "queue"), (3.5, 4.0, 200, "queue"), (4.0, 6.0, 200, "stationary")]
    known += [(6.0, 6.5, 200, "drain"), (6.5, 8.0, 50, "drain"), (8.0, 8.5, 50, None)]
    found = table.select("start_s", "end_s", "power_w", "window").rows()
    assert [row[:3] for row in found] == [pytest.approx(row[:3]) for row in known]
    assert [row[3] for row in found] == [row[3] for row in known]


def test_without_a_turnover_the_queue_window_is_whole(tmp_path: Path) -> None:
    unfinished = steps([(end, running, waiting, 0) for end, running, waiting, _ in STEPS])
    table = trace(board(), [wanted(tmp_path, unfinished, polls())])
    bounds = table.group_by("window", maintain_order=True).agg(pl.col("start_s").min(), pl.col("end_s").max())
    assert bounds.rows()[:3] == [("ramp", 0.5, 2.0), ("queue", 2.0, 6.0), ("drain", 6.0, 8.0)]


def test_batches_of_diffusion(tmp_path: Path) -> None:
    batches = [(1, 0, 0.5, 3.0, 2, 20, True), (1, 1, 3.5, 6.0, 2, 20, False), (1, 2, 6.0, 8.0, 2, 20, False)]
    iterations = pl.DataFrame(batches, schema=BATCHES, orient="row")
    one = wanted(tmp_path, iterations, polls(), task="text-to-image", output_length=None)
    table = trace(board({"task": "text-to-image"}), [one])
    bounds = table.group_by("window", maintain_order=True).agg(pl.col("start_s").min(), pl.col("end_s").max())
    assert bounds.rows() == [("warm-up", 0.5, 3.5), ("batches", 3.5, 8.0), (None, 8.0, 8.5)]
    # Between 2.5 and 3.5 the batch of two ran until 3.0; from then on nothing did.
    running = {row[:2]: row[3] for row in rows_of(table)}
    assert running[2.5, 3.5] == pytest.approx(1)
    assert running[3.5, 4.5] == pytest.approx(2)
    assert running[8.0, 8.5] is None


def test_the_point_is_the_first_in_rank_of_a_task_of_text() -> None:
    image, second = {"task": "text-to-image", "model": "a/image"}, {"rank": 2, "model": "a/second"}
    code = {"task": "llm-code", "model": "a/code"}
    for rows, model in (
        ((image, second, code, {}), "example/one"),
        ((image, second, code), "a/code"),
        ((image, {"rank": None}), "a/image"),
    ):
        row = chosen(board(*rows))
        assert row is not None
        assert row["model"] == model


def test_where_nothing_is_ranked_the_table_is_empty(tmp_path: Path) -> None:
    one = wanted(tmp_path, steps(), polls())
    for leaderboard in (board({"rank": None}), board().clear()):
        table = trace(leaderboard, [one])
        assert table.is_empty()
        assert table.schema == TRACE


def test_the_first_repeat_that_the_tables_took_is_traced(tmp_path: Path) -> None:
    other = wanted(tmp_path / "1", steps(), polls(share=7.0))
    second = wanted(tmp_path / "2", steps(), polls(), repeat=2)
    third = wanted(tmp_path / "3", steps(), polls(share=9.0), repeat=3)
    taken = WantedRun(other.folder, other.spec.model_copy(update={"dtype": "float16"}), None)
    table = trace(board(), [third, taken, second])
    assert table["power_w"][0] == pytest.approx(100)
    with pytest.raises(RecordError, match=r"llm-chat example/one: no run of the config holds its point b2.*forcerun"):
        trace(board(), [taken])


@pytest.mark.parametrize("task", ["llm-chat", "llm-code", "text-to-image", "text-to-video"])
def test_on_the_h100_the_mean_of_a_window_is_the_power_in_points_csv(task: str) -> None:
    leaderboard = read_csv(PROJECT / "results/h100/leaderboard.csv", LEADERBOARD)
    row = leaderboard.filter((pl.col("task") == task) & (pl.col("rank") == 1))
    measured = plan(read_yaml(PROJECT / "config.yaml", "config"))
    runs = [WantedRun(PROJECT / cell.folder, measured.spec(cell), None) for cell in measured.cells("h100")]
    table = trace(row, runs)
    assert 100 < table.height <= tracing.MOST_ROWS + 10
    window = table.filter(pl.col("window").is_in(["stationary", "batches"]))
    seconds = pl.col("end_s") - pl.col("start_s")
    lasted, power, running = window.select(
        seconds.sum(),
        power=(pl.col("power_w") * seconds).sum() / seconds.sum(),
        running=(pl.col("running") * seconds).sum() / seconds.sum(),
    ).row(0)
    assert lasted == pytest.approx(row["window_s"][0], rel=1e-5)
    assert power == pytest.approx(row["power_w"][0], rel=1e-5)
    assert running == pytest.approx(row["mean_batch_size"][0], rel=1e-4)
