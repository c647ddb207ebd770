"""What is left to do in a run's folder: nothing done, an interrupted sweep to go on with, or a whole run."""

import logging
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from joulebench.records import ENDS_SWEEP, Machine, Point, Record, RecordError, point_folder, read_point, write_json
from joulebench.spec import RunSpec

log = logging.getLogger(__name__)


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
    """One run's folder while it is measured.

    A sweep that was interrupted goes on at its first unfinished point if the spec, the requests and the device are
    the same; anything else in the folder is an older measurement, and is measured anew.
    """

    def __init__(self, folder: Path, spec: RunSpec, requests_sha256: str, machine: Machine) -> None:
        self.folder = folder
        self._batches = spec.sweep.batch_sizes
        wanted = Unfinished(
            spec_hash=spec.hash, requests_sha256=requests_sha256, device=machine.device, started_utc=utc_now()
        )
        found = self._read()
        if found is not None and found == wanted.model_copy(update={"started_utc": found.started_utc}):
            self.started_utc = found.started_utc
            log.info("going on with the sweep of %s: %d points are there", found.started_utc, len(self.points()))
        else:
            if (folder / "points").exists():
                log.info("%s: measuring anew; the points of an earlier measurement are removed", folder)
            (folder / "run.json").unlink(missing_ok=True)
            shutil.rmtree(folder / "points", ignore_errors=True)
            write_json(wanted, folder / "unfinished.json")
            self.started_utc = wanted.started_utc

    def _read(self) -> Unfinished | None:
        try:
            return Unfinished.model_validate_json((self.folder / "unfinished.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def place(self, index: int) -> Path:
        """The folder of a point."""
        return self.folder / "points" / point_folder(index, self._batches[index])

    def points(self) -> list[Point]:
        """The points that have ended, in order, up to the first that has not."""
        found = []
        for index in range(len(self._batches)):
            try:
                point = read_point(self.place(index))
            except RecordError:
                break
            if point.status == "failed":
                break
            found.append(point)
        return found

    def left(self) -> Sequence[int]:
        """Indices of the points still to measure; none after one that ends the sweep."""
        done = self.points()
        if done and done[-1].status in ENDS_SWEEP:
            return []
        return range(len(done), len(self._batches))

    def clear(self, index: int) -> None:
        """Remove what a failed or half-written attempt left of a point."""
        shutil.rmtree(self.place(index), ignore_errors=True)

    def close(self) -> None:
        """The sweep is whole; run.json must have been written."""
        (self.folder / "unfinished.json").unlink(missing_ok=True)
