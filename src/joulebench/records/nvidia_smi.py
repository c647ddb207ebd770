"""A log of nvidia-smi, put beside a run's records as `nvidia-smi.csv`: a second source of what its GPUs drew.

    nvidia-smi --query-gpu=timestamp,uuid,power.draw --format=csv -lms 100 > nvidia-smi.csv

Other columns may be there, in any order, with their units or without (`nounits`). Its times are those of the machine's
own clock, to the millisecond, without a zone.
"""

import io
from pathlib import Path
from typing import Final

import polars as pl

from joulebench.errors import UserError, in_one_line
from joulebench.files import RecordError
from joulebench.inputs.reading import MIB, read_text

LOG: Final = "nvidia-smi.csv"
"""Its name in a run's folder."""
COMMAND: Final = "nvidia-smi --query-gpu=timestamp,uuid,power.draw --format=csv -lms 100"
REMEDY: Final = f"log with {COMMAND}, or remove the file"
MOST_BYTES = 512 * MIB
POWERS: Final = ("power.draw", "power.draw.average", "power.draw.instant")
"""Columns of power, the first that is there counts. On GPUs from Ampere on, GA100 apart, the first two are the same:
the mean of the last second (NVML API, nvmlDeviceGetPowerUsage)."""
GPUS: Final = ("uuid", "gpu_uuid", "index")
"""Columns that tell GPUs apart, the first that is there counts."""

SMI = pl.Schema({"gpu": pl.String(), "is_uuid": pl.Boolean(), "time": pl.Datetime("ms"), "power_w": pl.Float64()})
"""One row a reading. `gpu`: the GPU's UUID (`is_uuid`), else its index, empty where the log names none. `time`: without
a zone, as it stands there. `power_w`: null where the log has none, as `[N/A]`."""


def read_log(path: Path) -> pl.DataFrame:
    """The readings of a log (SMI), of each GPU in the order of time.

    A last line that was being written, and the headers of logs that were joined, are left out.
    Raises RecordError where it cannot be read, lacks a column, or holds another kind of value; where the times of a GPU
    go back; and where the readings of several GPUs are not told apart.
    """
    try:
        text = read_text(path, MOST_BYTES, REMEDY)
    except UserError as error:
        raise RecordError(str(error)) from None
    header, _, rest = text.partition("\n")
    names = [name.partition("[")[0].strip() for name in header.split(",")]
    power = next((one for one in POWERS if one in names), None)
    gpu = next((one for one in GPUS if one in names), None)
    if power is None or "timestamp" not in names:
        raise _refused(path, f"its first line is '{header.strip():.80}'", "a header with timestamp and power.draw")
    lines = rest[: rest.rfind("\n") + 1]
    columns = pl.Schema({str(place): pl.String() for place in range(len(names))})
    try:
        read = pl.read_csv(io.StringIO(lines), has_header=False, schema=columns, quote_char=None)
    except pl.exceptions.NoDataError:
        read = columns.to_frame()
    except pl.exceptions.PolarsError as error:
        what = f"not a table of {len(names)} columns ({in_one_line(error, 80)})"
        raise _refused(path, what, "as many values a line, and a point as the decimal mark (LC_ALL=C)") from None
    when, watts, whose = (_column(names, name) for name in ("timestamp", power, gpu))
    read = read.filter(when != "timestamp")
    kept = read.select(
        whose.alias("gpu"),
        pl.lit(gpu is not None and gpu != "index").alias("is_uuid"),
        when.str.to_datetime("%Y/%m/%d %H:%M:%S%.f", time_unit="ms", strict=False).alias("time"),
        watts.str.strip_suffix("W").str.strip_chars().str.extract(r"^([0-9]+(?:\.[0-9]+)?)$").cast(pl.Float64),
        said=when,
        watts=watts,
    ).rename({str(names.index(power)): "power_w"})
    unknown = pl.col("watts").str.contains(r"^(\[.*\]|N/A)$")  # [N/A], [Not Supported], [Unknown Error]
    for bad, said, expected in (
        (pl.col("time").is_null(), "said", "a time as 2026/03/04 05:06:07.891"),
        (pl.col("power_w").is_null() & ~unknown.fill_null(False), "watts", "a power as 71.80 W, or [N/A]"),
    ):
        if (wrong := kept.filter(bad)).height:
            raise _refused(path, f"a line with '{wrong[said][0] or '':.40}'", expected)
    if kept.is_empty():
        raise _refused(path, "no reading", "a line a reading")
    found = kept.select(*SMI)
    if found.filter(pl.col("time").diff().over("gpu") < pl.duration()).height:
        raise _refused(path, "its times go back", "one log, by a clock that was not set")
    if gpu is None and _is_of_several(found["time"]):
        raise _refused(path, "several readings at a time, and no column uuid or index", "a column that tells the GPUs")
    return found.sort("gpu", "time", maintain_order=True)


def _column(names: list[str], name: str | None) -> pl.Expr:
    """The column of that name, without what stands around its values; empty text where there is none."""
    return pl.lit("") if name is None else pl.col(str(names.index(name))).str.strip_chars()


def _is_of_several(times: pl.Series) -> bool:
    """Whether readings come in groups: a quarter of the steps or more are under a tenth of the ninth decile."""
    steps = times.diff().drop_nulls().cast(pl.Int64)
    return steps.len() > 0 and float((steps < (steps.quantile(0.9) or 0) / 10).mean() or 0) >= 0.25  # type: ignore[arg-type]


def _refused(path: Path, found: str, expected: str) -> RecordError:
    return RecordError(f"{path}: {found}, expected {expected}; {REMEDY}")
