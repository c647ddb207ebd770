"""The points of a run, and the protocols that end them: blocks of the config."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, model_validator

from joulebench.inputs.checked import Count, Strict
from joulebench.loads import LOADS, load
from joulebench.loads.setting import CLOSED_LOOP, COORDINATES, Burstiness, Coordinate, Rate, Setting


class Fixed(Strict):
    """Serve so many requests and count them whole."""

    kind: Literal["fixed"]
    requests: Count


class Timed(Strict):
    """Once the load is stationary (text: see Sweep.start), so many seconds; what is still in flight is dropped."""

    kind: Literal["timed"]
    seconds: PositiveFloat
    min_batches: Count | None = Field(
        None, description="So many whole batches at least (3): transformers-static and diffusers serve in such."
    )


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


LoadName = Annotated[str, AfterValidator(lambda name: load(name) and name), Field(json_schema_extra={"enum": [*LOADS]})]
Requests = Annotated[int, Field(gt=0, le=1_000_000)]
Volumes = Annotated[tuple[Requests, ...], Field(min_length=1)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
Rates = Annotated[tuple[Rate, ...], Field(min_length=1)]


class Sweep(Strict):
    """The points of a run: a load, one of its coordinates as a list in rising order, and when each point ends."""

    batch_sizes: tuple[Count, ...] = Field((), description="Maximum batch sizes, where these are what varies.")
    load: LoadName = Field(CLOSED_LOOP, description="Text: who is submitted when.")
    max_batch_size: Count | None = Field(None, description="So many in flight at most, where something else varies.")
    requests: Requests | Volumes | None = Field(None, description="So many in all: at-once, poisson, gamma.")
    rate_per_s: Rate | Rates | None = Field(None, description="Of arrivals: poisson, gamma.")
    burstiness: Burstiness | None = Field(
        None, description="gamma: the shape of the gaps; 1 is poisson, less is bursts."
    )
    input_tokens: Count | Counts | None = Field(None, description="Text: prompts of exactly so many tokens.")
    output_tokens: Count | Counts | None = Field(None, description="Text: answers of exactly so many tokens.")
    protocol: Annotated[Ending | None, Field(discriminator="kind")] = Field(
        None, description="When a point ends; at-once, poisson and gamma end with their last answer."
    )
    warmup_batches: NonNegativeInt = Field(1, description="Diffusion: whole batches before the window opens.")
    start: Literal["cold", "equilibrium"] = Field(
        "cold",
        description="Text, in a closed loop: a point begins with whole requests, and waits for one turnover of them, "
        "or with such as a long run is found with (timed or adaptive; runs of natural answers stay cold).",
    )

    @property
    def axis(self) -> Coordinate:
        return "max_batch_size" if self.batch_sizes else self._lists()[0]

    @property
    def settings(self) -> tuple[Setting, ...]:
        axis = self.axis
        held = {name: getattr(self, name) for name in (*COORDINATES, "burstiness") if name != axis}
        values = self.batch_sizes if axis == "max_batch_size" else getattr(self, axis)
        return tuple(Setting(load=self.load, axis=axis, **{**held, axis: value}) for value in values)

    @property
    def largest_batch(self) -> int:
        """The most requests that are ever in flight."""
        return max(one.max_batch_size for one in self.settings)

    def _lists(self) -> list[Coordinate]:
        return [name for name in COORDINATES if isinstance(getattr(self, name), tuple)]

    @model_validator(mode="after")
    def _varies_one(self) -> "Sweep":
        lists: list[str] = [*(["batch_sizes"] if self.batch_sizes else []), *self._lists()]
        if len(lists) != 1:
            found = ", ".join(lists) or "none"
            raise ValueError(f"one list says what varies (batch_sizes, {', '.join(COORDINATES[1:])}); found {found}")
        values = list(getattr(self, lists[0]))
        if values != sorted(set(values)):
            raise ValueError(f"{lists[0]} must rise, found {values}")
        if self.batch_sizes and self.max_batch_size is not None:
            raise ValueError("batch_sizes and max_batch_size say the same of a point; leave one out")
        if not self.batch_sizes and self.max_batch_size is None:
            raise ValueError("max_batch_size is missing: how many requests are in flight at most")
        return self

    @model_validator(mode="after")
    def _load_fits(self) -> "Sweep":
        of = load(self.load)
        own = {"requests", "rate_per_s", "burstiness"}
        for name in sorted(own):
            given = getattr(self, name) is not None
            if name in of.needs and not given:
                raise ValueError(f"the load {self.load} needs {name}")
            if name not in of.needs and given:
                raise ValueError(f"the load {self.load} takes no {name}; leave it out")
        if of.counts and self.protocol is not None:
            raise ValueError(f"the load {self.load} ends with its last answer; leave protocol out")
        if not of.counts and self.protocol is None:
            raise ValueError("protocol is missing: timed, adaptive or fixed")
        return self

    @model_validator(mode="after")
    def _counts_whole_requests(self) -> "Sweep":
        if self.start == "equilibrium" and isinstance(self.protocol, Fixed):
            raise ValueError("start is equilibrium, and the protocol fixed counts whole requests; set start: cold")
        if self.start == "equilibrium" and self.load != CLOSED_LOOP:
            raise ValueError(f"start is equilibrium, which is a closed loop's; the load is {self.load}")
        return self
