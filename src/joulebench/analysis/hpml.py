"""What HPML says that a setting saves: each claim as it was said, with its source; analysis.claims tests them.

Planning reads it for the studies that the claims are looked for in, so that it computes nothing and imports no table.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The energy at b is `ratio` times that at a, in the digits in which it was said.

    `studies`: where it is looked for, and further ones whose points of one output token tell its prefill. `varies`: the
    column in which a and b differ; of several values the first that is there counts.
    """

    says: str
    source: str
    ratio: str
    studies: tuple[str, ...]
    varies: str
    a: tuple[int | str | None, ...]
    b: tuple[int | str | None, ...]

    @property
    def range(self) -> tuple[float, float]:
        """What rounds to `ratio`."""
        said = Decimal(self.ratio)
        half = Decimal((0, (5,), int(said.as_tuple().exponent) - 1))
        return float(said - half), float(said + half)


_TABLE = (
    "HPML project, Benchmarking Energy Consumption for LLM Inference Across Diverse Workloads "
    "(github.com/ap461719/Benchmarking-Energy-Consumption-LLMs, results/metrics_output.csv at 038da93): Llama-2-7B, "
    "Energy_per_InputToken"
)
_BATCHES = ("hpml-batch-size", "hpml-batch-size-first-token")
_PLAIN = (None, "fp16", "bf16")

CLAIMS = (
    Claim(
        says="A batch of 2 takes 46 % less energy per input token than a batch of 1",
        source=f"{_TABLE} 4.3762 and 2.3619 J",
        ratio="0.54",
        studies=_BATCHES,
        varies="max_batch_size",
        a=(1,),
        b=(2,),
    ),
    Claim(
        says="A batch of 4 takes 47 % less energy per input token than a batch of 2",
        source=f"{_TABLE} 2.3619 and 1.2431 J",
        ratio="0.53",
        studies=_BATCHES,
        varies="max_batch_size",
        a=(2,),
        b=(4,),
    ),
    Claim(
        says="int8 takes 1.4 times the energy of float16",
        source=f"{_TABLE} 1.2431 and 1.7748 J",
        ratio="1.4",
        studies=("hpml-precision",),
        varies="variant",
        a=_PLAIN,
        b=("bnb-int8", "onnx-int8"),
    ),
    Claim(
        says="int4 takes 1.9 times the energy of float16",
        source=f"{_TABLE} 1.2431 and 2.3661 J",
        ratio="1.9",
        studies=("hpml-precision",),
        varies="variant",
        a=_PLAIN,
        b=("bnb-int4", "onnx-int4"),
    ),
    Claim(
        says="Prompts of 512 tokens take 70 % less energy per input token than prompts of 128",
        source=f"{_TABLE} 1.2211 and 0.3723 J",
        ratio="0.30",
        studies=("hpml-input-length",),
        varies="input_tokens",
        a=(128,),
        b=(512,),
    ),
)
STUDIES = tuple(dict.fromkeys(study for claim in CLAIMS for study in claim.studies))
"""The studies that the claims are looked for in."""
