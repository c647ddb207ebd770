"""What reading a prompt costs, and what writing an answer costs, where both can be told apart by subtraction.

A run that has a point of one output token at the same batch size and prompts gives both. A response of one token is a
prefill and nothing else, so

    prefill    = a response of 1 output token
    decode     = a response of n output tokens less one of 1, for its n - 1 further tokens

as optimum-benchmark has it, on which LLM-perf rests. The two points are measured apart, so their errors are
independent: the half-width of a difference is the root of the sum of both squares. Seconds are those of a batch:
B / responses per s. The loading of the model and the first call are the run's own (run.json's parts), the same for all
of its points. The tokens of a prompt are the sample's mean.
"""

from collections.abc import Sequence

import polars as pl

from joulebench.analysis.points import WantedRun
from joulebench.records.files import read_run
from joulebench.tables.schemas import POINTS

RUN = ("model", "variant", "repeat")
_KNOWN = ("energy_per_response_j", "energy_per_response_low_j", "energy_per_response_high_j", "batch_s")


def with_phases(found: pl.DataFrame, wanted: Sequence[WantedRun]) -> pl.DataFrame:
    """`phased`, with what the runs' starts took and drew."""
    return phased(found).join(_starts(wanted), on=RUN, how="left", nulls_equal=True, maintain_order="left")


def phased(found: pl.DataFrame) -> pl.DataFrame:
    """`found` (columns of tables.POINTS) with the phases' columns of tables.STUDY, and its energy per input token.

    Null where the run has no usable point of one output token at that batch size, and for what is not known of it.
    """
    timed = found.with_columns(batch_s=pl.col("max_batch_size") / pl.col("responses_per_s"))
    same = (*RUN, "max_batch_size", "input_tokens")
    first = timed.filter(pl.col("output_tokens") == 1).unique(same, keep="first", maintain_order=True)
    prefill = first.select(*same, *(pl.col(name).alias(f"first_{name}") for name in _KNOWN))
    joined = timed.join(prefill, on=same, how="left", nulls_equal=True, maintain_order="left")
    further = pl.col("output_tokens") - 1
    decodes = (further > 0) & pl.col("first_batch_s").is_not_null()
    energy, first_j = pl.col("energy_per_response_j"), pl.col("first_energy_per_response_j")
    half = (_half("") ** 2 + _half("first_") ** 2).sqrt()
    decode_s = pl.when(decodes).then(pl.col("batch_s") - pl.col("first_batch_s"))
    read = pl.col("max_batch_size") * pl.col("mean_prompt_tokens")
    prompt = pl.coalesce("response_prompt_tokens", "mean_prompt_tokens")
    decoded = {"": energy - first_j, "_low": energy - first_j - half, "_high": energy - first_j + half}
    return joined.with_columns(
        **{f"energy_per_input_token{bound}_j": pl.col(f"energy_per_response{bound}_j") / prompt for bound in decoded},
        prefill_s="first_batch_s",
        prefill_tokens_per_s=read / pl.col("first_batch_s"),
        **{f"prefill_energy{bound}_j": f"first_energy_per_response{bound}_j" for bound in decoded},
        **{
            f"prefill_energy_per_token{bound}_j": pl.col(f"first_energy_per_response{bound}_j") / prompt
            for bound in decoded
        },
        decode_s=decode_s,
        decode_tokens_per_s=pl.when(decode_s > 0).then(pl.col("max_batch_size") * further / decode_s),
        **{f"decode_energy{bound}_j": pl.when(decodes).then(value) for bound, value in decoded.items()},
        **{
            f"decode_energy_per_token{bound}_j": pl.when(decodes).then(value / further)
            for bound, value in decoded.items()
        },
    ).drop("batch_s", *(f"first_{name}" for name in _KNOWN))


def _half(of: str) -> pl.Expr:
    return (pl.col(f"{of}energy_per_response_high_j") - pl.col(f"{of}energy_per_response_low_j")) / 2


def _starts(wanted: Sequence[WantedRun]) -> pl.DataFrame:
    """RUN, and what its loading and its first call took and drew."""
    rows = []
    for one in wanted:
        run, spec = read_run(one.folder), one.spec
        took, drew = run.durations_s or {}, run.energies_j or {}
        parts = ("engine_start", "first_call")
        told = [value for part in parts for value in (took.get(part), drew.get(part))]
        rows.append((spec.model, spec.variant, spec.repeat, *told))
    names = ("load_s", "load_energy_j", "first_call_s", "first_call_energy_j")
    schema = pl.Schema({**{name: POINTS[name] for name in RUN}, **dict.fromkeys(names, pl.Float64())})
    return pl.DataFrame(rows, schema=schema, orient="row")
