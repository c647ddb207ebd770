"""A run that has ended well, made by hand: records of the right form, whose tables nobody reads."""

from pathlib import Path

from building import machine, point_record, run_record, tiny_spec

from joulebench.config import sweeps
from joulebench.config.spec import RunSpec
from joulebench.measure.session import Session
from joulebench.records.files import sha256s, write_json
from joulebench.records.models import Point, Status, point_folder
from joulebench.records.schemas import POINT_FILES

BATCHES = (1, 2, 4)
REQUESTS = "a" * 64
STARTED = "2026-11-26T00:00:00Z"
MACHINE = machine(device="a processor")


def spec() -> RunSpec:
    protocol = sweeps.Fixed(kind="fixed", requests=8)
    return tiny_spec(sweep=sweeps.Sweep(batch_sizes=BATCHES, protocol=protocol))


def write_point(folder: Path, of: RunSpec, index: int, status: Status = "measured", **said: str | None) -> Point:
    """A point's folder; it says what it is of, or what `said` says."""
    of_run = {"spec_hash": of.hash, "requests_sha256": REQUESTS, "device": MACHINE.device}
    point = point_record(BATCHES[index], **{"point": index, "status": status, "started_utc": STARTED} | of_run | said)
    place = folder / "points" / point_folder(index, f"b{BATCHES[index]}")
    for name in POINT_FILES[:-1]:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name} of {index}")
    write_json(point, place / "point.json")
    return point


def write_run(folder: Path, of: RunSpec) -> None:
    points = [write_point(folder, of, index) for index in range(len(BATCHES))]
    places = [folder / "points" / point_folder(index, f"b{batch}") for index, batch in enumerate(BATCHES)]
    sums = {place.name: sha256s(place) for place in places}
    times = {"started_utc": STARTED, "ended_utc": STARTED}
    run = run_record(of, *points, requests_sha256=REQUESTS, machine=MACHINE, points_sha256=sums, **times)
    write_json(run, folder / "run.json")


def session(folder: Path, of: RunSpec, anew: bool = False) -> Session:
    return Session(folder, of, REQUESTS, MACHINE, anew)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path from there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
