"""What is left to do in a run's folder: nothing, an interrupted sweep to go on with, or all of it."""

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from joulebench.analysis import belonging
from joulebench.config.spec import RunSpec
from joulebench.errors import UserError
from joulebench.files import RecordError, clear_leftovers, whole_folder
from joulebench.inputs.reading import MIB, read_bytes
from joulebench.records.files import read_point, read_run, sha256s, write_json, write_parquet
from joulebench.records.models import Machine, Point, Record, Run, point_folder
from joulebench.records.schemas import POINT_FILES

log = logging.getLogger(__name__)

OLD = "old-"
_OLD = re.compile(rf"{OLD}\d{{8}}T\d{{12}}Z")
"""The folders in which earlier measurements wait until the new run is whole."""

START = "start.json"
FILES = ("unfinished.json", START, "run.json")
PARTS = (*FILES, "points")
"""What there is of a measurement in its folder."""


class Unfinished(Record):
    """unfinished.json: there while a sweep is under way, gone when run.json is written."""

    spec_hash: str
    requests_sha256: str
    device: str
    started_utc: str


def utc_now() -> str:
    """The time of day, UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Session:
    """One run's folder while it is measured, by the holder of its lock.

    Whole and of the same spec, requests and device, it is done: `whole` is its record, and nothing is touched. A sweep
    of the same that was interrupted, or whose run.json was lost, goes on at its first unfinished point; with `anew`
    only one that was interrupted does. Anything else in the folder is an earlier measurement: it is set aside, and
    removed when the new run is whole. Where one that waits so is of the same, the two change places: a config that was
    changed is set back.
    """

    def __init__(self, folder: Path, spec: RunSpec, requests_sha256: str, machine: Machine, anew: bool = False) -> None:
        self.folder = folder
        self.of = {"spec_hash": spec.hash, "requests_sha256": requests_sha256, "device": machine.device}
        """What a point has to be of, to be one of this run."""
        self._settings = spec.sweep.settings
        for place in (folder, folder / "points"):
            clear_leftovers(place, own=True)
        self._vouched = False
        self.whole, self._sums, found = self._look()
        if not (anew or self.whole or found or self.points()) and self._take_back():
            self.whole, self._sums, found = self._look()
        self._vouched = found is not None
        if self.whole is not None:
            self.started_utc = self.whole.started_utc
            log.info("%s: whole already, measured from %s on; nothing to do", folder, self.started_utc)
            self._end(measured=False)
            return
        if found is not None:
            self.started_utc = found.started_utc
            log.info("going on with the sweep of %s: %d points are there", self.started_utc, len(self.points()))
            return
        kept = [] if anew else self.points()
        if kept:
            log.info("going on with the sweep of %s, whose run.json is gone: %d points", kept[0].started_utc, len(kept))
        self.started_utc = kept[0].started_utc if kept else utc_now()
        if not kept:
            self._set_aside()
        try:
            write_json(Unfinished(**self.of, started_utc=self.started_utc), folder / "unfinished.json")
        except UserError:
            self.put_back()
            raise
        self._vouched = not kept

    def _look(self) -> tuple[Run | None, dict[str, dict[str, str]], Unfinished | None]:
        return *self._whole(self.folder), self._under_way(self.folder)

    def _waiting(self) -> list[Path]:
        """The folders of earlier measurements, the newest first."""
        found = [path for path in self.folder.glob(f"{OLD}*") if _OLD.fullmatch(path.name) and path.is_dir()]
        return sorted(found, reverse=True)

    def _take_back(self) -> bool:
        """An earlier measurement that waits, and is of this run, changes places with what is there; whether one did."""
        for aside in self._waiting():
            whole, sums = self._whole(aside)
            if whole is not None or self._ended(aside, self._under_way(aside) is not None, sums):
                self._set_aside()
                self._restore(aside)
                return True
        return False

    def _whole(self, folder: Path) -> tuple[Run | None, dict[str, dict[str, str]]]:
        """The run in `folder`, where it is the one to measure and every point of its sweep is there.

        Where it is not whole: None, and the checksums of its points that its run.json has.
        """
        try:
            run = read_run(folder)
        except RecordError:
            return None, {}
        found = {"spec_hash": run.spec_hash, "requests_sha256": run.requests_sha256, "device": run.machine.device}
        if found != self.of or any(point.status == "failed" for point in run.points):
            return None, {}
        try:
            belonging.require(folder, run)
        except RecordError as error:
            log.warning("the run that is there is not whole: %s", error)
            return None, run.points_sha256 or {}
        return run, {}

    def _under_way(self, folder: Path) -> Unfinished | None:
        """The sweep of this run that was begun in `folder` and not ended."""
        try:
            found = Unfinished.model_validate_json(read_bytes(folder / "unfinished.json", MIB, "measured anew"))
        except (UserError, ValidationError):
            return None
        return found if found.model_dump(exclude={"started_utc"}) == self.of else None

    def _set_aside(self) -> None:
        there = [self.folder / name for name in PARTS]
        if there := [path for path in there if path.exists()]:
            aside = self.folder / f"{OLD}{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%fZ')}"
            log.info("%s: measuring anew; what is there is kept in %s until the new run is whole", self.folder, aside)
            moved: list[Path] = []
            try:
                with self._writing():
                    aside.mkdir()
                    for path in there:
                        path.rename(aside / path.name)
                        moved.append(path)
            except UserError:
                with suppress(OSError):
                    for path in moved:
                        (aside / path.name).rename(path)
                    aside.rmdir()
                raise

    def put_back(self) -> bool:
        """Where no point has ended yet, what was set aside last takes its place again; whether it did."""
        waiting = self._waiting()
        if not waiting or self.points():
            return False
        shutil.rmtree(self.folder / "points", ignore_errors=True)
        for name in FILES:
            (self.folder / name).unlink(missing_ok=True)
        self._restore(waiting[0])
        return True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            said = error.strerror or error
            raise UserError(
                f"{self.folder}: could not be written ({said}); make room or check the permissions"
            ) from None

    def _restore(self, aside: Path) -> None:
        with self._writing():
            for name in PARTS:
                if (aside / name).exists():
                    (aside / name).rename(self.folder / name)
        shutil.rmtree(aside, ignore_errors=True)
        log.info("%s: the earlier measurement is back in its place", self.folder)

    def place(self, index: int, folder: Path | None = None) -> Path:
        """The folder of a point, in the run's own or another."""
        return (folder or self.folder) / "points" / point_folder(index, self._settings[index].label)

    def _ended(self, folder: Path, vouched: bool, sums: dict[str, dict[str, str]]) -> dict[int, Point]:
        """The points of this run in `folder` that have ended well, and whose files are all there, by index.

        Those that do not say what they are of count where they are `vouched` for, by a sweep of this run that is under
        way there. `sums`: the checksums that a run.json there tells of.
        """
        found = {}
        for index in range(len(self._settings)):
            place = self.place(index, folder)
            try:
                point = read_point(place)
            except RecordError:
                continue
            said = point.model_dump(include=set(self.of))
            is_own = said == self.of or (vouched and not any(said.values()))  # earlier records do not say
            if is_own and point.status != "failed" and _is_intact(place, sums.get(place.name)):
                found[index] = point
        return found

    def points(self) -> list[Point]:
        """The points that have ended, in order."""
        return list(self._own().values())

    def _own(self) -> dict[int, Point]:
        return self._ended(self.folder, self._vouched, self._sums)

    def left(self) -> Sequence[int]:
        """Indices of the points still to measure; none after one that ends the sweep."""
        found = self._own()
        ends = (index for index, point in found.items() if point.is_last)
        return [index for index in range(min(ends, default=len(self._settings))) if index not in found]

    def clear(self, index: int) -> None:
        """Remove what a failed or half-written attempt left of a point, and what run.json told of it."""
        self._sums.pop(self.place(index).name, None)
        shutil.rmtree(self.place(index), ignore_errors=True)

    def save(self, point: Point, requests: pl.DataFrame, iterations: pl.DataFrame, energy: pl.DataFrame) -> None:
        """Write a point's files; its folder has its name once all of them are there."""
        with whole_folder(self.place(point.point)) as folder:
            write_parquet(requests, folder / "requests.parquet")
            write_parquet(iterations, folder / "iterations.parquet")
            write_parquet(energy, folder / "energy.parquet")
            write_json(point, folder / "point.json")

    def record(self) -> tuple[list[Point], dict[str, dict[str, str]]]:
        """The points of run.json, up to the one that ended the sweep or failed, and their files' SHA-256.

        Raises UserError where one is not there, though it had ended: somebody has removed it meanwhile.
        """
        points, sums = [], {}
        for index in range(len(self._settings)):
            place = self.place(index)
            try:
                points.append(read_point(place))
                sums[place.name] = sha256s(place)
            except RecordError:
                raise UserError(
                    f"{place}: removed or damaged while its run was measured, expected {', '.join(POINT_FILES)}; "
                    "give the same command again, which measures this point again"
                ) from None
            if points[-1].is_last:
                break
        return points, sums

    def close(self) -> None:
        """The run is whole, its run.json written: what belongs to no part of it goes."""
        self._end(measured=True)

    def _end(self, measured: bool) -> None:
        """Where nothing was `measured`, the points of another run stay that wait for its config to come back."""
        (self.folder / "unfinished.json").unlink(missing_ok=True)
        for aside in self._waiting():
            if measured or not self._holds_others(aside):
                shutil.rmtree(aside, ignore_errors=True)

    def _holds_others(self, aside: Path) -> bool:
        for place in (aside / "points").glob("*"):
            with suppress(RecordError):
                if read_point(place).model_dump(include=set(self.of)) not in (self.of, dict.fromkeys(self.of)):
                    return True
        return False


def _is_intact(place: Path, sums: dict[str, str] | None) -> bool:
    """Whether each file of a point is there, and as a run.json tells of it where there is one."""
    if sums is None:
        return all((place / name).is_file() for name in POINT_FILES)
    try:
        return sha256s(place) == sums
    except RecordError:
        return False
