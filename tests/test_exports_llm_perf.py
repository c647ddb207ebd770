"""A study as LLM-perf publishes it: its units, and one row a point that writes."""

import pytest
from building import point_row, table_of

from joulebench.exports.llm_perf import COLUMNS, laid_beside
from joulebench.tables.schemas import STUDY

WRITES = {
    "model": "o/m",
    "variant": "bnb-int4",
    "engine": "transformers-static",
    "dtype": "float16",
    "quantization": "bitsandbytes-int4",
    "max_batch_size": 2,
    "gpus": 1,
    "input_tokens": 256,
    "output_tokens": 64,
    "mean_prompt_tokens": 256.0,
    "load_s": 20.0,
    "load_energy_j": 3600.0,
    "prefill_s": 0.1,
    "prefill_energy_j": 36.0,
    "prefill_energy_low_j": 18.0,
    "prefill_energy_high_j": 72.0,
    "decode_s": 2.0,
    "decode_tokens_per_s": 63.0,
    "decode_energy_j": 360.0,
    "decode_energy_low_j": 180.0,
    "decode_energy_high_j": 720.0,
    "decode_energy_per_token_j": 6.0,
    "decode_energy_per_token_low_j": 3.0,
    "decode_energy_per_token_high_j": 12.0,
    "peak_memory_mb": 16_000.0,
    "allocated_memory_mb": 14_000.0,
}


def test_energies_are_kwh_of_a_call_and_efficiencies_tokens_for_a_kwh() -> None:
    alone = {"output_tokens": 1, "decode_s": None}
    row = laid_beside(table_of(STUDY, point_row(**WRITES | alone), point_row(**WRITES))).row(0, named=True)
    assert row["config.name"] == "o/m+bnb-int4"
    assert row["config.backend.name"] == "pytorch"
    assert row["config.backend.quantization_scheme"] == "bitsandbytes-int4"
    assert row["report.load.energy.total"] == pytest.approx(0.001)
    ends = ("", ".low", ".high")
    # A call is a batch of two: 72 J are 2e-5 kWh, 720 J 2e-4.
    assert [row[f"report.prefill.energy.total{end}"] for end in ends] == pytest.approx([2e-5, 1e-5, 4e-5])
    assert [row[f"report.decode.energy.total{end}"] for end in ends] == pytest.approx([2e-4, 1e-4, 4e-4])
    # 256 tokens for 36 J, and one for 6 J.
    efficiency = [row[f"report.prefill.efficiency.value{end}"] for end in ends]
    assert efficiency == pytest.approx([25.6e6, 12.8e6, 51.2e6])
    assert [row[f"report.decode.efficiency.value{end}"] for end in ends] == pytest.approx([6e5, 3e5, 1.2e6])
    assert row["report.decode.memory.max_global_vram"] == 16_000.0
    assert row["report.decode.memory.max_reserved"] is None


def test_only_points_that_write_beyond_a_first_token_have_a_row() -> None:
    found = laid_beside(table_of(STUDY, point_row(**WRITES | {"output_tokens": 1, "decode_s": None})))
    assert found.is_empty()
    assert found.columns == list(COLUMNS)


def test_without_a_gpu_the_devices_memory_is_no_gpus() -> None:
    row = laid_beside(table_of(STUDY, point_row(**WRITES | {"gpus": None}))).row(0, named=True)
    assert row["report.decode.memory.max_global_vram"] is None
