"""Records that do not belong together are refused by name, in one line: every damage on a run that is whole without."""

import json
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import points as made_up  # benchmarks/points.py: the records of a closed loop
import polars as pl
import pytest
from building import RESULTS

from joulebench.analysis.points import WantedRun, points
from joulebench.config.spec import RunSpec
from joulebench.files import RecordError
from joulebench.records.files import read_run, sha256s
from joulebench.records.models import point_folder
from joulebench.records.schemas import POINT_FILES

PUBLISHED = RESULTS / "h100" / "runs"
TEXT, DIFFUSION = "llm-chat/made-up", "text-to-image/stabilityai--stable-diffusion-2-1"
SECOND = {TEXT: "01-b16", DIFFUSION: "01-b2"}

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A made-up run of text and a published one of pictures, both of an earlier version: without checksums."""
    root = tmp_path_factory.mktemp("whole")
    text = made_up.generate(root, 0, made_up.spec(0, (8, 16)), iterations=1500)
    without_sums(text)
    return {TEXT: text, DIFFUSION: PUBLISHED / DIFFUSION}


def without_sums(folder: Path) -> None:
    edited(folder / "run.json", lambda run: run.pop("points_sha256", None))


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def copied(whole: dict[str, Path], name: str, folder: Path) -> WantedRun:
    shutil.copytree(whole[name], folder / "run")
    return WantedRun(folder / "run", RunSpec.model_validate(read_run(whole[name]).spec), None)


def refusal(wanted: WantedRun) -> str:
    """What people read: one line, with the way out."""
    with pytest.raises(RecordError) as caught:
        points([wanted])
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith("; delete the run's folder and run again, or restore it from where it was published")
    return said.removeprefix(f"{wanted.folder}/")


def refused(wanted: WantedRun) -> str | None:
    try:
        points([wanted])
    except RecordError as error:
        return str(error)
    return None


def col(name: str) -> pl.Expr:
    return pl.col(name)


def where(condition: pl.Expr, column: str, value: Any) -> Change:
    """`value` in the first row where `condition` holds."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        first = condition & (condition.cast(pl.Int32).cum_sum() == 1)
        changed = pl.when(first).then(value if isinstance(value, pl.Expr) else pl.lit(value)).otherwise(column)
        return frame.with_columns(changed.cast(frame.schema[column]).alias(column))

    return change


def row(number: int) -> pl.Expr:
    return pl.int_range(pl.len()) == number


def numbered(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(pl.len(), dtype=frame.schema[column]).alias(column))


FINISHED, ABORTED = col("status") == "finished", col("status") == "aborted"
EACH_ONCE = "expected 0, 1, 2 and so on, each once"

TEXT_DAMAGES: dict[str, tuple[str, Change, str]] = {
    "iterations missing": (
        "iterations",
        lambda f: pl.concat([f[:700], f[900:]]),
        f"iteration 900 stands in the place of 700, {EACH_ONCE}",
    ),
    "iterations twice": (
        "iterations",
        lambda f: pl.concat([f, f]).sort("iteration"),
        f"iteration 0 stands in the place of 1, {EACH_ONCE}",
    ),
    "every other iteration": (
        "iterations",
        lambda f: f.gather_every(2),
        f"iteration 2 stands in the place of 1, {EACH_ONCE}",
    ),
    "iterations numbered anew after a gap": (
        "iterations",
        lambda f: numbered(pl.concat([f[:700], f[900:]]), "iteration"),
        "requests.parquet: ",
    ),
    "iterations halved and numbered anew": (
        "iterations",
        lambda f: numbered(f.gather_every(2, offset=1), "iteration"),
        "requests.parquet: ",
    ),
    "iterations doubled and numbered anew": (
        "iterations",
        lambda f: numbered(pl.concat([f, f]).sort("iteration"), "iteration"),
        "requests.parquet: ",
    ),
    "the last iterations missing": ("iterations", lambda f: f[:1000], "the last row ends at "),
    "a point's number": (
        "iterations",
        lambda f: f.with_columns(point=pl.lit(7, pl.Int32)),
        "rows of point 7 to 7, expected those of its folder's point alone",
    ),
    "no iterations": ("iterations", lambda f: f.clear(), "no rows, expected those of its folder's point alone"),
    "negative tokens": (
        "iterations",
        where(row(800), "output_tokens", -100_000),
        "running is 16, waiting is 700, prompt_tokens is ",
    ),
    "no count": ("iterations", where(row(800), "finished", None), "running is 16, waiting is 700, prompt_tokens is "),
    "an end at infinity": (
        "iterations",
        where(row(1499), "end_s", math.inf),
        "end_s is inf, expected seconds from 0 on",
    ),
    "an end that is no number": (
        "iterations",
        where(row(800), "end_s", math.nan),
        "end_s is null or goes back, expected rising times",
    ),
    "more first tokens than tokens": (
        "iterations",
        where(row(800), "first_tokens", 17),
        "17 first tokens among 16 output tokens, expected no more than all of them",
    ),
    "a token before the one before it": (
        "iterations",
        where(row(5), "token_gaps_s", pl.lit([0.02, -0.5])),
        "token_gaps_s of iteration 5 are -0.5 to 0.02, expected seconds over 0, or null",
    ),
    "a token that never came": (
        "iterations",
        where(row(5), "token_gaps_s", pl.lit([0.02, math.inf])),
        "token_gaps_s of iteration 5 are 0.02 to inf, expected seconds over 0, or null",
    ),
    "fewer tokens than the answers have": (
        "iterations",
        lambda f: f.with_columns(output_tokens=col("output_tokens") // 2, first_tokens=pl.lit(0, pl.Int32)),
        "requests.parquet: ",
    ),
    "more tokens than were asked for": (
        "iterations",
        where(row(800), "output_tokens", 1_000_000),
        "requests.parquet: ",
    ),
    "more prompts than there are": ("iterations", where(row(800), "prompt_tokens", 1_000_000), "requests.parquet: "),
    "requests twice": (
        "requests",
        lambda f: pl.concat([f, f]),
        f"request 0 stands in the place of {{rows}}, {EACH_ONCE}",
    ),
    "requests in another order": ("requests", lambda f: f.reverse(), "request "),
    "no requests": ("requests", lambda f: f.clear(), "no rows, expected those of its folder's point alone"),
    "half of the requests": (
        "requests",
        lambda f: f.head(f.height // 2),
        "{half} requests finished, iterations.parquet has {done}, expected the same requests in both",
    ),
    "a request of another status": (
        "requests",
        where(FINISHED, "status", "timeout"),
        "request 0 has the status 'timeout', expected finished, aborted, failed",
    ),
    "a request of no status": (
        "requests",
        where(FINISHED, "status", None),
        "request 0 has the status 'null', expected finished, aborted, failed",
    ),
    "a status with a line break": (
        "requests",
        where(FINISHED, "status", "a\nb"),
        "request 0 has the status 'a b', expected finished, aborted, failed",
    ),
    "answers that were aborted": (
        "requests",
        lambda f: f.with_columns(status=pl.lit("aborted")),
        "request 0 is aborted, and finished at ",
    ),
    "an admission after the first output": (
        "requests",
        lambda f: f.with_columns(admitted_s=col("first_output_s") + 1),
        "submitted_s is 0.0, admitted_s is ",
    ),
    "a first output after the end": (
        "requests",
        lambda f: f.with_columns(first_output_s=col("finished_s") + 1),
        "submitted_s is 0.0, admitted_s is ",
    ),
    "an end before the submission": (
        "requests",
        where(FINISHED & (col("submitted_s") > 1), "finished_s", 0.5),
        "submitted_s is ",
    ),
    "an end before the point": (
        "requests",
        where(FINISHED, "finished_s", -5.0),
        "submitted_s is 0.0, admitted_s is 0.0, ",
    ),
    "a finish that is no number": (
        "requests",
        where(FINISHED, "finished_s", math.nan),
        "submitted_s is 0.0, admitted_s is 0.0, ",
    ),
    "no submission": ("requests", where(ABORTED, "submitted_s", None), "submitted_s is null, admitted_s is null"),
    "no end": ("requests", where(FINISHED, "finished_s", None), "request 0 finished without all its times: "),
    "no first output": (
        "requests",
        where(FINISHED, "first_output_s", None),
        "request 0 finished without all its times: ",
    ),
    "no length": (
        "requests",
        where(FINISHED, "output_tokens", None),
        "request 0 is finished, and has null output tokens, expected a count where it finished, and nowhere else",
    ),
    "a length of what was aborted": (
        "requests",
        where(ABORTED, "output_tokens", 9),
        "is aborted, and has 9 output tokens, expected a count where it finished, and nowhere else",
    ),
    "a negative length": ("requests", where(FINISHED, "prompt_tokens", -1), "prompt_tokens is -1, "),
    "a longer answer than was asked for": (
        "requests",
        where(FINISHED, "output_tokens", 100_000),
        "an answer of 100000 tokens was asked to have ",
    ),
    "a length not asked for": (
        "requests",
        where(row(5), "asked_output_tokens", None),
        "requests have asked_output_tokens, expected all where the spec's output_length",
    ),
    "lengths not asked for": (
        "requests",
        lambda f: f.with_columns(asked_output_tokens=pl.lit(None, pl.Int32)),
        "0 of {rows} requests have asked_output_tokens, expected all where the spec's output_length gives",
    ),
    "requests begun in the middle of a cold point": (
        "requests",
        where(row(0), "begun_output_tokens", 1),
        "1 requests have begun_output_tokens, the last of them is request 0, expected the first ones, as many",
    ),
    "begun with more than its prompt holds": (
        "requests",
        where(row(0), "begun_output_tokens", 100_000),
        "a request begun at token 100000, of ",
    ),
    "begun before its start": ("requests", where(row(0), "begun_output_tokens", -1), "begun_output_tokens is -1"),
    "no prompt": (
        "requests",
        where(FINISHED, "prompt_tokens", None),
        "request 0 has no prompt_tokens, expected a count",
    ),
    "ends that nobody had told of": (
        "requests",
        lambda f: f.with_columns(finished_s=col("finished_s") + 1),
        "a request finished at ",
    ),
    "no readings": ("energy", lambda f: f.clear(), "no rows of gpu:0, expected the devices that run.json names"),
    "a device without a name": ("energy", where(row(99), "device", None), "device is null, expected a device's name"),
    "a device of no known kind": (
        "energy",
        where(row(99), "device", "psys"),
        "energy of a device 'psys', expected gpu:N, cpu:N, dram:N or host; ",
    ),
    "no device's name": (
        "energy",
        lambda f: f.with_columns(device=pl.lit(None, pl.String)),
        "device is null, expected a device's name",
    ),
    "an energy at infinity": ("energy", where(row(99), "energy_j", math.inf), "energy_j is inf, power_w is "),
    "an energy that is no number": ("energy", where(row(99), "energy_j", math.nan), "energy_j is NaN, power_w is "),
    "a power that is no number": ("energy", where(row(99), "power_w", math.nan), "expected finite numbers, or null"),
    "a reading at no time": (
        "energy",
        where(row(99), "time_s", math.nan),
        "time_s is null or goes back, expected rising times",
    ),
    "the last reading at infinity": (
        "energy",
        lambda f: f.with_columns(time_s=pl.when(row(f.height - 1)).then(math.inf).otherwise("time_s")),
        "time_s is inf, expected seconds since the point's start",
    ),
    "readings in another order": (
        "energy",
        lambda f: f.reverse(),
        "time_s is null or goes back, expected rising times",
    ),
    "two sources": (
        "energy",
        lambda f: f.with_columns(source=pl.when(row(99)).then(pl.lit("nvml_power")).otherwise("source")),
        "gpu:0 is read from nvml_counter and from nvml_power, expected one source of a device",
    ),
    "a source in between": (
        "energy",
        lambda f: f.with_columns(source=pl.when(row(99)).then(None).otherwise("source")),
        "gpu:0 is read from ",
    ),
    "another source": (
        "energy",
        lambda f: f.with_columns(source=pl.lit("guess")),
        "gpu:0 is read from guess, expected the source that run.json has of it (machine.energy_sources)",
    ),
    "no source": (
        "energy",
        lambda f: f.with_columns(source=pl.lit(None, pl.String)),
        "gpu:0 is read from null, expected the source that run.json has of it (machine.energy_sources)",
    ),
    "one device as two": (
        "energy",
        lambda f: pl.concat([f, f.with_columns(device=pl.lit("gpu:1"))]).sort("time_s", maintain_order=True),
        "rows of gpu:1, expected the devices that run.json names",
    ),
    "another device": (
        "energy",
        lambda f: f.with_columns(device=pl.lit("cpu:0")),
        "rows of cpu:0, expected the devices that run.json names",
    ),
    "answers that end at once": (
        "requests",
        lambda f: f.with_columns(finished_s=pl.when(FINISHED).then("first_output_s")),
        "expected to have finished in that iteration, or 2 s before it at most",
    ),
    "another clock": ("energy", lambda f: f.with_columns(time_s=col("time_s") + 1000), "gpu:0 was read from 999.0"),
    "a clock of before": (
        "energy",
        lambda f: f.with_columns(time_s=col("time_s") - 1000),
        "gpu:0 was read from -1000.9",
    ),
    "a point that went on for longer": (
        "energy",
        lambda f: pl.concat([f, f.with_columns(col("time_s") + 30)]),
        "gpu:0 was read from -0.9",
    ),
    "a time in words": (
        "energy",
        lambda f: f.with_columns(time_s=pl.lit("abc")),
        "time_s is of type String, expected Float64",
    ),
    "a list": (
        "energy",
        lambda f: f.with_columns(pl.concat_list("energy_j")),
        "energy_j is of type List(Float64), expected Float64",
    ),
    "too many processes": (
        "energy",
        lambda f: f.with_columns(processes=pl.lit(99_999_999_999)),
        "a value that its column cannot hold",
    ),
    "no column": ("iterations", lambda f: f.drop("finished"), "no column finished, expected point, iteration"),
}

PICTURE_DAMAGES: dict[str, tuple[str, Change, str]] = {
    "batches missing": (
        "iterations",
        lambda f: pl.concat([f[:3], f[4:]]),
        f"iteration 4 stands in the place of 3, {EACH_ONCE}",
    ),
    "batches numbered anew after a gap": (
        "iterations",
        lambda f: numbered(pl.concat([f[:3], f[4:]]), "iteration"),
        "requests.parquet: 42 requests, 42 of them finished, expected the outputs",
    ),
    "the last batch missing": ("iterations", lambda f: f[:-1], "the last row ends at "),
    "a batch within another": (
        "iterations",
        where(row(3), "start_s", 2.0),
        "a batch starts at 2.0 s, before the end of the one before it",
    ),
    "a batch that ends first": ("iterations", where(row(3), "start_s", 9.0), "start_s is 9.0, end_s is "),
    "a batch of nothing": ("iterations", where(row(3), "outputs", 0), "outputs is 0, expected one output at least"),
    "one output more": (
        "iterations",
        where(row(3), "outputs", 3),
        "requests.parquet: 42 requests, 42 of them finished, expected the outputs",
    ),
    "a second warm-up": (
        "iterations",
        where(row(1), "warmup", True),
        "2 warm-up batches, expected as many as the spec's sweep has",
    ),
    "a warm-up later on": (
        "iterations",
        where(row(3), "warmup", True),
        "warmup of batch 3 is true, expected the warm-up batches first",
    ),
    "no warm-up": (
        "iterations",
        where(row(0), "warmup", False),
        "0 warm-up batches, expected as many as the spec's sweep has",
    ),
    "a request of another time": ("requests", where(row(9), "finished_s", 100.0), "a request was served from "),
    "a request that was aborted": (
        "requests",
        lambda f: where(row(9), "finished_s", None)(where(row(9), "status", "aborted")(f)),
        "42 requests, 41 of them finished, expected the outputs",
    ),
    "requests missing": ("requests", lambda f: f.head(40), "40 requests, 40 of them finished, expected the outputs"),
}


def damaged(whole: dict[str, Path], name: str, folder: Path, damage: tuple[str, Change, str]) -> tuple[str, str]:
    """What is said of the second point of the run `name`, with the damage; and what is to be said."""
    file, change, wanted = damage
    run = copied(whole, name, folder)
    place = f"points/{SECOND[name]}"
    path = run.folder / place / f"{file}.parquet"
    frame = pl.read_parquet(path)
    change(frame).write_parquet(path)
    counts = {"rows": frame.height}
    if "status" in frame.columns:
        counts |= {"done": frame.filter(FINISHED).height, "half": frame.head(frame.height // 2).filter(FINISHED).height}
    wanted = wanted.format(**counts)
    return refusal(run), f"{place}/{wanted if wanted.startswith('requests.parquet') else f'{file}.parquet: {wanted}'}"


@pytest.mark.parametrize("damage", TEXT_DAMAGES)
def test_a_damaged_table_of_text_is_refused(whole: dict[str, Path], tmp_path: Path, damage: str) -> None:
    found, wanted = damaged(whole, TEXT, tmp_path, TEXT_DAMAGES[damage])
    file, _, said = wanted.partition(": ")
    assert found.startswith(f"{file}: ")
    assert said in found


@pytest.mark.parametrize("damage", PICTURE_DAMAGES)
def test_a_damaged_table_of_pictures_is_refused(whole: dict[str, Path], tmp_path: Path, damage: str) -> None:
    found, wanted = damaged(whole, DIFFUSION, tmp_path, PICTURE_DAMAGES[damage])
    assert found.startswith(wanted)


@pytest.mark.parametrize("name", [TEXT, DIFFUSION])
def test_a_whole_run_is_taken(whole: dict[str, Path], tmp_path: Path, name: str) -> None:
    table, left_out = points([copied(whole, name, tmp_path)])
    assert left_out.is_empty()
    assert table["power_w"].null_count() == 0


def test_the_requests_of_another_point_are_refused(whole: dict[str, Path], tmp_path: Path) -> None:
    run = copied(whole, TEXT, tmp_path)
    for file in ("requests", "iterations"):
        kept = (run.folder / "points/01-b16" / f"{file}.parquet").read_bytes()
        other = pl.read_parquet(run.folder / "points/00-b8" / f"{file}.parquet")
        other.with_columns(point=pl.lit(1, pl.Int32)).write_parquet(run.folder / f"points/01-b16/{file}.parquet")
        assert refusal(run).startswith("points/01-b16/")
        (run.folder / "points/01-b16" / f"{file}.parquet").write_bytes(kept)


def test_the_requests_of_another_model_are_refused(tmp_path: Path) -> None:
    """They would make another energy of it. Records of an earlier version have no checksums."""
    source = PUBLISHED / "llm-chat/google--gemma-2-2b-it"
    run = copied({TEXT: source}, TEXT, tmp_path)
    other = PUBLISHED / "llm-code/bigcode--starcoder2-3b/points/05-b256/requests.parquet"
    shutil.copy(other, run.folder / "points/05-b256/requests.parquet")
    assert refusal(run).startswith(
        "points/05-b256/requests.parquet: 5200 requests finished, iterations.parquet has 1943, expected the same"
    )


def test_the_folders_of_two_points_do_not_pass_for_each_other(whole: dict[str, Path], tmp_path: Path) -> None:
    run = copied(whole, TEXT, tmp_path)
    places = run.folder / "points"
    (places / "00-b8").rename(places / "aside")
    (places / "01-b16").rename(places / "00-b8")
    (places / "aside").rename(places / "01-b16")
    assert refusal(run).startswith("points/00-b8/point.json: point is 1, expected 0, as in run.json")


def test_a_link_to_another_point_is_refused(whole: dict[str, Path], tmp_path: Path) -> None:
    run = copied(whole, TEXT, tmp_path)
    shutil.rmtree(run.folder / "points/01-b16")
    (run.folder / "points/01-b16").symlink_to(run.folder / "points/00-b8")
    assert refusal(run).startswith("points/01-b16/point.json: point is 0, expected 1, as in run.json")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"status": "failed"}, "status is 'failed', expected 'measured'"),
        ({"duration_s": 1.5}, "duration_s is 1.5, expected "),
        ({"reason": "two\nlines"}, r"reason is 'two\nlines', expected None"),
        ({"ended_by": "precision"}, "ended_by is 'precision', expected None"),
        ({"loaded_idle_power_w": {"gpu:0": 1.0}}, "loaded_idle_power_w is {'gpu:0': 1.0}, expected None"),
    ],
)
def test_a_point_json_that_is_not_the_entry(
    whole: dict[str, Path], tmp_path: Path, edit: dict[str, Any], said: str
) -> None:
    run = copied(whole, TEXT, tmp_path)
    edited(run.folder / "points/01-b16/point.json", lambda point: point.update(edit))
    assert refusal(run).startswith(f"points/01-b16/point.json: {said}")


def test_a_point_json_or_folder_that_is_gone(whole: dict[str, Path], tmp_path: Path) -> None:
    run = copied(whole, TEXT, tmp_path)
    (run.folder / "points/01-b16/point.json").unlink()
    assert refusal(run).startswith("points/01-b16/point.json: no such file")
    shutil.rmtree(run.folder / "points/01-b16")
    assert refusal(run).startswith("points/01-b16/point.json: no such file")


def of_points(edit: Callable[[list[dict[str, Any]]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda run: edit(run["points"])


SWEEP = ", expected 0-b8, 1-b16, the sweep of its spec to where it ended"
RUNS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no points": (lambda run: run.update(points=[]), f"points are none{SWEEP}"),
    "a point left out": (of_points(lambda them: them.pop(0)), f"points are 1-b16{SWEEP}"),
    "the last point left out": (of_points(lambda them: them.pop()), f"points are 0-b8{SWEEP}"),
    "points twice": (of_points(lambda them: them.extend(list(them))), f"points are 0-b8, 1-b16, 0-b8, 1-b16{SWEEP}"),
    "points in another order": (of_points(lambda them: them.reverse()), f"points are 1-b16, 0-b8{SWEEP}"),
    "another batch size": (of_points(lambda them: them[1].update(max_batch_size=1)), f"points are 0-b8, 1-b1{SWEEP}"),
    "no batch size": (
        of_points(lambda them: them[1].update(max_batch_size=10**30)),
        "not a run record (1 validation error for Run points.1.max_batch_size",
    ),
    "a point after the end": (
        of_points(lambda them: them[0].update(status="overloaded")),
        "points are 0-b8, 1-b16, expected 0-b8, the sweep of its spec to where it ended",
    ),
    "a spec of another model": (lambda run: run["spec"].update(model="example/other"), "spec has the hash "),
    "no spec": (lambda run: run.update(spec={}), "spec is not that of a run (hardware: Field required)"),
    "a spec of another form": (lambda run: run["spec"].update(new=1), "spec is not that of a run (new: "),
    "another device": (
        lambda run: run["machine"].update(device="NVIDIA A100"),
        "measured on 'NVIDIA A100', expected a device that reports 'H100'",
    ),
    "another GPU": (
        lambda run: run["machine"].update(devices=[{"name": "NVIDIA H100"}, {"name": "NVIDIA A100"}]),
        "measured on 'NVIDIA A100', expected a device that reports 'H100'",
    ),
    "GPUs of no form": (lambda run: run["machine"].update(devices=[{"name": 5}]), "not a run record"),
    "a UUID of no form": (lambda run: run["machine"].update(devices=[{"uuid": [1]}]), "not a run record"),
    "an idle power of no form": (
        lambda run: run["machine"].update(devices=[{"idle_power_w": "abc"}]),
        "not a run record",
    ),
    "parameters without number": (lambda run: run.update(parameters=10**30), "not a run record"),
    "a TDP at infinity": (lambda run: run["machine"].update(tdp_w=math.inf), "not a run record"),
    "a duration that is no number": (of_points(lambda them: them[1].update(duration_s=math.nan)), "not a run record"),
    "an unknown status": (of_points(lambda them: them[1].update(status="melted")), "not a run record"),
    "an unknown key": (lambda run: run.update(extra=1), "not a run record"),
    "sums of no point": (lambda run: run.update(points_sha256={}), "points_sha256 lacks files of 00-b8, expected "),
}


@pytest.mark.parametrize("damage", RUNS)
def test_a_run_json_that_contradicts_itself(whole: dict[str, Path], tmp_path: Path, damage: str) -> None:
    run = copied(whole, TEXT, tmp_path)
    edit, said = RUNS[damage]
    edited(run.folder / "run.json", edit)
    assert refusal(run).startswith(f"run.json: {said}")


@pytest.mark.parametrize("content", [b"", b'{"spec":' + b"[" * 100_000], ids=["nothing", "too deep"])
def test_a_run_json_that_is_none(whole: dict[str, Path], tmp_path: Path, content: bytes) -> None:
    run = copied(whole, TEXT, tmp_path)
    (run.folder / "run.json").write_bytes(content)
    assert refusal(run).startswith("run.json: not a run record")


def test_a_sweep_that_a_point_ended_is_whole(whole: dict[str, Path], tmp_path: Path) -> None:
    run = copied(whole, TEXT, tmp_path)
    edited(run.folder / "points/00-b8/point.json", lambda point: point.update(status="overloaded"))
    entry = json.loads((run.folder / "points/00-b8/point.json").read_text())
    edited(run.folder / "run.json", lambda content: content.update(points=[entry]))
    assert points([run])[0]["status"].to_list() == ["overloaded"]


def test_a_spec_that_lacks_what_was_added_later_gives_its_hash_still(whole: dict[str, Path], tmp_path: Path) -> None:
    run = copied(whole, TEXT, tmp_path)
    edited(run.folder / "run.json", lambda content: [content["spec"].pop(name) for name in ("repeat", "quantization")])
    assert points([run])[0].height == 2


@pytest.mark.parametrize("file", POINT_FILES)
def test_a_file_that_is_not_what_was_measured(tmp_path: Path, file: str) -> None:
    folder = made_up.generate(tmp_path, 1, made_up.spec(1, (8,)), iterations=1000)
    run = WantedRun(folder, made_up.spec(1, (8,)), None)
    assert points([run])[0].height == 1
    path = folder / "points/00-b8" / file
    changed = path.read_bytes() + b"\n"
    if path.suffix == ".parquet":  # the same rows, packed otherwise
        pl.read_parquet(path).write_parquet(path, compression="snappy")
        changed = path.read_bytes()
    path.write_bytes(changed)
    assert refusal(run).startswith(f"points/00-b8/{file}: has the SHA-256 ")


@pytest.mark.parametrize("file", ["requests.parquet", "iterations.parquet", "energy.parquet"])
def test_a_file_that_is_no_file(whole: dict[str, Path], tmp_path: Path, file: str) -> None:
    run = copied(whole, TEXT, tmp_path)
    path = run.folder / "points/01-b16" / file
    for make in (os.mkfifo, os.mkdir, lambda at: at.symlink_to("/dev/zero")):
        path.unlink() if path.is_fifo() or path.is_file() else None
        make(path)
        assert re.match(rf"points/01-b16/{file}: a (pipe|folder|device), expected a plain file; ", refusal(run))
        if path.is_dir():
            path.rmdir()


@pytest.mark.parametrize("byte", range(0, 2000, 97))
def test_bytes_turned_over_are_refused_or_read_but_no_traceback(
    whole: dict[str, Path], tmp_path: Path, byte: int
) -> None:
    """Parquet has no checksum of its own: without run.json's, what still fits together is taken."""
    run = copied(whole, TEXT, tmp_path)
    path = run.folder / "points/01-b16/energy.parquet"
    content = bytearray(path.read_bytes())
    content[-1 - byte] ^= 0x10
    path.write_bytes(content)
    said = refused(run)
    assert said is None or (said.startswith(f"{path}: ") and "\n" not in said)


VISION = PUBLISHED / "vlm-chat/Qwen--Qwen3-VL-8B-Instruct"
"""A run whose points say how long the sample is, and what its GPU drew at rest."""


def told(folder: Path, edit: Callable[[int, dict[str, Any]], None]) -> str | None:
    """What is said of a copy of VISION whose points, in point.json and run.json alike, are edited; sums and all."""
    shutil.copytree(VISION, folder)
    record = json.loads((folder / "run.json").read_text())
    for index, point in enumerate(record["points"]):
        edit(index, point)
        place = folder / "points" / point_folder(point["point"], f"b{point['max_batch_size']}")
        (place / "point.json").write_text(json.dumps(point))
        record["points_sha256"][place.name] = sha256s(place)
    (folder / "run.json").write_text(json.dumps(record))
    spec = RunSpec.model_validate(record["spec"])
    return refused(WantedRun(folder, spec, None))


def tokens(only: int | None = None, **changes: int) -> Callable[[int, dict[str, Any]], None]:
    def edit(index: int, point: dict[str, Any]) -> None:
        if only in (None, index):
            point["sample_tokens"] |= changes

    return edit


def rest(**watts: float) -> Callable[[int, dict[str, Any]], None]:
    return lambda index, point: point.update(
        loaded_idle_power_w={name.replace("_", ":"): value for name, value in watts.items()}
    )


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (tokens(requests=7), "sample_tokens are of 7 requests, expected 128, the spec's sample"),
        (tokens(only=3, output_tokens=6000), "expected the same in every point"),
        (tokens(output_tokens=6000), "output tokens a request, expected the sample_tokens of point.json"),
        (tokens(requests=0), "greater than 0"),
        (tokens(output_tokens=-5), "greater than 0"),
        (tokens(prompt_tokens=10**400), "run.json"),
        (rest(gpu_0=-50.0), "greater than 0"),
        (rest(gpu_0=120.0, gpu_7=120.0), "loaded_idle_power_w is of gpu:0, gpu:7, expected gpu:0"),
        (rest(), "loaded_idle_power_w is of no GPU, expected gpu:0"),
    ],
)
def test_what_points_say_of_the_sample_and_of_rest_is_held(
    tmp_path: Path, edit: Callable[[int, dict[str, Any]], None], said: str
) -> None:
    found = told(tmp_path / "run", edit)
    assert found is not None
    assert said in found
    assert "\n" not in found


def test_new_records_without_their_checksums_are_refused(tmp_path: Path) -> None:
    shutil.copytree(VISION, tmp_path / "run")
    record = json.loads((tmp_path / "run/run.json").read_text())
    (tmp_path / "run/run.json").write_text(json.dumps({**record, "points_sha256": None}))
    found = refused(WantedRun(tmp_path / "run", RunSpec.model_validate(record["spec"]), None))
    assert "points_sha256 is missing" in str(found)


def test_batches_of_other_denoising_steps_are_refused(tmp_path: Path) -> None:
    source = PUBLISHED / "text-to-image/stabilityai--stable-diffusion-2-1"
    run = copied({DIFFUSION: source}, DIFFUSION, tmp_path)
    path = run.folder / "points/00-b1/iterations.parquet"
    frame = pl.read_parquet(path)
    for value in (None, 0, 12):
        steps = pl.when(row(3)).then(value).otherwise("denoising_steps").cast(pl.Int32)
        frame.with_columns(denoising_steps=steps).write_parquet(path)
        assert "denoising steps, expected the same number of them in each batch" in str(refusal(run))


def test_a_request_that_is_longer_elsewhere_in_its_run_is_refused(whole: dict[str, Path], tmp_path: Path) -> None:
    """Of one that was aborted nothing else would tell, and the sample's mean length would be another."""
    run = copied(whole, TEXT, tmp_path)
    path = run.folder / "points/01-b16/requests.parquet"
    asked = pl.when(row(0)).then(1_000_000).otherwise("asked_output_tokens").cast(pl.Int32)
    pl.read_parquet(path).with_columns(asked_output_tokens=asked).write_parquet(path)
    assert "request 0 has 1 prompt lengths and 2 answer lengths in its run" in str(refusal(run))
