"""What a response's energy comes to: with its building's, as carbon, as money (footprint.csv).

With E the energy per response, in J, its interval scaled alike:

    energy with PUE  = E x PUE. PUE is a data centre's energy over its IT equipment's, of a year (ISO/IEC 30134-2).
                       E is of the devices that were measured, the GPUs alone where there are any: no host is in it.
    carbon           = energy with PUE / 3.6e6 J/kWh x gCO2e/kWh: operational emissions, O = E x I of the Software
                       Carbon Intensity (ISO/IEC 21031:2024). What making the hardware emitted is not in it.
    electricity cost = energy with PUE / 3.6e6 J/kWh x price of a kWh
    GPU cost         = price of a GPU's hour / 3600 s/h x GPUs / responses per s: each GPU of the run is paid for
                       throughout, whatever it draws.
"""

from pathlib import Path

import polars as pl

from joulebench.analysis.verdicts import USABLE
from joulebench.config.footprint import CarbonReading, Footprint
from joulebench.inputs.checked import checked
from joulebench.inputs.yaml_files import read_yaml
from joulebench.tables.columns import BOUNDS
from joulebench.tables.schemas import FOOTPRINT

J_PER_KWH = 3.6e6
S_PER_HOUR = 3600.0


def read_carbon(path: Path) -> CarbonReading:
    """results/carbon.json. Raises UserError where it is missing or damaged."""
    return checked(CarbonReading, read_yaml(path, "carbon"), str(path))


def footprint(points: pl.DataFrame, asked: Footprint, carbon: CarbonReading, on_gpu: bool) -> pl.DataFrame:
    """One row (tables.FOOTPRINT) for each of `points` (tables.POINTS), in their order.

    `on_gpu`: whether the hardware is GPUs, each of which has the price; else it is one machine with that price.
    What is not known is null, as are the sums that it is part of; `reason` names each thing that is missing.
    """
    prices = pl.col("hardware").replace_strict(asked.price_per_gpu_hour, default=None, return_dtype=pl.Float64)
    paid = pl.col("gpus").cast(pl.Float64) if on_gpu else pl.lit(1.0)
    with_pue = {bound: pl.col(f"energy_per_response{bound}_j") * asked.pue for bound in BOUNDS}
    kwh = {bound: energy / J_PER_KWH for bound, energy in with_pue.items()}
    electricity = kwh[""] * pl.lit(asked.price_per_kwh, pl.Float64)
    gpu = prices / S_PER_HOUR * paid / _positive("responses_per_s")
    return points.with_columns(
        pue=pl.lit(asked.pue),
        **{f"energy_with_pue_per_response{bound}_j": energy for bound, energy in with_pue.items()},
        carbon_g_per_kwh=pl.lit(carbon.g_per_kwh, pl.Float64),
        carbon_source=pl.lit(carbon.source, pl.String),
        **{
            f"carbon_per_response{bound}_g": energy * pl.lit(carbon.g_per_kwh, pl.Float64)
            for bound, energy in kwh.items()
        },
        currency=pl.lit(asked.currency),
        electricity_cost_per_response=electricity,
        gpu_cost_per_response=gpu,
        cost_per_response=electricity + gpu,
        reason=_reason(asked, carbon, prices, paid),
    ).select(pl.col(name).cast(dtype) for name, dtype in FOOTPRINT.items())


def _reason(asked: Footprint, carbon: CarbonReading, prices: pl.Expr, paid: pl.Expr) -> pl.Expr:
    served = pl.col("status").is_in(USABLE)
    no_price = pl.format("no footprint.price_per_gpu_hour of {}", pl.col("hardware"))
    parts = [
        pl.when(~served).then(pl.format("no figures: {}", pl.col("status").str.replace_all("_", " "))),
        pl.when(served & pl.col("energy_per_response_j").is_null()).then(pl.lit("no energy was measured")),
        pl.lit(None if carbon.reason is None else f"no carbon intensity: {carbon.reason}", pl.String),
        pl.lit("no footprint.price_per_kwh" if asked.price_per_kwh is None else None, pl.String),
        pl.when(prices.is_null()).then(no_price),
        pl.when(served & paid.is_null()).then(pl.lit("how many GPUs served is not recorded")),
        pl.when(served & _positive("responses_per_s").is_null()).then(pl.lit("no responses per second")),
    ]
    return pl.concat_str(parts, separator="; ", ignore_nulls=True).replace("", None)


def _positive(name: str) -> pl.Expr:
    return pl.when(pl.col(name) > 0).then(pl.col(name))
