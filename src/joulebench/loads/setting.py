"""What one point of a run stands for: a load, and its coordinates, of which the sweep varies one."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from joulebench.inputs.checked import Count, Strict

Coordinate = Literal["max_batch_size", "requests", "rate_per_s", "input_tokens", "output_tokens"]
COORDINATES: tuple[Coordinate, ...] = get_args(Coordinate)
"""What a sweep can vary."""

Rate = Annotated[float, Field(ge=0.001, le=100_000, allow_inf_nan=False)]
Burstiness = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]

CLOSED_LOOP = "closed-loop"
"""The load of all that does not name one."""
BATCHES = "batches"
"""What tables call that of diffusion: a closed loop of whole batches."""

_LETTERS = {
    "rate_per_s": "r",
    "burstiness": "g",
    "requests": "n",
    "max_batch_size": "b",
    "input_tokens": "i",
    "output_tokens": "o",
}
_WORDS = {
    "max_batch_size": "B = {:g}",
    "requests": "{:g} requests",
    "rate_per_s": "{:g} requests/s",
    "input_tokens": "{:g} input tokens",
    "output_tokens": "{:g} output tokens",
}


class Setting(Strict):
    """One point: at most `max_batch_size` requests are in flight; the rest is null where the load does not need it.

    `requests`: so many in all. `rate_per_s`: of arrivals, with gaps of a gamma distribution whose shape is `burstiness`
    (1: Poisson). `input_tokens`, `output_tokens`: the length of each prompt and answer; null: the dataset's own, and
    what output_length says. `axis`: the coordinate that the sweep varies.
    """

    load: str = CLOSED_LOOP
    max_batch_size: Count
    requests: Count | None = None
    rate_per_s: Rate | None = None
    burstiness: Burstiness | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    axis: Coordinate = "max_batch_size"

    @property
    def label(self) -> str:
        """`b8`, `n500-b100`, `r4-n500-b256`, `b64-i512-o256`: in file names, and the same for the same point alone."""
        told = ((letter, getattr(self, name)) for name, letter in _LETTERS.items())
        return "-".join(f"{letter}{value:.9g}" for letter, value in told if value is not None)

    @property
    def value(self) -> float:
        """Of the coordinate that the sweep varies."""
        return float(getattr(self, self.axis))

    @property
    def words(self) -> str:
        """`B = 8`, `4 requests/s`: the coordinate that the sweep varies, for people."""
        return in_words(self.axis, self.value)


def in_words(axis: str, value: float) -> str:
    """`B = 8`, `500 requests`, `4 requests/s`."""
    return _WORDS[axis].format(value)
