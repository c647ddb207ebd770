"""recommendations.csv: the point of least energy under a service's latencies, and what that saves.

A point is eligible if it keeps every latency of the service by its estimate; one that was not measured is not kept. The
recommended point is the eligible one of least energy per response; of equal ones the smaller batch, then the variant's
name. `tied_with` names the other eligible points whose intervals of the energy overlap with its own: they may do as
well, and some have less latency. A point without an interval stands for its estimate. `undecided` names the points that
may keep the service's latencies or not, since their intervals hold what is allowed: of those that draw no more than the
recommended point, itself included; of all, where there is none.

What it saves, in percent, is 100 (1 - E / R), R being the energy per response of what it is compared with: the model's
point of least latency and its largest batch (of equal ones that of less energy). Least latency is by the median of the
service's first metric, which every point knows: a 99th percentile of few requests is anybody's, and would make another
point the reference on each card. Where other points' medians are not told apart from it, `least_latency_tied_with`
names them. Both may miss the service's latencies, and a saving may be negative. Its interval puts the two
energies at opposite ends of theirs, 100 (1 - E_high / R_low) to 100 (1 - E_low / R_high): it is wider than it need be
where they are independent. It is null where either has none, and 0 to 0 for a point compared with itself.

Services are the task's own target (`config`; without one every point is eligible, and the latency is
choices.latency_column's), the presets of services.py, and the config's own.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from joulebench.analysis.choices import ENTRANT, Row, choices, interval, latency_column, named, order, tied
from joulebench.analysis.verdicts import USABLE
from joulebench.config.services import OWN_TARGET, LatencyTarget, Service, Targets
from joulebench.tables.columns import BOUNDS
from joulebench.tables.schemas import RECOMMENDATIONS

ENERGY = "energy_per_response_j"
COMPARED = {"least_latency": "least_latency", "largest_batch": "largest"}
"""What a point is compared with: the name in the columns of its saving -> that in the columns of the point itself."""


def recommendations(
    points: pl.DataFrame,
    targets: Targets,
    services: Mapping[str, Service],
    publish_flagged: bool = False,
    card_spread: float = 0.0,
) -> pl.DataFrame:
    """One row a task, model, kind of answers and service (tables.RECOMMENDATIONS), sorted so, services as they come.

    `points`: tables.POINTS, of one piece of hardware; `targets`: task -> its own latency target, or None; `services`:
    name -> service; `card_spread`: the share by which the hardware's cards differ (choices.tied). Points are
    eligible as analysis.choices pools them: usable ones with an energy.
    """
    pooled = choices(points, publish_flagged).sort(ENTRANT)
    found = []
    for (task, *_), rows in pooled.group_by(ENTRANT, maintain_order=True):
        asked = list(_asked(str(task), targets.get(str(task)), services))
        listed: list[Row] = sorted(rows.iter_rows(named=True), key=order)
        for service, limits in asked:
            column = f"{limits[0].metric}_p50_s" if limits else latency_column(str(task), None)
            found.append({**_recommended(listed, limits, column, card_spread), "service": service})
    whole = [{name: row.get(name) for name in RECOMMENDATIONS} for row in found]
    return pl.DataFrame(whole, schema=RECOMMENDATIONS)


def _asked(
    task: str, own: LatencyTarget | None, services: Mapping[str, Service]
) -> Iterator[tuple[str, Sequence[LatencyTarget]]]:
    yield OWN_TARGET, () if own is None else (own,)
    for name, service in services.items():
        if task in service.tasks:
            yield name, service.at_most


def _recommended(rows: list[Row], limits: Sequence[LatencyTarget], column: str, card_spread: float) -> Row:
    """The columns of one row; `rows` are those of one entrant, in `order`; `column`: the median latency."""
    candidates = [row for row in rows if row["usable"] and row[ENERGY] is not None]
    eligible = [row for row in candidates if all(_kept(row, limit) for limit in limits)]
    head = {name: rows[0][name] for name in (*ENTRANT, "hardware")}
    head["latency_target"] = "; ".join(map(str, limits)) or None
    if not eligible:
        reason = _nearest(candidates, limits) if candidates else _no_candidate(rows)
        return {**head, "undecided": _undecided(candidates, limits), "reason": reason}
    best = min(eligible, key=lambda row: (row[ENERGY], order(row)))
    columns = [limit.column for limit in limits] or [column]
    return {
        **{name: best.get(name) for name in RECOMMENDATIONS},
        **head,
        **_compared(best, candidates, column, card_spread),
        "latency": "; ".join(f"{name} = {best[name]:g}" for name in columns if best[name] is not None) or None,
        "tied_with": _alike(best, eligible, ENERGY, card_spread, best),
        "undecided": _undecided([row for row in candidates if row[ENERGY] <= best[ENERGY]], limits, best),
        "reason": None,
    }


def _compared(best: Row, candidates: list[Row], column: str, card_spread: float) -> Row:
    """What the best point saves against the one of least median latency, and against the largest batch."""
    timed = [row for row in candidates if row[column] is not None]
    quickest = min(timed, key=lambda row: (row[column], row[ENERGY], order(row)), default=None)
    largest = min(candidates, key=lambda row: (-row["max_batch_size"], row[ENERGY], order(row)))
    as_quick = None if quickest is None else _alike(quickest, timed, column, card_spread, best)
    saved = {**_saving(best, quickest, "least_latency"), **_saving(best, largest, "largest_batch")}
    return {**saved, "least_latency_tied_with": as_quick}


def _alike(one: Row, rows: list[Row], column: str, card_spread: float, beside: Row) -> str | None:
    """The other points that are not told apart from `one` in `column`, as they are named beside another."""
    others = (row for row in rows if row is not one and tied(one, row, column, card_spread))
    return "; ".join(named(row, beside) for row in others) or None


def _kept(row: Row, limit: LatencyTarget) -> bool:
    return row[limit.column] is not None and row[limit.column] <= limit.at_most_s


def _undecided(rows: list[Row], limits: Sequence[LatencyTarget], beside: Row | None = None) -> str | None:
    found = []
    for row in rows:
        known = [limit for limit in limits if row[limit.column] is not None]
        intervals = [(*interval(row, limit.column), limit.at_most_s) for limit in known]
        open_to_doubt = any(low <= most < high for low, high, most in intervals)
        if len(known) == len(limits) and open_to_doubt and all(low <= most for low, _, most in intervals):
            found.append(named(row, beside))
    return "; ".join(found) or None


def _saving(row: Row, other: Row | None, name: str) -> dict[str, float | int | str | None]:
    if other is None:
        return {}
    found: dict[str, float | int | str | None] = {
        f"{COMPARED[name]}_batch_size": other["max_batch_size"],
        f"{COMPARED[name]}_variant": other["variant"],
    }
    saves = f"saves_against_{name}"
    if other is row:
        return {**found, **{f"{saves}{bound}_percent": 0.0 for bound in BOUNDS}}
    if other[ENERGY] > 0:
        found[f"{saves}_percent"] = 100 * (1 - row[ENERGY] / other[ENERGY])
    ends = [one[f"energy_per_response_{end}_j"] for one in (row, other) for end in ("low", "high")]
    if None not in ends and ends[2] > 0:
        found[f"{saves}_low_percent"] = 100 * (1 - ends[1] / ends[2])
        found[f"{saves}_high_percent"] = 100 * (1 - ends[0] / ends[3])
    return found


def _nearest(candidates: list[Row], limits: Sequence[LatencyTarget]) -> str:
    """What the point misses whose worst latency, as a share of what is allowed, is least."""
    known = [row for row in candidates if all(row[limit.column] is not None for limit in limits)]
    if not known:
        missing = [limit.column for limit in limits if all(row[limit.column] is None for row in candidates)]
        return f"not measured: {', '.join(missing)}" if missing else "no point has all the latencies that are asked"
    nearest = min(
        known, key=lambda row: (max(row[limit.column] / limit.at_most_s for limit in limits), row[ENERGY], order(row))
    )
    missed = [limit for limit in limits if not _kept(nearest, limit)]
    places = [f" at {named(nearest)}", *("" for _ in missed[1:])]
    return "; ".join(
        f"{limit.column} is {nearest[limit.column]:g} s{place}, wanted {limit.at_most_s:g}"
        for limit, place in zip(missed, places, strict=True)
    )


def _no_candidate(rows: list[Row]) -> str:
    if any(row["usable"] for row in rows):
        return "no energy was measured"
    first = rows[0]
    why = first["verdict"] if first["status"] in USABLE else first["reason"]
    return f"{named(first)}: {why or first['status']}"
