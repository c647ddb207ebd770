"""Carbon intensities: a number of the config, or one module a source, which gives a CarbonReading and never raises.

A new source is one block in joulebench.config.footprint, one module here, and one line below.
"""

from joulebench.carbon import country, electricity_maps
from joulebench.config.footprint import CarbonAsked, CarbonNumber, CarbonOfCountry, CarbonReading


def reading(asked: CarbonAsked | None) -> CarbonReading:
    """The carbon intensity that `footprint.carbon` asks for, or why there is none."""
    if asked is None:
        return CarbonReading(asked=None, reason="the config names none (footprint.carbon)")
    if isinstance(asked, CarbonNumber):
        return CarbonReading(asked=asked.model_dump(), g_per_kwh=asked.g_per_kwh, source=asked.source)
    if isinstance(asked, CarbonOfCountry):
        return country.read(asked)
    return electricity_maps.read(asked)
