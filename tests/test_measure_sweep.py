"""Sweeps over engines that break: what the points say, what is saved, and what is left to do."""

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from building import machine, tiny_spec

from joulebench.config import sweeps
from joulebench.config.spec import RunSpec
from joulebench.config.tasks import Sample
from joulebench.engines import is_out_of_memory
from joulebench.engines.base import Prepared
from joulebench.errors import UserError
from joulebench.measure.run import versions
from joulebench.measure.session import Session
from joulebench.measure.sweep import Sweep
from joulebench.meters.sampling import Sampling
from joulebench.records.files import read_parquet, read_point
from joulebench.records.schemas import BATCHES


class Narrow:
    """A pipeline that has room for so many images; above that torch itself is asked for more than there is."""

    def __init__(self, room: int, error: Exception | None = None) -> None:
        self.room, self.error = room, error
        self.arguments = {"guidance_scale": 7.5}

    def prepare(self, requests: pl.DataFrame) -> list[Prepared]:
        raise NotImplementedError

    def generate(self, batch: Sequence[Prepared]) -> int:
        if len(batch) > self.room:
            if self.error is not None:
                raise self.error
            torch.empty(10**15)
        return 4

    def close(self) -> None:
        pass


@pytest.fixture
def spec() -> RunSpec:
    protocol = sweeps.Fixed(kind="fixed", requests=8)
    return tiny_spec("text-to-image", sweep=sweeps.Sweep(batch_sizes=(1, 2, 4, 8), protocol=protocol))


def sweep(spec: RunSpec, engine: Narrow, folder: Path) -> Session:
    session = Session(folder, spec, "digest", machine())
    folder.mkdir(parents=True, exist_ok=True)
    with Sampling.start(("none",), folder) as sampling:
        sweep = Sweep(spec, engine, [Prepared("a"), Prepared("b")], sampling)
        sweep.make_ready()
        sweep.run(session)
    return session


@pytest.mark.slow
def test_out_of_memory_ends_the_sweep_and_is_data(tmp_path: Path, spec: RunSpec) -> None:
    session = sweep(spec, Narrow(room=2), tmp_path / "run")
    assert [(one.max_batch_size, one.status) for one in session.points()] == [
        (1, "measured"),
        (2, "measured"),
        (4, "out_of_memory"),
    ]
    assert "can't allocate memory" in str(session.points()[-1].reason)
    assert list(session.left()) == []
    assert read_parquet(session.place(1) / "iterations.parquet", BATCHES)["outputs"].to_list() == [2] * 5


@pytest.mark.slow
def test_any_other_error_is_a_failure_that_is_saved_and_measured_again(tmp_path: Path, spec: RunSpec) -> None:
    broken = Narrow(room=1, error=RuntimeError("out of memory, says somebody else"))
    with pytest.raises(UserError, match="B = 2: RuntimeError: out of memory, says somebody else"):
        sweep(spec, broken, tmp_path / "run")
    assert read_point(tmp_path / "run" / "points" / "01-b2").status == "failed"
    before = (tmp_path / "run" / "points" / "00-b1" / "iterations.parquet").read_bytes()
    session = sweep(spec, Narrow(room=100), tmp_path / "run")
    assert [one.status for one in session.points()] == ["measured"] * 4
    assert (tmp_path / "run" / "points" / "00-b1" / "iterations.parquet").read_bytes() == before


@pytest.mark.slow
def test_another_spec_measures_anew(tmp_path: Path, spec: RunSpec) -> None:
    sweep(spec, Narrow(room=100), tmp_path / "run")
    assert list(Session(tmp_path / "run", spec, "digest", machine()).left()) == []
    other = spec.model_copy(update={"sample": Sample(requests=7)})
    assert list(Session(tmp_path / "run", other, "digest", machine()).left()) == [0, 1, 2, 3]


def test_only_torch_itself_says_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    for other in (RuntimeError("CUDA error: out of memory"), MemoryError(), ValueError("can't allocate memory")):
        assert not is_out_of_memory(other)


def test_where_there_is_no_torch_nothing_is_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # so that importing it fails
    assert not is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")
    )
    assert not is_out_of_memory(OSError("something else broke"))


def test_a_copy_without_a_checkout_is_told_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEBENCH_COMMIT", "0123abc-dirty")
    assert versions(())["commit"] == "0123abc-dirty"
    monkeypatch.setenv("JOULEBENCH_COMMIT", "the latest")
    with pytest.raises(UserError, match=r"^JOULEBENCH_COMMIT: found 'the latest'; expected [^\n]+$"):
        versions(())
