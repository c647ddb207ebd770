"""Whole files or none, and damaged ones refused by name."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from building import PROJECT, machine
from pydantic import ValidationError

from joulebench import files
from joulebench.files import RecordError
from joulebench.records.files import read_parquet, read_point, read_run, sha256s, write_json, write_parquet
from joulebench.records.models import EngineStart
from joulebench.records.schemas import ENERGY, POINT_FILES


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
        write_parquet(large, small_disk / "x.parquet")
    with pytest.raises(RecordError, match="No space left on device"):
        files.write_text("x" * 1_000_000, small_disk / "x.txt")
    assert list(small_disk.iterdir()) == []


def test_disk_full_keeps_the_file_that_was_there(small_disk: Path, large: pl.DataFrame) -> None:
    path = small_disk / "x.parquet"
    write_parquet(large.head(10), path)
    before = path.read_bytes()
    with pytest.raises(RecordError):
        write_parquet(large, path)
    assert path.read_bytes() == before


def test_disk_full_leaves_no_point_folder(small_disk: Path, large: pl.DataFrame) -> None:
    def save() -> None:
        with files.whole_folder(small_disk / "00-b1") as folder:
            files.write_text("{}", folder / "point.json")
            write_parquet(large, folder / "energy.parquet")

    with pytest.raises(RecordError, match="No space left on device"):
        save()
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_broke_off_is_not_there(tmp_path: Path) -> None:
    def save() -> None:
        with files.whole_folder(tmp_path / "00-b1") as folder:
            files.write_text("{}", folder / "point.json")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save()
    assert list(tmp_path.iterdir()) == []


def test_corrupt_and_missing_parquet_are_named(tmp_path: Path) -> None:
    path = tmp_path / "energy.parquet"
    with pytest.raises(RecordError, match=r"energy\.parquet: no such file"):
        read_parquet(path, ENERGY)
    path.write_bytes(b"PAR1 and then nonsense")
    with pytest.raises(RecordError, match=r"energy\.parquet: not a readable Parquet file"):
        read_parquet(path, ENERGY)
    write_parquet(pl.DataFrame({"time_s": [1.0]}), path)
    with pytest.raises(RecordError, match=r"energy\.parquet: no column device, source, energy_j"):
        read_parquet(path, ENERGY)


def test_what_earlier_records_lack_is_null(tmp_path: Path) -> None:
    then = {name: dtype for name, dtype in ENERGY.items() if name not in ("power_capped", "processes")}
    write_parquet(pl.DataFrame({name: [None] for name in then}, schema=then), tmp_path / "energy.parquet")
    read = read_parquet(tmp_path / "energy.parquet", ENERGY)
    assert (read.schema, read.row(0)) == (ENERGY, (None,) * len(ENERGY))


def test_damaged_point_is_named(tmp_path: Path) -> None:
    (tmp_path / "point.json").write_text('{"point": 0, "max_batch')
    with pytest.raises(RecordError, match=r"point\.json: not a point record"):
        read_point(tmp_path)


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path, large: pl.DataFrame) -> None:
    write_parquet(large, tmp_path / "a.parquet")
    write_parquet(large.clone(), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.col("time_s").cast(pl.String), "time_s is of type String, expected Float64"),
        (pl.lit("abc").alias("time_s"), "time_s is of type String, expected Float64"),
        (pl.lit("maybe").alias("throttled"), "throttled is of type String, expected Boolean"),
        (pl.concat_list("energy_j"), "energy_j is of type List(Float64), expected Float64"),
        (pl.col("processes").cast(pl.Float64), "processes is of type Float64, expected Int32"),
        (pl.lit(99_999_999_999).alias("processes"), "a value that its column cannot hold"),
    ],
)
def test_another_kind_of_value_is_refused(tmp_path: Path, change: pl.Expr, said: str) -> None:
    path = tmp_path / "energy.parquet"
    rows = pl.DataFrame({name: [None] for name in ENERGY}, schema=ENERGY)
    rows.with_columns(time_s=1.0, energy_j=2.0, processes=pl.lit(3, pl.Int32)).with_columns(change).write_parquet(path)
    with pytest.raises(RecordError) as caught:
        read_parquet(path, ENERGY)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_numbers_of_another_size_are_read(tmp_path: Path) -> None:
    path = tmp_path / "energy.parquet"
    rows = pl.DataFrame({name: [None] for name in ENERGY}, schema=ENERGY)
    other = {"energy_j": pl.Series([2], dtype=pl.Int64), "processes": pl.Series([3], dtype=pl.Int64)}
    rows.with_columns(**other, power_w=pl.Series([0.5], dtype=pl.Float32)).write_parquet(path)
    read = read_parquet(path, ENERGY)
    assert (read.schema, read.select("energy_j", "processes", "power_w").row(0)) == (ENERGY, (2.0, 3, 0.5))


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "energy.parquet")
    (tmp_path / "point.json").mkdir()
    (tmp_path / "run.json").symlink_to("/dev/zero")
    for read, name in (
        (lambda: read_parquet(tmp_path / "energy.parquet", ENERGY), "energy.parquet"),
        (lambda: read_point(tmp_path), "point.json"),
        (lambda: read_run(tmp_path), "run.json"),
        (lambda: sha256s(tmp_path), "requests.parquet"),
    ):
        with pytest.raises(RecordError, match=rf"{name}: (no such file|a \w+, expected a plain file); delete"):
            read()


def test_the_sums_of_a_points_files(tmp_path: Path) -> None:
    for name in POINT_FILES:
        (tmp_path / name).write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256s(tmp_path) == dict.fromkeys(POINT_FILES, digest)


@pytest.mark.parametrize("duration_s", ["NaN", "Infinity", '"soon"'])
def test_a_number_that_is_none_is_refused(tmp_path: Path, duration_s: str) -> None:
    point = f'{{"point": 0, "max_batch_size": 1, "status": "measured", "started_utc": "", "duration_s": {duration_s}}}'
    (tmp_path / "point.json").write_text(point)
    with pytest.raises(RecordError, match=r"point\.json: not a point record") as caught:
        read_point(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("idle_power_w", [float("nan"), float("inf"), -50, "abc", [1], True])
def test_an_idle_power_that_is_none_is_refused(idle_power_w: Any) -> None:
    with pytest.raises(ValidationError, match=r"idle_power_w is .*, expected a number of W"):
        machine(devices=[{"idle_power_w": idle_power_w}])
    with pytest.raises(ValidationError, match=r"uuid is .*, expected text"):
        machine(devices=[{"uuid": [1]}])
    assert machine(devices=[{"idle_power_w": None}]).devices


def test_a_run_from_before_starts_were_told_apart_is_read(tmp_path: Path) -> None:
    published = next((PROJECT / "results" / "h100" / "runs" / "llm-chat").glob("*/run.json"))
    before = {name: value for name, value in json.loads(published.read_text()).items() if name != "engine_start"}
    (tmp_path / "run.json").write_text(json.dumps(before))
    run = read_run(tmp_path)
    assert run.engine_start is None
    told = run.model_copy(update={"engine_start": EngineStart(process="fork", compile_cache="warm")})
    write_json(told, tmp_path / "run.json")
    assert read_run(tmp_path) == told
