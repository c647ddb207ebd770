"""The leaderboard as a page: the tables in, one HTML file out that needs no network, no server and no build.

It carries the pooled points of all hardware, the tasks' targets, the recommendations and the studies, as JSON, under a
policy that lets nothing else in.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from joulebench.analysis.choices import NAMED, placed, pooled
from joulebench.analysis.published_scores import with_published
from joulebench.analysis.quality import with_quality
from joulebench.analysis.sources import named
from joulebench.analysis.verdicts import flagged_for, severity
from joulebench.config.services import Service, Targets
from joulebench.errors import UserError
from joulebench.families import of
from joulebench.names import TASKS
from joulebench.site.rows import EMPTY, as_json
from joulebench.site.studies import Study, Unfinished, as_carried, sources
from joulebench.tables.columns import QUANTILES
from joulebench.tables.files import SIGNIFICANT_DIGITS
from joulebench.tables.point import LATENCIES
from joulebench.tables.schemas import COLUMNS

TABLES = ("points", "leaderboard", "pareto", "recommendations", "footprint")
"""Names in tables.TABLES of what the page is made from, for each piece of hardware."""
SCORES = "quality"
"""The table (tables.QUALITY) beside these, of hardware whose config asks how right answers are."""

_SHOWN = (
    *dict.fromkeys(
        column.name for table in ("points", "leaderboard", "footprint") for column in COLUMNS[table] if column.on_page
    ),
    *("card_spread", "axis_value", "at", "footprint_reason", "frontier"),
)
_FACTS = ("severity", "flagged_for")
"""What the verdict says, as values: no script looks into its text."""
_FOUND = pl.List(pl.Struct({"metric": pl.String, "quantile": pl.Int64, "seconds": pl.Float64}))

STYLES = (
    "theme.css",
    "page.css",
    "controls.css",
    "question.css",
    "chart.css",
    "table.css",
    "compare.css",
    "study.css",
    "narrow.css",
    "print.css",
)
# A module comes after those that it imports from.
MODULES = (
    *("dom.js", "format.js", "data.js", "choose.js", "studies.js", "state.js", "csv.js"),
    *("axes.js", "tooltip.js", "pointing.js", "marks.js", "labels.js", "chart.js", "colours.js", "legend.js"),
    *("cells.js", "table.js", "compare.js", "sides.js", "recommend.js", "limits.js", "controls.js", "sources.js"),
    *("shapes.js", "studychart.js", "studytable.js", "study.js"),
    *("answer.js", "question.js", "main.js"),
)
_IMPORT = re.compile(r"^import [^;]+ from \"\./[a-z]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|class)", re.MULTILINE)
_LIBRARY_EXPORT = re.compile(r"export\{([^}]*?)([\w$]+) as default([^}]*)\};")


def page(
    tables: Mapping[str, Mapping[str, pl.DataFrame]],
    publish_flagged: bool = False,
    targets: Targets | None = None,
    services: Mapping[str, Service] | None = None,
    card_spread: Mapping[str, float] | None = None,
    studies: Sequence[Study] = (),
    unfinished: Sequence[Unfinished] = (),
) -> str:
    """The page of `tables`: hardware -> name in TABLES, or SCORES -> its rows. The same tables give the same text.

    The page opens on the first hardware, in this order, of which there are measured energies.

    `publish_flagged`: whether the leaderboard takes flagged points, as analysis.leaderboard does; the page then shows
    them when it is opened. `targets`: task -> its latency target; `services`: by their names in the recommendations.
    `card_spread`: hardware -> the share by which its cards differ (analysis.choices.tied). `studies` are shown in this
    order, and it is said which are `unfinished`. Raises UserError where the JavaScript library is not the expected one.
    """
    targets, services, card_spread = targets or {}, services or {}, card_spread or {}
    parts = list(tables.values())
    pooled_points = [_points(part, card_spread.get(hardware, 0.0)) for hardware, part in tables.items()]
    shown = [rows.select(*_SHOWN, *_FACTS) for rows in pooled_points]
    points = pl.concat(shown) if parts else pl.DataFrame({"task": []})
    recommendations = [
        _recommendations(part["recommendations"], rows, targets, services)
        for part, rows in zip(parts, pooled_points, strict=True)
    ]
    found = set(points["task"])
    carried = {
        "tasks": [*(task for task in TASKS if task in found), *sorted(found.difference(TASKS))],
        "hardware": list(tables),
        "targets": {
            task: target.model_dump() for task, target in targets.items() if task in found and target is not None
        },
        "publish_flagged": publish_flagged,
        "services": {name: service.model_dump(exclude={"tasks"}) for name, service in services.items()},
        "sources": _sources({*(points["energy_source"].drop_nulls() if parts else ()), *sources(studies)}),
        "points": as_json(points.sort("task", "hardware", "model", "variant", "axis_value")) if parts else EMPTY,
        "recommendations": as_json(pl.concat(recommendations)) if parts else EMPTY,
        "studies": [as_carried(study) for study in studies],
        "unfinished": [vars(one) for one in unfinished],
    }
    return _assembled(carried)


def _points(part: Mapping[str, pl.DataFrame], card_spread: float) -> pl.DataFrame:
    """One row a point of one hardware: its repeats pooled and placed, with its footprint and its frontiers."""
    key = [name for name in (*NAMED, "repeat") if name in part["footprint"].columns]
    footprint = part["footprint"].rename({"reason": "footprint_reason"}).drop("energy_source")
    points = part["points"].join(footprint, on=key, how="left", nulls_equal=True, maintain_order="left")
    frontier = part["pareto"].group_by(NAMED).agg(frontier=pl.col("latency_metric").unique().sort())
    rows = pooled(points).join(frontier, on=NAMED, how="left", nulls_equal=True, maintain_order="left")
    rows = with_published(with_quality(rows, part.get(SCORES)), part["leaderboard"].unique("model"))
    facts = {"severity": severity(), "flagged_for": flagged_for()}
    return placed(rows).with_columns(card_spread=pl.lit(card_spread), **facts)


def _recommendations(
    rows: pl.DataFrame, points: pl.DataFrame, targets: Targets, services: Mapping[str, Service]
) -> pl.DataFrame:
    """Those of one hardware, with their points in words (choices.placed), and `found` in place of what is said of
    latencies: those that the service asks for as the point has them, each with its metric, quantile and seconds."""
    latencies = [f"{metric}_p{quantile}_s" for metric in LATENCIES for quantile in QUANTILES]
    known = points.select(*NAMED, "at", *latencies)
    joined = rows.join(known, on=NAMED, how="left", nulls_equal=True, maintain_order="left")
    found = [_found(row, targets, services) for row in joined.iter_rows(named=True)]
    return joined.drop(*latencies, "latency_target", "latency").with_columns(found=pl.Series(found, dtype=_FOUND))


def _found(row: Mapping[str, Any], targets: Targets, services: Mapping[str, Service]) -> list[dict[str, Any]]:
    if row["at"] is None:
        return []
    own, service = targets.get(row["task"]), services.get(row["service"])
    limits = service.at_most if service else () if own is None else (own,)
    asked: list[tuple[str, int]] = [(limit.metric, limit.quantile) for limit in limits]
    asked = asked or [(of(row["task"]).metric, 50)]
    seconds = [row[f"{metric}_p{quantile}_s"] for metric, quantile in asked]
    return [
        {"metric": metric, "quantile": quantile, "seconds": float(f"{value:.{SIGNIFICANT_DIGITS}g}")}
        for (metric, quantile), value in zip(asked, seconds, strict=True)
        if value is not None
    ]


def _sources(texts: Iterable[str]) -> dict[str, Any]:
    """What stands in energy_source -> its words, and whether any of it is an estimate."""
    said = {text: named([text]) for text in sorted(texts)}
    return {
        text: {"words": ", ".join(one.label for one in of), "estimate": any(one.is_estimate for one in of)}
        for text, of in said.items()
    }


def _assembled(carried: dict[str, Any]) -> str:
    # Escaped, no name in the data can end the script element that holds it.
    data = json.dumps(carried, sort_keys=True, separators=(",", ":"), allow_nan=False)
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    style, library = "".join(map(_file, STYLES)), _library()
    # The modules as one. What they import of each other is in the same scope then.
    script = "".join(_EXPORT.sub("", _IMPORT.sub("", _file(name))) for name in MODULES)
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"script-src {_hashes([library, script])}; style-src {_hashes([style])}"
    )
    parts = {"policy": policy, "style": style, "library": library, "script": script, "data": data}
    return re.sub(r"<!--(\w+)-->", lambda mark: parts[mark[1]], _file("page.html"))


def _file(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """DataTables (MIT), as the package itables carries it, made to name itself instead of exporting."""
    bundle = (files("itables") / "html" / "dt_bundle.js").read_text(encoding="utf-8")
    named, found = _LIBRARY_EXPORT.subn(r"globalThis.DataTable=\2;", bundle)
    if found != 1 or "</script" in named.lower():
        raise UserError("itables: its DataTables is not in the form that the page expects; install envs/analysis.txt")
    return named


def _hashes(texts: Sequence[str]) -> str:
    """Sources of a Content-Security-Policy that allow these inline texts and no other."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
