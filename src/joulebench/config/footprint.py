"""What joules are multiplied with to give carbon and cost: a block of the config, and what is recorded of it."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, StringConstraints, model_validator

from joulebench.inputs.checked import Strict, TableText
from joulebench.names import HardwareName
from joulebench.records.models import Record

MOST_G_PER_KWH = 2000.0
"""More than the electricity of any country or grid: lignite emits about 1,200 gCO2e a kWh over its life cycle, and the
highest country of CodeCarbon's table has 1,306. What is read above it is not a carbon intensity."""


class CarbonNumber(Strict):
    """A carbon intensity that is known."""

    kind: Literal["number"]
    g_per_kwh: NonNegativeFloat = Field(description="gCO2e of a kWh.")
    source: TableText = Field(
        min_length=1, description="Where the number is from; it is shown beside every figure of it."
    )


class CarbonOfCountry(Strict):
    """A country's yearly mean, from the table that CodeCarbon ships."""

    kind: Literal["country"]
    iso: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(description="ISO 3166-1 alpha-3, as USA.")


class CarbonNow(Strict):
    """The latest reading of Electricity Maps; its token is in the environment, ELECTRICITY_MAPS_TOKEN."""

    kind: Literal["electricity-maps"]
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,6})*$")] = Field(
        description="As Electricity Maps names it: DE, US-CAL-CISO."
    )
    emission_factors: Literal["lifecycle", "direct"] = "lifecycle"


CarbonAsked = Annotated[CarbonNumber | CarbonOfCountry | CarbonNow, Field(discriminator="kind")]


class Footprint(Strict):
    """Carbon and cost; what is left out is null in the tables, never a guess."""

    pue: float = Field(
        default=1.0,
        ge=1,
        description="Power usage effectiveness: the building's energy over its machines'. 1: the device's own.",
    )
    carbon: CarbonAsked | None = None
    price_per_kwh: NonNegativeFloat | None = Field(default=None, description="Of electricity, in `currency`.")
    price_per_gpu_hour: dict[HardwareName, PositiveFloat] = Field(
        default_factory=dict, description="By hardware, in `currency`: a bought or rented device, without electricity."
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(default="USD", description="ISO 4217.")


class CarbonReading(Record):
    """results/carbon.json: a carbon intensity and where it is from, or null and the reason.

    asked: the config's block. The rest is of a live reading: read_utc, when it was asked for; time_utc, the hour that
    it is of; is_estimated and estimation_method, as the source says.
    """

    asked: dict[str, Any] | None
    g_per_kwh: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    source: str | None = None
    reason: str | None = None
    read_utc: str | None = None
    time_utc: str | None = None
    is_estimated: bool | None = None
    estimation_method: str | None = None

    @model_validator(mode="after")
    def _known_or_why_not(self) -> "CarbonReading":
        known = self.g_per_kwh is not None
        if (self.source is not None) != known or (self.reason is not None) == known:
            raise ValueError("expected g_per_kwh and source, or a reason")
        return self
