"""A country's yearly mean, from the table that CodeCarbon ships: gCO2e of a kWh over the life cycle of power plants.

The table is Our World in Data's, of Ember's figures (codecarbon/data/private_infra/global_energy_mix.json; CodeCarbon's
methodology, "Carbon Intensity"). It is read as a file: importing CodeCarbon would look for hardware, and take seconds.
"""

import json
from importlib import metadata
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from joulebench.config.footprint import MOST_G_PER_KWH, CarbonOfCountry, CarbonReading
from joulebench.inputs.checked import nearest

TABLE = "codecarbon/data/private_infra/global_energy_mix.json"


class _Country(BaseModel):
    country_name: Annotated[str, Field(min_length=1)]
    year: int
    # The table has a 0 where it does not know: no life cycle emits nothing.
    carbon_intensity: Annotated[float, Field(gt=0, le=MOST_G_PER_KWH, allow_inf_nan=False)]


def read(asked: CarbonOfCountry, package: str = "codecarbon") -> CarbonReading:
    """The country's mean with its year, or null and why: no CodeCarbon here, or nothing of it in its table."""
    try:
        installed = metadata.distribution(package)
        rows = json.loads(Path(str(installed.locate_file(TABLE))).read_bytes())
        if asked.iso not in rows:
            return _unknown(asked, f"CodeCarbon's table has no country '{asked.iso}'{nearest(asked.iso, rows)}")
        found = _Country.model_validate(rows[asked.iso])
    except metadata.PackageNotFoundError:
        return _unknown(asked, f"{package}, whose table it is, is not installed: pip install -r envs/analysis.txt")
    except (OSError, ValueError, TypeError):
        return _unknown(asked, f"CodeCarbon's table has no usable figure for {asked.iso}")
    where = f"{found.country_name} ({asked.iso}), mean of {found.year}"
    source = f"{where}: Our World in Data (Ember), in the table of CodeCarbon {installed.version}"
    return CarbonReading(asked=asked.model_dump(), g_per_kwh=found.carbon_intensity, source=source)


def _unknown(asked: CarbonOfCountry, reason: str) -> CarbonReading:
    return CarbonReading(asked=asked.model_dump(), reason=reason)
