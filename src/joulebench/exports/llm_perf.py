"""A study's table with the columns of LLM-perf's published CSVs, so that both can be laid side by side.

LLM-perf (huggingface.co/spaces/optimum/llm-perf-leaderboard) publishes what optimum-benchmark tells, flattened:
latencies in s, throughputs in tokens/s, energies in kWh of one call (a batch), efficiencies in tokens/kWh, memory in MB
(10^6 bytes). Its prefill is a call that writes one token, its decode a call of all tokens less that (analysis.phases).
What it has no column for has one beside: `.low` and `.high` are the ends of the 95 % interval. Its energy is
CodeCarbon's, of processor, memory and GPU; this one is of what `joulebench.energy_source` says.
"""

import polars as pl

from joulebench.analysis.points import J_PER_KWH

BACKENDS = {"transformers": "pytorch", "transformers-static": "pytorch"}
"""The engine -> LLM-perf's word for it, where that is another."""

_B = pl.col("max_batch_size")


def _bounded(name: str, of: str, batch: pl.Expr) -> dict[str, pl.Expr]:
    """The energy of one call, kWh, with its interval."""
    ends = {"": "", ".low": "_low", ".high": "_high"}
    return {f"{name}{end}": pl.col(f"{of}{bound}_j") * batch / J_PER_KWH for end, bound in ends.items()}


def _efficiency(name: str, tokens: pl.Expr, of: str) -> dict[str, pl.Expr]:
    """Tokens for a kWh, of a phase whose energy is of so many tokens; the ends of the interval change places."""
    ends = {"": "", ".low": "_high", ".high": "_low"}
    energies = {end: pl.col(f"{of}{bound}_j") for end, bound in ends.items()}
    return {f"{name}{end}": pl.when(j > 0).then(tokens * J_PER_KWH / j) for end, j in energies.items()}


COLUMNS: dict[str, pl.Expr] = {
    "config.name": pl.concat_str("model", "variant", separator="+", ignore_nulls=True),
    "config.backend.name": pl.col("engine").replace(BACKENDS),
    "config.backend.model": pl.col("model"),
    "config.backend.torch_dtype": pl.col("dtype"),
    "config.backend.attn_implementation": pl.col("attention"),
    "config.backend.quantization_scheme": pl.col("quantization"),
    "config.scenario.input_shapes.batch_size": _B,
    "config.scenario.input_shapes.sequence_length": pl.col("input_tokens"),
    "config.scenario.generate_kwargs.max_new_tokens": pl.col("output_tokens"),
    "report.load.latency.mean": pl.col("load_s"),
    "report.load.energy.total": pl.col("load_energy_j") / J_PER_KWH,
    "report.prefill.latency.mean": pl.col("prefill_s"),
    "report.prefill.latency.p50": pl.col("ttft_p50_s"),
    "report.prefill.throughput.value": pl.col("prefill_tokens_per_s"),
    **_bounded("report.prefill.energy.total", "prefill_energy", _B),
    **_efficiency("report.prefill.efficiency.value", pl.col("mean_prompt_tokens"), "prefill_energy"),
    "report.decode.latency.mean": pl.col("decode_s"),
    "report.decode.throughput.value": pl.col("decode_tokens_per_s"),
    **_bounded("report.decode.energy.total", "decode_energy", _B),
    **_efficiency("report.decode.efficiency.value", pl.lit(1), "decode_energy_per_token"),
    "report.per_token.latency.p50": pl.col("itl_p50_s"),
    "report.decode.memory.max_ram": pl.col("ram_mb"),
    "report.decode.memory.max_global_vram": pl.when(pl.col("gpus") > 0).then("peak_memory_mb"),
    "report.decode.memory.max_process_vram": pl.col("process_memory_mb"),
    "report.decode.memory.max_reserved": pl.col("reserved_memory_mb"),
    "report.decode.memory.max_allocated": pl.col("allocated_memory_mb"),
    "joulebench.hardware": pl.col("device"),
    "joulebench.energy_source": pl.col("energy_source"),
    "joulebench.verdict": pl.col("verdict"),
}
"""Column -> what of a study's table (tables.STUDY) it is."""


def laid_beside(study: pl.DataFrame) -> pl.DataFrame:
    """One row for each point of a study that writes more than one token, and has a point of one token beside it.

    `study`: columns of tables.STUDY. The result has those of COLUMNS, and no row where the study does not vary
    `output_tokens` from 1 on.
    """
    return study.filter(pl.col("decode_s").is_not_null()).select(**COLUMNS)
