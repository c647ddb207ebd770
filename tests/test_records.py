"""Whole files or none, and damaged ones refused by name."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from joulebench import records
from joulebench.records import RecordError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted as root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def large() -> pl.DataFrame:
    """A frame of 1.6 MB that does not compress."""
    return pl.DataFrame({"value": np.random.default_rng(0).random(200_000)})


def test_disk_full_leaves_no_file_and_says_so(small_disk: Path, large: pl.DataFrame) -> None:
    with pytest.raises(RecordError, match=r"x\.parquet: could not be written \(No space left on device\)"):
        records.write_parquet(large, small_disk / "x.parquet")
    with pytest.raises(RecordError, match="No space left on device"):
        records.write_text("x" * 1_000_000, small_disk / "x.txt")
    assert list(small_disk.iterdir()) == []


def test_disk_full_keeps_the_file_that_was_there(small_disk: Path, large: pl.DataFrame) -> None:
    path = small_disk / "x.parquet"
    records.write_parquet(large.head(10), path)
    before = path.read_bytes()
    with pytest.raises(RecordError):
        records.write_parquet(large, path)
    assert path.read_bytes() == before


def test_disk_full_leaves_no_point_folder(small_disk: Path, large: pl.DataFrame) -> None:
    def save() -> None:
        with records.whole_folder(small_disk / "00-b1") as folder:
            records.write_text("{}", folder / "point.json")
            records.write_parquet(large, folder / "energy.parquet")

    with pytest.raises(RecordError, match="No space left on device"):
        save()
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_broke_off_is_not_there(tmp_path: Path) -> None:
    def save() -> None:
        with records.whole_folder(tmp_path / "00-b1") as folder:
            records.write_text("{}", folder / "point.json")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save()
    assert list(tmp_path.iterdir()) == []


def test_corrupt_and_missing_parquet_are_named(tmp_path: Path) -> None:
    path = tmp_path / "energy.parquet"
    with pytest.raises(RecordError, match=r"energy\.parquet: missing"):
        records.read_parquet(path, records.ENERGY)
    path.write_bytes(b"PAR1 and then nonsense")
    with pytest.raises(RecordError, match=r"energy\.parquet: not a readable Parquet file"):
        records.read_parquet(path, records.ENERGY)
    records.write_parquet(pl.DataFrame({"time_s": [1.0]}), path)
    with pytest.raises(RecordError, match=r"energy\.parquet: no column device, source, energy_j"):
        records.read_parquet(path, records.ENERGY)


def test_what_earlier_records_lack_is_null(tmp_path: Path) -> None:
    then = {name: dtype for name, dtype in records.ENERGY.items() if name not in ("power_capped", "processes")}
    records.write_parquet(pl.DataFrame({name: [None] for name in then}, schema=then), tmp_path / "energy.parquet")
    read = records.read_parquet(tmp_path / "energy.parquet", records.ENERGY)
    assert (read.schema, read.row(0)) == (records.ENERGY, (None,) * len(records.ENERGY))


def test_damaged_point_is_named(tmp_path: Path) -> None:
    (tmp_path / "point.json").write_text('{"point": 0, "max_batch')
    with pytest.raises(RecordError, match=r"point\.json: not a point record"):
        records.read_point(tmp_path)


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path, large: pl.DataFrame) -> None:
    records.write_parquet(large, tmp_path / "a.parquet")
    records.write_parquet(large.clone(), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
