"""A run that has ended well, made by hand: records of the right form, whose tables nobody reads."""

from pathlib import Path

from joulebench import config
from joulebench.config import sweeps
from joulebench.config.spec import RunSpec, run_spec
from joulebench.measure.session import Session
from joulebench.records.files import sha256s, write_json
from joulebench.records.models import Machine, Point, Run, Status, point_folder
from joulebench.records.schemas import POINT_FILES

PROJECT = Path(__file__).parents[2]
BATCHES = (1, 2, 4)
REQUESTS = "a" * 64
STARTED = "2026-11-26T00:00:00Z"
MACHINE = Machine(
    host="h",
    cpu="c",
    cores=2,
    memory_mb=1.0,
    device="a processor",
    devices=[],
    tdp_w=None,
    tdp_source=None,
    energy_sources={},
)


def spec() -> RunSpec:
    made = run_spec(config.load(PROJECT / "config" / "tiny.yaml"), "cpu", "llm-chat", "joulebench/llama-1m")
    protocol = sweeps.Fixed(kind="fixed", requests=8)
    return made.model_copy(update={"sweep": sweeps.Sweep(batch_sizes=BATCHES, protocol=protocol)})


def write_point(folder: Path, of: RunSpec, index: int, status: Status = "measured", **said: str | None) -> Point:
    """A point's folder; it says what it is of, or what `said` says."""
    point = Point(
        point=index,
        max_batch_size=BATCHES[index],
        status=status,
        started_utc=STARTED,
        duration_s=1.0,
        **({"spec_hash": of.hash, "requests_sha256": REQUESTS, "device": MACHINE.device} | said),
    )
    place = folder / "points" / point_folder(index, f"b{BATCHES[index]}")
    for name in POINT_FILES[:-1]:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name} of {index}")
    write_json(point, place / "point.json")
    return point


def write_run(folder: Path, of: RunSpec) -> None:
    points = [write_point(folder, of, index) for index in range(len(BATCHES))]
    places = [folder / "points" / point_folder(index, f"b{batch}") for index, batch in enumerate(BATCHES)]
    run = Run(
        spec=of.model_dump(mode="json"),
        spec_hash=of.hash,
        parameters=1,
        model_files_sha256={},
        requests_sha256=REQUESTS,
        versions={},
        machine=MACHINE,
        started_utc=STARTED,
        ended_utc=STARTED,
        points=points,
        points_sha256={place.name: sha256s(place) for place in places},
    )
    write_json(run, folder / "run.json")


def session(folder: Path, of: RunSpec, anew: bool = False) -> Session:
    return Session(folder, of, REQUESTS, MACHINE, anew)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path from there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
