"""Geweke's test of a window's start."""

from math import isnan, sqrt

import numpy as np
import polars as pl
import pytest
from building import PROJECT
from hypothesis import given
from hypothesis import strategies as st

from joulebench.analysis import drift, windows
from joulebench.analysis.energy import Drawn, headline
from joulebench.analysis.keyed import KEY, read_energy
from joulebench.loads.stretch import inside, with_durations

ONE = np.ones(20)
SWEEP = PROJECT / "results/h100/runs/llm-chat/google--gemma-2-2b-it/points"


def test_by_hand() -> None:
    # The first two of ten against the last five, 6 and 10.2. The other eight differ from their mean by -1, 1, -1 ...:
    # variance 8 / 7; products of neighbours sum to -7, of the next ones to 6. 8/7 + 2 (2/3 (-7/7) + 1/3 (6/7)) = 8/21
    # is less than independent blocks have: 8/7 stands.
    energy = [6, 6, 9, 11, 9, 11, 9, 11, 9, 11]
    assert drift.geweke(energy, [1] * 10) == pytest.approx((51 / 5 - 6) / sqrt(8 / 7 * (1 / 2 + 1 / 5)))
    # -1 four times, then 1 four times: neighbours 5, next ones 2. 8/7 + 2 (2/3 (5/7) + 1/3 (2/7)) = 16/7.
    energy = [6, 6, 9, 9, 9, 9, 11, 11, 11, 11]
    assert drift.geweke(energy, [1] * 10) == pytest.approx((53 / 5 - 6) / sqrt(16 / 7 * (1 / 2 + 1 / 5)))


def test_a_cheap_start_fires_and_a_level_window_does_not() -> None:
    level = 100 + 1.5 * np.random.default_rng(0).normal(size=26)
    cheap = level.copy()
    cheap[:6] -= 9
    assert drift.geweke(level, np.ones(26)) < drift.LIMIT < drift.geweke(cheap, np.ones(26))


def test_without_noise() -> None:
    assert drift.geweke(7.0 * ONE, ONE) == 0.0
    assert drift.geweke(np.where(np.arange(20) < 3, 6.0, 7.0), ONE) == float("inf")


@pytest.mark.parametrize(("energy", "amount"), [(ONE[:9], ONE[:9]), (ONE * np.nan, ONE), (ONE, 0 * ONE)])
def test_what_cannot_be_told_is_nan(energy: np.ndarray, amount: np.ndarray) -> None:
    assert isnan(drift.geweke(energy, amount))


@given(st.lists(st.floats(1.0, 100.0), min_size=10, max_size=40, unique=True), st.floats(0.01, 100.0))
def test_units_do_not_matter(energy: list[float], unit: float) -> None:
    ones = np.ones(len(energy))
    assert drift.geweke(unit * np.array(energy), ones) == pytest.approx(drift.geweke(energy, ones), rel=1e-6)
    assert drift.geweke(energy, unit * ones) == pytest.approx(drift.geweke(energy, ones), rel=1e-6)


@pytest.mark.parametrize(("point", "batch", "start_fires"), [(0, 8, False), (5, 256, True), (6, 512, True)])
def test_on_the_h100(point: int, batch: int, start_fires: bool) -> None:
    """At large batches the queue window begins with a long young turnover; no stationary window drifts."""
    folder = SWEEP / f"{point:02d}-b{batch}"
    rows = pl.read_parquet(folder / "iterations.parquet").with_columns(key=pl.lit(0, KEY)).lazy()
    found = windows.text_windows(rows, windows.one_size(batch)).collect()
    fires = []
    for start in ("queue_start_s", "start_s"):
        cut = windows.blocks(inside(with_durations(rows).collect(), found, start))
        ends = pl.DataFrame({"key": 0, "at_s": [found[start].item(), *cut["end_s"]]}, schema_overrides={"key": KEY})
        energy = Drawn(headline(read_energy({0: folder / "energy.parquet"}))).energy_j(ends, "at_s").to_numpy()
        fires.append(drift.geweke(np.diff(energy), cut["output_tokens"]) > drift.LIMIT)
    assert fires == [start_fires, False]
