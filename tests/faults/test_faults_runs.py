"""A run's folder after every kind of break: what ended well is never destroyed, and never measured twice."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_runs import BATCHES, MACHINE, REQUESTS, files, session, spec, write_point, write_run

from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.measure.session import Session

SPEC = spec()
WHOLE = "taken for whole; nothing is measured or removed"
RESUMED = "its points are kept, and the run goes on with what is missing"
ASIDE = "measured anew; the earlier measurement is kept until the new one is whole"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that has ended well."""
    write_run(tmp_path / "run", SPEC)
    return tmp_path / "run"


def unfinished(folder: Path, **changes: Any) -> None:
    said = {"spec_hash": SPEC.hash, "requests_sha256": REQUESTS, "device": MACHINE.device, "started_utc": "then"}
    (folder / "unfinished.json").write_text(json.dumps(said | changes))


def cut(path: Path, share: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


CHANGED = SPEC.model_copy(update={"hardware": "another"})


def fault(what: str, outcome: str, change: Callable[[Path], object], name: str, *more: Any) -> Any:
    return pytest.param(change, *more, id=name, marks=pytest.mark.fault("fault", what, outcome))


@pytest.mark.parametrize(
    "change",
    [
        fault(
            "two people give the same command; the second gets the run's lock when the first is done",
            WHOLE,
            lambda run: None,
            "second-caller",
        ),
        fault("killed after run.json, before the sweep is closed", WHOLE, unfinished, "killed-before-closing"),
        fault(
            "killed while the earlier measurement was being removed",
            WHOLE,
            lambda run: write_point(run / "old-20261126T000000000000Z", SPEC, 0),
            "killed-while-removing",
        ),
        fault(
            "a writer was killed in the middle of another run.json",
            WHOLE,
            lambda run: (run / ".run.json.00000000-1-00000000.tmp").write_text("{"),
            "killed-while-writing",
        ),
    ],
)
@pytest.mark.parametrize("anew", [False, True])
def test_a_whole_run_is_done(run: Path, change: Callable[[Path], object], anew: bool) -> None:
    before = files(run)
    change(run)
    found = session(run, SPEC, anew)
    assert found.whole is not None
    assert found.whole.spec_hash == SPEC.hash
    assert files(run) == before


@pytest.mark.parametrize(
    ("change", "left"),
    [
        fault(
            "Snakemake killed after the run's end and before its own notice, so that it removes run.json",
            RESUMED,
            lambda run: (run / "run.json").unlink(),
            "notice-lost",
            [],
        ),
        fault(
            "killed after the last point and before run.json",
            RESUMED,
            lambda run: ((run / "run.json").unlink(), unfinished(run)),
            "killed-before-run-json",
            [],
        ),
        fault("run.json cut off", RESUMED, lambda run: cut(run / "run.json"), "run-json-cut", []),
        fault("run.json empty", RESUMED, lambda run: cut(run / "run.json", 0), "run-json-empty", []),
        fault(
            "a point's folder removed from a whole run",
            RESUMED,
            lambda run: shutil.rmtree(run / "points" / "01-b2"),
            "point-removed",
            [1],
        ),
        fault(
            "a point's energy.parquet removed",
            RESUMED,
            lambda run: (run / "points" / "01-b2" / "energy.parquet").unlink(),
            "energy-removed",
            [1],
        ),
        fault(
            "a point's energy.parquet damaged on disk",
            RESUMED,
            lambda run: cut(run / "points" / "02-b4" / "energy.parquet"),
            "energy-damaged",
            [2],
        ),
        fault(
            "a point's point.json cut off, and run.json lost",
            RESUMED,
            lambda run: (cut(run / "points" / "00-b1" / "point.json"), (run / "run.json").unlink()),
            "point-json-cut",
            [0],
        ),
        fault(
            "a writer killed in the middle of a point",
            RESUMED,
            lambda run: (
                (run / "run.json").unlink(),
                (run / "points" / "02-b4").rename(run / "points" / ".02-b4.00000000-1-00000000.tmp"),
            ),
            "killed-in-a-point",
            [2],
        ),
        fault(
            "a point failed, and its run is measured again",
            RESUMED,
            lambda run: (unfinished(run), write_point(run, SPEC, 2, "failed")),
            "failed-point",
            [2],
        ),
        fault(
            "unfinished.json cut off, and run.json lost",
            RESUMED,
            lambda run: (unfinished(run), cut(run / "unfinished.json"), (run / "run.json").unlink()),
            "unfinished-cut",
            [],
        ),
    ],
)
def test_a_run_that_is_not_whole_goes_on_with_what_is_missing(
    run: Path, change: Callable[[Path], object], left: list[int]
) -> None:
    change(run)
    kept = {
        name: content
        for name, content in files(run).items()
        if name.startswith("points/") and not name.startswith("points/.")
    }
    found = session(run, SPEC)
    assert found.whole is None
    assert list(found.left()) == left
    assert files(run).items() >= kept.items()
    assert not list(run.rglob("*.tmp"))
    assert not list(run.glob("old-*"))
    assert len(found.points()) == len(BATCHES) - len(left)
    for index in left:
        found.clear(index)
        write_point(run, SPEC, index)
    assert [point.point for point in found.record()[0]] == [0, 1, 2]


def other(what: str) -> tuple[RunSpec, str, Any]:
    return (
        SPEC.model_copy(update={"hardware": "another"}) if what == "spec" else SPEC,
        "b" * 64 if what == "requests" else REQUESTS,
        MACHINE.model_copy(update={"device": "another"}) if what == "device" else MACHINE,
    )


@pytest.mark.parametrize("has_run_json", [True, False])
@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, id=what, marks=pytest.mark.fault("fault", f"what is there was measured {said}", ASIDE))
        for what, said in (
            ("spec", "under another config"),
            ("requests", "with other requests"),
            ("device", "on another device"),
        )
    ],
)
def test_what_is_of_another_run_waits_until_the_new_one_is_whole(run: Path, what: str, has_run_json: bool) -> None:
    if not has_run_json:
        (run / "run.json").unlink()
    before = files(run)
    found = Session(run, *other(what))
    assert list(found.left()) == [0, 1, 2]
    (aside,) = run.glob("old-*")
    assert files(aside) == before
    found.close()
    assert not files(run)


@pytest.mark.parametrize(
    ("begun", "has_run_json", "left"),
    [
        fault(
            f"the config is changed, {said}, and set back",
            f"the earlier measurement is back, {what}",
            begun,
            f"{begun}-{has_run_json}",
            has_run_json,
            left,
        )
        for begun, said in (
            ([], "nothing is measured under it"),
            ([0, 1], "its sweep is interrupted"),
        )
        for has_run_json, left, what in ((True, [], "and whole"), (False, [1], "and goes on where it lacks a point"))
    ],
)
def test_what_waits_is_back_when_the_config_is(
    run: Path, begun: list[int], has_run_json: bool, left: list[int]
) -> None:
    if not has_run_json:
        (run / "run.json").unlink()
        shutil.rmtree(run / "points" / "01-b2")
    before = files(run)
    session(run, CHANGED)
    for index in begun:
        write_point(run, CHANGED, index)
    assert not (run / "run.json").exists()
    found = session(run, SPEC)
    assert list(found.left()) == left
    assert (found.whole is not None) == has_run_json
    assert {name: files(run)[name] for name in before} == before


@pytest.mark.fault(
    "fault",
    "an interrupted sweep of an earlier version, the config changed and set back",
    "it goes on where it was",
)
def test_an_older_sweep_that_waits_is_back(run: Path) -> None:
    (run / "run.json").unlink()
    unfinished(run)
    for index in range(2):
        write_point(run, SPEC, index, spec_hash=None, requests_sha256=None, device=None)
    shutil.rmtree(run / "points" / "02-b4")
    session(run, CHANGED)
    assert list(session(run, SPEC).left()) == [2]


@pytest.mark.fault("fault", "a whole run's config is set back, another's points are there", "both are kept")
def test_a_whole_run_that_is_back_leaves_the_others_points(run: Path) -> None:
    session(run, CHANGED)
    write_point(run, CHANGED, 0)
    assert session(run, SPEC).whole is not None
    found = session(run, CHANGED)
    assert list(found.left()) == [1, 2]
    for index in (1, 2):
        write_point(run, CHANGED, index)
    found.close()  # it is whole, and measured
    assert not list(run.glob("old-*"))


@pytest.mark.fault("fault", "all points damaged on disk, and another measurement waits", "they are measured again")
def test_damaged_points_beside_one_that_waits(run: Path) -> None:
    for place in (run / "points").iterdir():
        cut(place / "energy.parquet")
    waiting = run / "old-20261126T000000000000Z"
    write_point(waiting, CHANGED, 0)
    assert list(session(run, SPEC).left()) == [0, 1, 2]


@pytest.mark.fault("fault", "a copy that somebody made in a run's folder", "left alone")
@pytest.mark.parametrize("name", ["old-backup", "old-20261126"])
def test_somebodys_copy_is_left_alone(run: Path, name: str) -> None:
    shutil.copytree(run / "points", run / name / "points")
    (run / "old-20261126T000000000001Z").symlink_to("nowhere")
    before = files(run)
    found = session(run, SPEC)
    found.close()
    assert files(run) == before


@pytest.mark.fault("fault", "a measurement can be set aside in part only", "one line, and it is whole in its place")
@pytest.mark.parametrize("at", [1, 2])
def test_what_was_set_aside_in_part_is_moved_back(run: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    before, rename, calls = files(run), Path.rename, []

    def refused(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == at:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(UserError, match=r"could not be written .Permission denied."):
        session(run, CHANGED)
    monkeypatch.undo()
    assert files(run) == before
    assert session(run, SPEC).whole is not None


@pytest.mark.fault("fault", "what waits cannot be moved back", "one line, and both are there")
def test_what_cannot_be_moved_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session(run, CHANGED)
    (aside,) = run.glob("old-*")
    before = files(aside)

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(UserError, match=r"could not be written .Permission denied.") as error:
        session(run, SPEC)
    monkeypatch.undo()
    assert "\n" not in str(error.value)
    assert files(aside) == before
    assert session(run, SPEC).whole is not None


@pytest.mark.fault("fault", "points of an earlier version, which do not say what they are of", ASIDE)
def test_points_that_do_not_say_what_they_are_of(run: Path) -> None:
    (run / "run.json").unlink()
    for index in range(3):
        write_point(run, SPEC, index, spec_hash=None, requests_sha256=None, device=None)
    before = files(run)
    assert list(session(run, SPEC).left()) == [0, 1, 2]
    (aside,) = run.glob("old-*")
    assert files(aside) == before


@pytest.mark.fault(
    "fault", "an interrupted sweep whose points are of an earlier version, which does not say what they are of", RESUMED
)
def test_points_of_an_interrupted_sweep_of_an_earlier_version(run: Path) -> None:
    (run / "run.json").unlink()
    unfinished(run)
    for index in range(2):
        write_point(run, SPEC, index, spec_hash=None, requests_sha256=None, device=None)
    shutil.rmtree(run / "points" / "02-b4")
    assert list(session(run, SPEC).left()) == [2]


@pytest.mark.fault("fault", "--force, and the engine cannot start", "the earlier measurement is back, and whole")
def test_a_forced_run_that_fails_before_its_first_point_is_put_back(run: Path) -> None:
    whole = files(run)
    (run / "run.json").unlink()  # as Snakemake does
    before = files(run)
    found = session(run, SPEC, anew=True)
    assert list(found.left()) == [0, 1, 2]
    assert not (run / "points").exists()
    assert found.put_back()
    assert files(run) == before
    assert list(session(run, SPEC).left()) == []
    assert {name: files(run)[name] for name in before} == {name: whole[name] for name in before}


@pytest.mark.fault("fault", "--force, and the first point fails", "the earlier measurement is back")
def test_a_forced_run_whose_first_point_fails_is_put_back(run: Path) -> None:
    (run / "run.json").unlink()
    before = files(run)
    found = session(run, SPEC, anew=True)
    write_point(run, SPEC, 0, "failed")
    assert found.put_back()
    assert files(run) == before


@pytest.mark.fault("fault", "--force, and a later point fails", "both are kept; the same command goes on")
def test_a_forced_run_that_fails_later_keeps_both(run: Path) -> None:
    (run / "run.json").unlink()
    before = files(run)
    found = session(run, SPEC, anew=True)
    write_point(run, SPEC, 0)
    assert not found.put_back()
    (aside,) = run.glob("old-*")
    assert files(aside) == before
    again = session(run, SPEC, anew=True)
    assert list(again.left()) == [1, 2]
    assert files(aside) == before
    again.close()
    assert not aside.exists()


@pytest.mark.fault(
    "fault",
    "--force, killed after the points went aside and before anything else",
    "they wait until the run is whole, and are back where it is not forced again",
)
def test_killed_right_after_setting_aside(run: Path) -> None:
    (run / "run.json").unlink()
    before = files(run)
    session(run, SPEC, anew=True)
    (run / "unfinished.json").unlink()
    (aside,) = run.glob("old-*")
    assert files(aside) == before
    assert list(session(run, SPEC, anew=True).left()) == [0, 1, 2]
    assert files(aside) == before
    (run / "unfinished.json").unlink()
    assert list(session(run, SPEC).left()) == []
    assert {name: files(run)[name] for name in before} == before


@pytest.mark.fault("fault", "the disk is full when a sweep begins", "one line, and the earlier measurement is back")
def test_a_full_disk_at_the_start_puts_back(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "run.json").unlink()
    before = files(run)

    def full(record: object, path: Path) -> None:
        path.with_suffix(".tmp").symlink_to("/dev/full")
        try:
            path.with_suffix(".tmp").write_text("{}")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        finally:
            path.with_suffix(".tmp").unlink()

    monkeypatch.setattr("joulebench.measure.session.write_json", full)
    with pytest.raises(UserError, match="No space left"):
        session(run, SPEC, anew=True)
    assert files(run) == before


@pytest.mark.parametrize(
    "change",
    [
        fault(
            "a point's folder vanishes while the run is measured",
            "the run fails in one line; the next call measures that point again",
            lambda place: shutil.rmtree(place),
            "folder",
        ),
        fault(
            "a point's file vanishes while the run is measured",
            "the run fails in one line; the next call measures that point again",
            lambda place: (place / "iterations.parquet").unlink(),
            "file",
        ),
    ],
)
def test_run_json_has_every_point_of_the_sweep(run: Path, change: Callable[[Path], object]) -> None:
    (run / "run.json").unlink()
    found = session(run, SPEC)
    change(run / "points" / "01-b2")
    with pytest.raises(UserError, match="01-b2: removed or damaged while its run was measured") as error:
        found.record()
    assert "\n" not in str(error.value)
    assert list(session(run, SPEC).left()) == [1]


@pytest.mark.fault("fault", "the disk is full at the start of a new measurement", "one line; the earlier one stays")
def test_a_disk_that_is_full_at_the_start_keeps_what_was_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(run)

    def full(self: Path, *more: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError, match="No space left on device"):
        session(run, SPEC.model_copy(update={"repeat": 2}))
    monkeypatch.undo()
    assert files(run) == before


@pytest.mark.fault("fault", "unfinished.json is a pipe", "taken for none")
def test_a_pipe_for_what_is_unfinished_is_not_waited_for(run: Path) -> None:
    (run / "run.json").unlink()
    os.mkfifo(run / "unfinished.json")
    assert list(session(run, SPEC).left()) == []
