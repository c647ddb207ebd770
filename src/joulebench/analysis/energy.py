"""Energy between two times, from cumulative counters.

A counter is polled far more often than it moves (NVML's moves every 100 ms). Its value is known at its updates
only, and taken as linear between two of them, not between two polls. Nothing is extrapolated.

Which devices count together is told by joulebench.records.sources: `headline` and `host` pick their polls.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl

from joulebench.analysis.keyed import KEY, bounds_by_key, by_key, whole_sum
from joulebench.analysis.sources import joined
from joulebench.records.sources import Counted, counted


class Drawn:
    """What devices of many points drew, summed over the devices of each point."""

    def __init__(self, energy: pl.DataFrame) -> None:
        """`energy`: the polls of the devices that count (`headline`, `host`), of each in the order of time."""
        polls = energy.select("key", "device", "source", "time_s", "energy_j", "power_w", "memory_used_mb")
        of = {device: polls.filter(pl.col("device") == device) for device in sorted(polls["device"].unique())}
        self._updates = {device: updates(one) for device, one in of.items()}
        self._counters = [_of_counter(one) for one in self._updates.values()]
        self._powers = [_of_power(one) for one in of.values()]
        self.devices = _devices(polls, self._updates)

    def points(self) -> pl.DataFrame:
        """One row a point that has polls.

        key; energy_source: the devices' sources (analysis.sources), null where none has any; gpus: how many
        are; peak_memory_mb: the sum of the devices' own peaks; unmeasured and reset: the devices without a source,
        and those whose counter went back, as text, null where there are none; first_s, last_s: between these times
        every counter is known.
        """
        return self.devices.group_by("key", maintain_order=True).agg(
            energy_source=joined(pl.col("source")),
            gpus=pl.col("device").str.starts_with("gpu:").sum(),
            peak_memory_mb=whole_sum("peak_memory_mb"),
            unmeasured=_names(pl.col("source").is_null()),
            reset=_names(pl.col("reset")),
            first_s=pl.col("first_s").max(),
            last_s=pl.col("last_s").min(),
        )

    def energy_j(self, times: pl.DataFrame, column: str) -> pl.Series:
        """The counters' sum at the times `column` of `times` (with key), one value a row.

        Null outside of a counter's updates, and where a device of the point has no source or was reset.
        """
        untrusted = self.devices.filter(pl.col("source").is_null() | pl.col("reset"))["key"].unique()
        trusted = times.with_columns(pl.when(~pl.col("key").is_in(untrusted.implode())).then(pl.col(column)))
        asked = _asked(trusted, column)
        return _summed([_at(knots, asked) for knots in self._counters], times.height)

    def update_gaps_s(self, windows: pl.DataFrame) -> pl.DataFrame:
        """key, update_gap_s: the longest time between two updates of a counter, of the device that has the longest.

        `windows`: key, start_s, end_s. The times that straddle a window's ends count too.
        """
        return longest_gaps_s(self._updates.values(), windows, "update_gap_s")

    def integrated_power_j(self, times: pl.DataFrame, column: str) -> pl.Series:
        """The same from `power_w`: its integral, with the power linear between polls, null outside of them."""
        asked = _asked(times, column)
        return _summed([_at(knots, asked) for knots in self._powers], times.height)


def updates(polls: pl.DataFrame) -> pl.DataFrame:
    """The polls of one device at which its counter had moved, and each point's first one.

    `polls`: key, time_s, energy_j. Returns key, time_s, energy_j, and `reset`: the counter was lower than before.
    """
    moved = pl.col("energy_j") - pl.col("energy_j").shift()
    known = polls.lazy().filter(pl.col("energy_j").is_not_null())
    return (
        known.with_columns(reset=~_first() & (moved < 0))
        .filter(_first() | (moved != 0))
        .select("key", "time_s", "energy_j", "reset")
        .collect()
    )


def at_each(meter: Callable[[pl.DataFrame, str], pl.Series], times: pl.DataFrame, *columns: str) -> Iterator[pl.Series]:
    """What `meter` says at the times of each of the `columns` of `times`; it is asked once."""
    stacked = pl.concat([times.select("key", at_s=column) for column in columns])
    values = meter(stacked, "at_s")
    return (values.slice(place * times.height, times.height) for place in range(len(columns)))


def longest_gaps_s(devices: Iterable[pl.DataFrame], windows: pl.DataFrame, name: str) -> pl.DataFrame:
    """key and `name`: the longest time between two rows of one device, those that straddle a window's ends too.

    `devices`: key and time_s, both rising; `windows`: key, start_s, end_s. No row where there are no two.
    """
    bounds = bounds_by_key(windows)
    longest_s: dict[int, float] = {}
    for times in devices:
        for key, of in by_key(times, ("time_s",)):
            if key not in bounds:
                continue
            (w0, w1), before, after = bounds[key], of["time_s"][:-1], of["time_s"][1:]
            gaps_s = (after - before)[(after > w0) & (before < w1)]
            if gaps_s.size:
                longest_s[key] = max(longest_s.get(key, 0.0), float(gaps_s.max()))
    return pl.DataFrame(list(longest_s.items()), schema={"key": KEY, name: pl.Float64}, orient="row")


def energy_at(updates: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """`asked` (key, time_s, row) with `value`: the counter then, linear between updates, null outside of them."""
    return _at(_of_counter(updates), asked)


def _of_counter(updates: pl.DataFrame) -> pl.DataFrame:
    rate = _rise("energy_j") / _rise("time_s")
    return _knots(updates.lazy().with_columns(value="energy_j", rate=rate, bend=0.0))


def _of_power(polls: pl.DataFrame) -> pl.DataFrame:
    power = pl.col("power_w")
    area = (power + power.shift()) / 2 * (pl.col("time_s") - pl.col("time_s").shift())
    known = polls.lazy().filter(power.is_not_null())
    integral = pl.when(~_first()).then(area).otherwise(0.0).cum_sum()
    return _knots(known.with_columns(value=integral, rate=power, bend=_rise("power_w") / _rise("time_s")))


def _knots(curve: pl.LazyFrame) -> pl.DataFrame:
    """`curve` (key, time_s, value, rate, bend) as `_at` takes it: with `above`, the next value of the key."""
    followed = pl.col("key") == pl.col("key").shift(-1)
    above = pl.when(followed).then(pl.col("value").shift(-1))
    return curve.select("key", "value", "rate", "bend", knot_s="time_s", above=above).collect()


def _at(knots: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """value + rate x + bend/2 x^2 of the last knot, x being the time since it; never above the next knot's value.

    A key's last knot holds at its own time alone.
    """
    since = pl.col("time_s") - pl.col("knot_s")
    curve = pl.col("value") + pl.col("rate") * since + pl.col("bend") / 2 * since**2
    inside = pl.when(pl.col("above").is_not_null()).then(pl.min_horizontal(curve, "above"))
    return (
        asked.lazy()
        .join(knots.lazy().select("key").unique(), on="key", how="semi")
        .sort("key", "time_s")
        .join_asof(knots.lazy(), left_on="time_s", right_on="knot_s", by="key", check_sortedness=False)
        .select("row", value=pl.when(since == 0).then(pl.col("value")).otherwise(inside))
        .collect()
    )


def headline(energy: pl.DataFrame) -> pl.DataFrame:
    """The rows of `energy` (records.ENERGY with key) of the headline devices of each key."""
    return energy if _gpus_alone(energy) else _of(energy, lambda devices: devices.headline)


def host(energy: pl.DataFrame) -> pl.DataFrame:
    """The rows of `energy` (records.ENERGY with key) of the devices of the host beside GPUs; none without GPUs."""
    return energy.clear() if _gpus_alone(energy) else _of(energy, lambda devices: devices.host)


def _gpus_alone(energy: pl.DataFrame) -> bool:
    return bool(energy.select(pl.col("device").str.starts_with("gpu:").all()).item())


def _of(energy: pl.DataFrame, part: Callable[[Counted], Sequence[str]]) -> pl.DataFrame:
    devices = energy.lazy().group_by("key", "device", maintain_order=True).agg(source=_source()).collect()
    sources: dict[int, dict[str, str | None]] = {}
    for key, device, source in devices.iter_rows():
        sources.setdefault(key, {})[device] = source
    pairs = [(key, device) for key, of in sources.items() for device in part(counted(of))]
    wanted = pl.DataFrame(pairs, schema={name: energy.schema[name] for name in ("key", "device")}, orient="row")
    return energy.join(wanted, on=("key", "device"), how="semi", maintain_order="left")


def _source() -> pl.Expr:
    """Of one device of a point: null where any of its polls has none."""
    return pl.when(pl.col("source").null_count() == 0).then(pl.col("source").first())


def _devices(polls: pl.DataFrame, updates: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a key and device: key, device, source, peak_memory_mb, first_s and last_s of its updates, reset."""
    said = polls.group_by("key", "device").agg(source=_source(), peak_memory_mb=pl.col("memory_used_mb").max())
    time = pl.col("time_s")
    moved = [pl.DataFrame(schema=_MOVED)]
    for device, own in updates.items():
        ends = own.group_by("key").agg(first_s=time.first(), last_s=time.last(), reset=pl.col("reset").any())
        moved.append(ends.with_columns(device=pl.lit(device)).select(*_MOVED))
    return said.join(pl.concat(moved), on=("key", "device"), how="left").sort("key", "device")


_MOVED = {"key": KEY, "device": pl.String, "first_s": pl.Float64, "last_s": pl.Float64, "reset": pl.Boolean}


def _names(wanted: pl.Expr) -> pl.Expr:
    named = pl.col("device").filter(wanted)
    return pl.when(named.len() > 0).then(named.str.join(", "))


def _asked(times: pl.DataFrame, column: str) -> pl.DataFrame:
    return times.select("key", time_s=column).with_row_index("row").drop_nulls()


def _summed(parts: list[pl.DataFrame], height: int) -> pl.Series:
    rows = pl.DataFrame({"row": range(height)}, schema={"row": pl.UInt32})
    if not parts:
        return pl.Series("value", [None] * height, dtype=pl.Float64)
    sums = pl.concat(parts).group_by("row").agg(whole_sum("value"))
    return rows.join(sums, on="row", how="left", maintain_order="left")["value"]


def _first() -> pl.Expr:
    return (pl.col("key") != pl.col("key").shift()).fill_null(True)


def _rise(column: str) -> pl.Expr:
    return pl.col(column).shift(-1) - pl.col(column)
