"""Carbon intensities: one module a source, each turns what the config asks for into a CarbonReading, and never raises.

A new source is one block in joulebench.config.footprint, one module here, and one line below.
"""

from joulebench.carbon import country, electricity_maps, number
from joulebench.config.footprint import CarbonAsked, CarbonNumber, CarbonOfCountry, CarbonReading


def reading(asked: CarbonAsked | None) -> CarbonReading:
    """The carbon intensity that `footprint.carbon` asks for, or why there is none."""
    if asked is None:
        return CarbonReading(asked=None, reason="the config names none (footprint.carbon)")
    if isinstance(asked, CarbonNumber):
        return number.read(asked)
    if isinstance(asked, CarbonOfCountry):
        return country.read(asked)
    return electricity_maps.read(asked)
