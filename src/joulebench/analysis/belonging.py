"""Whether a run's run.json is of one piece, and its points' folders are those that it tells of.

Each rule is a function that says what was found and what was expected, or None. What is in the tables of a point is
looked at by analysis.agreement.
"""

from pathlib import Path

from pydantic import ValidationError

from joulebench.config.spec import RunSpec
from joulebench.files import REMEDY, RecordError, sha256
from joulebench.loads.setting import Setting
from joulebench.records.files import read_point
from joulebench.records.models import Point, Run, SampleTokens
from joulebench.records.schemas import POINT_FILES


def require(folder: Path, run: Run) -> None:
    """Raises RecordError, which names the file, unless `run`, read from `folder`, and its points belong together."""
    try:
        spec = RunSpec.model_validate(run.spec)
    except ValidationError as error:
        raise _refused(folder / "run.json", f"spec is not that of a run ({_first(error)})") from None
    for said in (
        _hash(run, spec),
        _device(run, spec),
        _sweep(run, spec),
        _summed(run),
        _sampled(run, spec),
        _rested(run),
    ):
        if said is not None:
            raise _refused(folder / "run.json", said)
    for point in run.points:
        name = point.folder
        place = folder / "points" / name
        if (said := _entry(read_point(place), point)) is not None:
            raise _refused(place / "point.json", said)
        for file, wanted in (run.points_sha256 or {}).get(name, {}).items():
            if (found := sha256(place / file)) != wanted:
                raise _refused(
                    place / file, f"has the SHA-256 {found[:12]}, expected {wanted[:12]}, as run.json was written"
                )


def _hash(run: Run, spec: RunSpec) -> str | None:
    if spec.hash == run.spec_hash:
        return None
    return f"spec has the hash {spec.hash[:12]}, expected {run.spec_hash[:12]}, its own spec_hash"


def _device(run: Run, spec: RunSpec) -> str | None:
    """As meters.machine.require does before anything is measured; the name that the tables show, too."""
    named = run.machine.model_copy(update={"devices": []})
    others = [*run.machine.others(spec.reports_as), *named.others(spec.reports_as)]
    return f"measured on {others[0]!r:.80}, expected a device that reports '{spec.reports_as}'" if others else None


def _sweep(run: Run, spec: RunSpec) -> str | None:
    """Each point of the sweep once, in order, up to the first that ended it."""
    wanted = list(enumerate(spec.sweep.settings))
    ended = next((place for place, point in enumerate(run.points, 1) if point.is_last), len(wanted))
    found = [(point.point, point.at) for point in run.points]
    if found == wanted[:ended]:
        return None
    return f"points are {_listed(found)}, expected {_listed(wanted[:ended])}, the sweep of its spec to where it ended"


def _listed(points: list[tuple[int, Setting]]) -> str:
    names = [f"{index}-{setting.label}" for index, setting in points]
    return f"{', '.join(names[:20])}{', ...' if names[20:] else ''}" if names else "none"


def _summed(run: Run) -> str | None:
    """The checksums are of each file of each point; records of before they were written have none."""
    if run.points_sha256 is None:
        newer = [point for point in run.points if point.sample_tokens or point.loaded_idle_power_w]
        return "points_sha256 is missing, which is written with all that its points hold" if newer else None
    for point in run.points:
        name = point.folder
        if set(run.points_sha256.get(name, {})) != set(POINT_FILES):
            return f"points_sha256 lacks files of {name}, expected {', '.join(POINT_FILES)}"
    return None


def _sampled(run: Run, spec: RunSpec) -> str | None:
    """The sample's tokens are of the whole sample, and the same in every point of the same lengths."""
    told: dict[tuple[int | None, int | None], SampleTokens] = {}
    for point in run.points:
        if (tokens := point.sample_tokens) is None:
            continue
        if tokens.requests != spec.sample.requests:
            return (
                f"sample_tokens are of {tokens.requests} requests, expected {spec.sample.requests}, the spec's sample"
            )
        first = told.setdefault((point.at.input_tokens, point.at.output_tokens), tokens)
        if tokens != first:
            return f"sample_tokens are {tokens!r:.80} and {first!r:.80}, expected the same in every point"
    return None


def _rested(run: Run) -> str | None:
    """The loaded idle power is of the run's GPUs."""
    gpus = {device for device in run.machine.energy_sources if device.startswith("gpu:")}
    for point in run.points:
        found = point.loaded_idle_power_w
        if found is not None and set(found) != gpus:
            named = ", ".join(sorted(found)) or "no GPU"
            return f"loaded_idle_power_w is of {named:.80}, expected {', '.join(sorted(gpus)) or 'null'}"
    return None


def _entry(found: Point, wanted: Point) -> str | None:
    """point.json is run.json's entry."""
    if found == wanted:
        return None
    entry = found.model_dump()
    for name, value in wanted.model_dump().items():
        if entry[name] != value:
            return f"{name} is {entry[name]!r:.80}, expected {value!r:.80}, as in run.json"
    return None


def _first(error: ValidationError) -> str:
    one = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, one['loc']))}: {' '.join(one['msg'].split())}"[:200]


def _refused(path: Path, said: str) -> RecordError:
    return RecordError(f"{path}: {said}; {REMEDY}")
