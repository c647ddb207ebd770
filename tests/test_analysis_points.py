"""Bad input, and that the same records give the same bytes."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import example_spec, fitted, machine, point_record, sources_of, write_point, write_run

from joulebench.analysis import metrics
from joulebench.analysis.keyed import Recorded
from joulebench.analysis.leaderboard import leaderboard
from joulebench.analysis.points import WantedRun, points
from joulebench.analysis.verdicts import NO_ENERGY
from joulebench.config.spec import RunSpec
from joulebench.families import TEXT
from joulebench.files import RecordError
from joulebench.records.files import write_parquet
from joulebench.records.schemas import ENERGY, ITERATIONS, REQUESTS
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import LEFT_OUT, POINTS


def spec(model: str = "example/one", **changes: Any) -> RunSpec:
    return example_spec(hardware="cpu", device="cpu", engine="transformers", model=model, **changes)


def energy(first_s: float = -1.0, last_s: float = 12.0, **columns: Any) -> pl.DataFrame:
    times = [first_s + 0.5 * i for i in range(int((last_s - first_s) / 0.5) + 1)]
    rows = pl.DataFrame({"time_s": times}).with_columns(
        device=pl.lit("cpu:0"), source=pl.lit("rapl"), energy_j=pl.col("time_s") * 50 + 1000, power_w=pl.lit(50.0)
    )
    return fitted(rows.with_columns(**columns), ENERGY)


def write(
    folder: Path, wanted: RunSpec, meters: pl.DataFrame | None = None, waiting: int = 1, **point: Any
) -> WantedRun:
    """A run of one point, B = 1: ten iterations of 1 s, two tokens each, a request finishing at every second."""
    ended = point_record(1, **{"started_utc": "", "duration_s": 10.0} | point)
    steps = [(0, i, i + 1.0, 1, waiting if i < 9 else 0, 5, 2, (i + 1) % 2, i % 2, 0, 0.1, None) for i in range(10)]
    served = [(0, i, 10, 4, 0.0, 2.0 * i, 2.0 * i + 1, 2.0 * i + 2, "finished", None, None) for i in range(5)]
    meters = energy() if meters is None else meters
    frames = {
        "iterations": pl.DataFrame(steps, schema=ITERATIONS, orient="row"),
        "requests": pl.DataFrame(served, schema=REQUESTS, orient="row"),
        "energy": meters,
    }
    write_point(folder, ended, frames if ended.status in ("measured", "overloaded") else {})
    used = machine(device="Example CPU", tdp_w=80.0, tdp_source="a table", energy_sources=sources_of(meters))
    return write_run(folder, wanted, ended, machine=used)


def row(wanted: WantedRun) -> dict[str, Any]:
    return points([wanted])[0].row(0, named=True)


def energy_columns() -> list[str]:
    named = [name for name in POINTS if "energy_per" in name]
    return [*named, "power_w", "integrated_power_ratio"]


def test_a_plain_point(tmp_path: Path) -> None:
    # One request has finished at 2 s; the last waits at 9 s. 50 W for 7 s over 14 tokens; 4 tokens a response.
    found = row(write(tmp_path, spec()))
    assert found["energy_per_response_j"] == pytest.approx(350 / 14 * 4)
    assert found["integrated_power_ratio"] == pytest.approx(1.0)
    assert found["tdp_estimate_j"] == pytest.approx(80 / 0.5)  # 2 tokens a second are half a response a second
    assert found["reason"] is None


def test_what_ends_an_answer(tmp_path: Path) -> None:
    for kind in ("natural", "reference", "fixed"):
        wanted = write(tmp_path / kind, spec(output_length={"kind": kind, "tokens": 8}), status="failed")
        assert row(wanted)["answers"] == kind


def test_the_configs_tdp_goes_before_the_machines(tmp_path: Path) -> None:
    wanted = write(tmp_path, spec())
    assert row(WantedRun(tmp_path, wanted.spec, 120.0))["tdp_estimate_j"] == pytest.approx(240.0)


@pytest.mark.parametrize("name", ["iterations", "requests", "energy"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    healthy, wanted = write(tmp_path / "a", spec("example/a")), write(tmp_path / "b", spec("example/b"))
    file = tmp_path / "b" / "points" / "00-b1" / f"{name}.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RecordError) as caught:
        points([healthy, wanted])
    assert str(caught.value).startswith(f"{file}: not a readable Parquet file")
    assert "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(RecordError) as caught:
        points([healthy, wanted])
    assert str(caught.value).startswith(f"{file}: no such file")


def test_a_missing_run_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"run\.json: no such file"):
        points([WantedRun(tmp_path, spec(), None)])


def test_times_that_go_back_are_named(tmp_path: Path) -> None:
    wanted = write(tmp_path, spec(), energy().reverse())
    with pytest.raises(RecordError, match=r"energy\.parquet: time_s is null or goes back"):
        points([wanted])


def test_a_column_typed_otherwise_is_read(tmp_path: Path) -> None:
    wanted = write(tmp_path, spec())
    file = tmp_path / "points" / "00-b1" / "iterations.parquet"
    expected = row(wanted)
    write_parquet(pl.read_parquet(file).with_columns(pl.col("running").cast(pl.Int64)), file)
    assert row(wanted) == expected


def test_another_spec_is_left_out_and_named(tmp_path: Path) -> None:
    kept = write(tmp_path / "kept", spec("example/kept"))
    measured = write(tmp_path / "run", spec(variant="half"))
    table, left_out = points([WantedRun(measured.folder, spec(variant="half", dtype="float32"), None), kept])
    assert table["model"].to_list() == ["example/kept"]
    assert left_out.select("task", "run").rows() == [("llm-chat", "example--one+half")]
    assert measured.spec.hash[:12] in left_out["reason"][0]


def test_nothing_wanted_is_an_empty_table() -> None:
    table, left_out = points([])
    assert (table.schema, table.height, left_out.schema) == (POINTS, 0, LEFT_OUT)


def test_what_nothing_measures_is_null(tmp_path: Path) -> None:
    meters = energy(source=pl.lit(None, pl.String), energy_j=pl.lit(None, pl.Float64))
    found = row(write(tmp_path, spec(), meters))
    assert [found[name] for name in energy_columns()] == [None] * len(energy_columns())
    assert found["energy_source"] is None
    assert found["verdict"] == NO_ENERGY
    assert found["reason"] == "no energy: nothing measures cpu:0"
    assert found["output_tokens_per_s"] == pytest.approx(2.0)


def test_what_nothing_measures_is_on_the_leaderboard_by_its_latencies(tmp_path: Path) -> None:
    meters = energy(device=pl.lit("host"), source=pl.lit(None, pl.String), energy_j=pl.lit(None, pl.Float64))
    best = leaderboard(points([write(tmp_path, spec(), meters)])[0], {}).row(0, named=True)
    assert (best["max_batch_size"], best["verdict"], best["energy_per_response_j"]) == (1, NO_ENERGY, None)
    assert best["latency_p50_s"] is not None


def test_what_nothing_measures_is_checked_all_the_same(tmp_path: Path) -> None:
    meters = energy(last_s=5.0, source=pl.lit(None, pl.String), energy_j=pl.lit(None, pl.Float64))
    later = meters.with_columns(time_s=pl.col("time_s") + 8.0)
    found = row(write(tmp_path, spec(), pl.concat([meters, later])))
    assert found["verdict"] == "flagged: sampler gap (2 s, at most 1 s)"


def test_a_sum_without_one_device_is_no_sum(tmp_path: Path) -> None:
    lacking = energy(device=pl.lit("dram:0"), source=pl.lit(None, pl.String), energy_j=pl.lit(None, pl.Float64))
    found = row(write(tmp_path, spec(), pl.concat([energy(), lacking])))
    assert found["energy_per_response_j"] is None
    assert found["reason"] == "no energy: nothing measures dram:0"
    assert found["verdict"] == "invalid: no energy: nothing measures dram:0"


def test_sources_of_gpus_are_joined(tmp_path: Path) -> None:
    counters = (("gpu:0", "nvml_power"), ("gpu:1", "nvml_counter"))
    meters = [energy(device=pl.lit(device), source=pl.lit(source)) for device, source in counters]
    found = row(write(tmp_path, spec(), pl.concat(meters)))
    assert found["energy_source"] == "nvml_counter+nvml_power"
    assert found["power_w"] == pytest.approx(100.0)


def drawing(device: str, source: str, watts: float) -> pl.DataFrame:
    counter = pl.col("time_s") * watts + 5000
    return energy(device=pl.lit(device), source=pl.lit(source), energy_j=counter, power_w=pl.lit(watts))


@pytest.mark.slow
def test_of_two_sources_of_a_processor_the_more_trusted_counts(tmp_path: Path) -> None:
    meters = [energy(), drawing("dram:0", "rapl", 5.0), drawing("host", "codecarbon_estimate", 40.0)]
    for folder, ordered in (("a", meters), ("b", meters[::-1])):
        found = row(write(tmp_path / folder, spec(), pl.concat(ordered)))
        assert found["energy_source"] == "rapl"
        assert found["power_w"] == pytest.approx(55.0)
        assert found["integrated_power_ratio"] == pytest.approx(1.0)
        assert (found["host_energy_per_response_j"], found["host_energy_source"]) == (None, None)


def test_the_host_beside_gpus_is_in_a_column_of_its_own(tmp_path: Path) -> None:
    meters = [
        drawing("gpu:0", "nvml_counter", 400.0),
        drawing("cpu:0", "rapl", 30.0),
        drawing("dram:0", "rapl", 5.0),
        drawing("host", "codecarbon_estimate", 70.0),
    ]
    found = row(write(tmp_path, spec(), pl.concat(meters)))
    # 7 s over 14 tokens, 4 tokens a response.
    assert found["energy_per_response_j"] == pytest.approx(400 * 7 / 14 * 4)
    assert (found["energy_source"], found["gpus"]) == ("nvml_counter", 1)
    assert found["host_energy_per_response_j"] == pytest.approx(35 * 7 / 14 * 4)
    assert found["host_energy_source"] == "rapl"


@pytest.mark.slow
def test_a_host_that_nothing_measures_has_no_energy(tmp_path: Path) -> None:
    gpu, cpu = drawing("gpu:0", "nvml_counter", 400.0), drawing("cpu:0", "rapl", 30.0)
    unknown = [pl.lit(None, pl.Float64).alias("energy_j"), pl.lit(None, pl.String).alias("source")]
    late = cpu.filter(pl.col("time_s") > 4)
    for folder, parts in (("a", [gpu]), ("b", [gpu, cpu.with_columns(unknown)]), ("c", [gpu, late])):
        found = row(write(tmp_path / folder, spec(), pl.concat(parts)))
        assert found["host_energy_per_response_j"] is None
        assert found["energy_per_response_j"] == pytest.approx(800.0)
        assert found["reason"] is None


@pytest.mark.parametrize("meters", [energy(first_s=3.0), energy(last_s=8.0)])
def test_nothing_is_extrapolated(tmp_path: Path, meters: pl.DataFrame) -> None:
    found = row(write(tmp_path, spec(), meters))
    assert [found[name] for name in energy_columns()] == [None] * len(energy_columns())
    span = f"{meters['time_s'][0]} to {meters['time_s'][-1]} s"
    assert found["reason"] == f"no energy: the window, 2.0 to 9.0 s, is not within the counters' updates, {span}"
    assert found["verdict"] == f"invalid: {found['reason']}"


def test_a_counter_that_went_back_gives_no_energy(tmp_path: Path) -> None:
    back = pl.when(pl.col("time_s") > 5).then(pl.col("time_s")).otherwise(pl.col("time_s") + 500)
    found = row(write(tmp_path, spec(), energy(energy_j=back)))
    assert found["energy_per_response_j"] is None
    assert found["reason"] == "no energy: the counter went back on cpu:0"
    assert found["verdict"] == "invalid: no energy: the counter went back on cpu:0"


def test_a_counter_that_stood_still_is_read_between_its_updates(tmp_path: Path) -> None:
    # It moves at 1, 5 and 10 s alone: 50 W from 1 s on, 100 W from 5 s on. 2 to 9 s: 150 + 400 J over 14 tokens.
    stepwise = pl.when(pl.col("time_s") < 5).then(0.0).when(pl.col("time_s") < 10).then(200.0).otherwise(700.0)
    stepwise = pl.when(pl.col("time_s") < 1).then(-1.0).otherwise(stepwise)
    found = row(write(tmp_path, spec(), energy(energy_j=stepwise)))
    assert found["energy_per_output_token_j"] == pytest.approx(550 / 14)


def test_no_stationary_window_is_said_and_nothing_put_in_its_place(tmp_path: Path) -> None:
    found = row(write(tmp_path, spec(), waiting=0))
    figures = [name for name in POINTS if name.endswith(("_j", "_s", "_w")) and not name.startswith(("mean", "tdp_w"))]
    assert [found[name] for name in figures] == [None] * len(figures)
    assert found["window"] is None
    assert found["reason"] == "no stationary window: no request waited once the batch had filled"


@pytest.mark.parametrize("status", ["out_of_memory", "failed"])
def test_a_point_that_failed_has_a_row(tmp_path: Path, status: str) -> None:
    found = row(write(tmp_path, spec(), status=status, reason="no room for the batch"))
    assert (found["status"], found["reason"], found["max_batch_size"]) == (status, "no room for the batch", 1)
    figures = [name for name, dtype in POINTS.items() if dtype == pl.Float64 and name != "tdp_w"]
    assert [found[name] for name in figures] == [None] * len(figures)


def test_an_unknown_weight_gives_no_quantile(tmp_path: Path) -> None:
    wanted = write(tmp_path, spec())
    file = tmp_path / "points" / "00-b1" / "iterations.parquet"
    lost = pl.when(pl.col("iteration") != 5).then(pl.col("first_tokens", "prompt_tokens"))
    write_parquet(pl.read_parquet(file).with_columns(lost), file)
    with pytest.raises(RecordError, match="first_tokens is null"):
        row(wanted)
    sizes = pl.DataFrame([(0, "closed-loop", 1, "a", 8, None, None, None)], schema=metrics.SIZES, orient="row")
    found = metrics.text(Recorded.read({0: file.parent}, TEXT), sizes).row(0, named=True)
    assert (found["itl_p50_s"], found["energy_per_total_token_j"]) == (None, None)
    assert found["energy_per_output_token_j"] == pytest.approx(25.0)


@pytest.mark.slow
def test_same_records_same_bytes(tmp_path: Path) -> None:
    models = [f"example/m{i}" for i in range(13)]
    wanted = [write(tmp_path / str(i), spec(model)) for i, model in enumerate(models)]
    written = []
    for order in (wanted, wanted, wanted[::-1]):
        write_csv(points(order)[0], POINTS, tmp_path / "points.csv")
        written.append((tmp_path / "points.csv").read_bytes())
    assert written[0] == written[1] == written[2]
    assert read_csv(tmp_path / "points.csv", POINTS)["model"].to_list() == sorted(models)


def test_how_many_answers_the_limit_ended(tmp_path: Path) -> None:
    for limit, share in ((4, 1.0), (5, 0.0)):
        found = row(write(tmp_path / str(limit), spec(output_length={"kind": "natural", "tokens": limit})))
        assert (found["limited_share"], found["response_output_tokens"]) == (share, 4.0)
