"""The points of a run, and the protocols that end them: blocks of the config."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from joulebench.checked import Count, Strict


class Fixed(Strict):
    """Serve so many requests and count them whole."""

    kind: Literal["fixed"]
    requests: Count


class Timed(Strict):
    """Once the load is stationary (text: see Sweep.start), so many seconds; what is still in flight is dropped."""

    kind: Literal["timed"]
    seconds: PositiveFloat


class Adaptive(Strict):
    """Once the load is stationary, until energy per output is known well enough."""

    kind: Literal["adaptive"]
    half_width: float = Field(0.02, gt=0, lt=0.5, description="Wanted half-width of the interval, as a share.")
    confidence: float = Field(0.95, ge=0.5, le=0.999)
    min_seconds: PositiveFloat = Field(10.0, description="Of the window.")
    max_seconds: PositiveFloat = Field(120.0, description="The end where the wanted precision is never reached.")
    max_requests: Count | None = Field(None, description="Another such end: so many finished requests.")

    @model_validator(mode="after")
    def _room(self) -> "Adaptive":
        if self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds {self.max_seconds:g} is under min_seconds {self.min_seconds:g}; raise it")
        return self


Ending = Fixed | Timed | Adaptive


class Sweep(Strict):
    """The points of a run: batch sizes in rising order, and when each of them ends."""

    batch_sizes: Annotated[tuple[Count, ...], Field(min_length=1)]
    protocol: Annotated[Ending, Field(discriminator="kind")]
    warmup_batches: NonNegativeInt = Field(1, description="Diffusion: whole batches before the window opens.")
    start: Literal["cold", "equilibrium"] = Field(
        "cold",
        description="Text: a point begins with whole requests, and waits for one turnover of them, or with such as a "
        "long run is found with (answers of given lengths, timed or adaptive).",
    )

    @model_validator(mode="after")
    def _rising(self) -> "Sweep":
        if list(self.batch_sizes) != sorted(set(self.batch_sizes)):
            raise ValueError(f"batch_sizes must rise, found {list(self.batch_sizes)}")
        return self

    @model_validator(mode="after")
    def _counts_whole_requests(self) -> "Sweep":
        if self.start == "equilibrium" and isinstance(self.protocol, Fixed):
            raise ValueError("start is equilibrium, and the protocol fixed counts whole requests; set start: cold")
        return self
