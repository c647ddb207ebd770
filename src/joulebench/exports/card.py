"""The card of the dataset: YAML for the hub, Markdown for people, both made from the tables."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from joulebench import __version__
from joulebench.analysis.sources import named
from joulebench.analysis.verdicts import Severity, has_severity
from joulebench.names import TASKS
from joulebench.records.sources import CODECARBON
from joulebench.tables.columns import Column, pick
from joulebench.tables.point import POINT
from joulebench.tables.schemas import COLUMNS

NAME = "Joulebench: energy of generative-AI inference"
LICENCE = "apache-2.0"
"""The project's own, as the hub writes it."""
TAGS = ("energy", "energy-efficiency", "inference", "benchmark", "leaderboard", "llm", "diffusion")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SIGNS = re.compile(r"([\\`*_{}\[\]()#+!|~$@:])")

_LOADING = """```python
from datasets import load_dataset

points = load_dataset("owner/name", "points", split="train")
```"""

ABOUT = {
    "leaderboard": "one row a task and model: its best point under the task's latency target",
    "points": "one row a setting and repeat: energy, power, throughput and latency with 95 % intervals",
    "pareto": "the points that no other of the same task and model beats in both energy and latency",
    "recommendations": "the least energy under the latency targets of services, and what it saves",
    "footprint": "carbon and cost per response, as the config that made it says",
    "checks": "which check fired at which point, points that are not published among them",
}


def text(
    tables: Mapping[str, pl.DataFrame],
    files: Mapping[str, Sequence[str]],
    withheld: Mapping[str, Sequence[str]],
) -> str:
    """README.md. `tables`: what is published, by name, of all hardware; `files`: its files in the repository, by table,
    those alone that have rows; `withheld`: hardware -> the severities of the points that are not."""
    points = tables["points"]
    parts = [
        f"# {NAME}",
        "Joules per response of real engines under real prompts, with 95 % intervals, verdicts and the latency "
        "that the same load had. Made by Joulebench, one Snakemake workflow: each number can be traced to "
        "raw records of requests, engine iterations and energy counters.",
        *_warnings(points, withheld),
        "## Hardware",
        _table(("hardware", "device", "TDP of one, W", "points", "measured", "energy from"), _hardware(points)),
        "## Models",
        _table(("task", "model", "parameters", "weights", "engine", "hardware"), _models(points)),
        "## Tables",
        _table(
            ("configuration", "rows", "what"),
            [(name, str(frame.height), ABOUT[name]) for name, frame in tables.items()],
        ),
        _LOADING,
        "## How each number is made",
        "A closed loop keeps B requests in flight, batches of B images or videos follow each other, or requests come "
        "as the point's `load` says, all at once or at a rate. The figures of a closed loop and of batches are "
        "of the stationary window, after one full turnover of requests, or of whole batches after a warm-up. Energy is "
        "from the source that `energy_source` names, read by a process beside the engine; what was not measured is "
        "null. Words and formulas: [docs/methods.md](docs/methods.md). The checks behind each `verdict`: "
        "[docs/checks.md](docs/checks.md).",
        "## Columns",
        "`_low_` and `_high_` columns are the ends of the 95 % interval of the column without them. The same meanings "
        "are in the metadata of each Parquet file, under `joulebench`.",
        *map(_columns, files),
        "## Citation",
        _citation(points),
    ]
    return f"---\n{_front_matter(tables, files)}\n---\n\n" + "\n\n".join(parts) + "\n"


def described(table: str) -> tuple[Column, ...]:
    """The columns of a table of the dataset: each has one that names the hardware, the first where it is added."""
    columns = COLUMNS[table]
    hardware = pick(POINT, "hardware")
    return columns if hardware[0] in columns else (*hardware, *columns)


def escaped(value: object) -> str:
    """A name from the data as Markdown that shows it as it is: no HTML, no link, no emphasis, one line."""
    words = "".join(sign if sign.isprintable() else " " for sign in str(value)).split()
    marked = _SIGNS.sub(r"\\\1", " ".join(words))
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("www.", r"www\.")


def _front_matter(tables: Mapping[str, pl.DataFrame], files: Mapping[str, Sequence[str]]) -> str:
    from huggingface_hub import DatasetCardData

    rows = sum(frame.height for frame in tables.values())
    configs: list[dict[str, object]] = [
        {"config_name": name, "data_files": [{"split": "train", "path": list(paths)}]} for name, paths in files.items()
    ]
    data = DatasetCardData(
        pretty_name=NAME,
        license=LICENCE,
        language="en",
        tags=list(TAGS),
        size_categories=next((size for limit, size in _SIZES if rows < limit), "1M<n<10M"),
        configs=[configs[0] | {"default": True}, *configs[1:]],
    )
    yaml: str = data.to_yaml()
    return yaml


def _warnings(points: pl.DataFrame, withheld: Mapping[str, Sequence[str]]) -> list[str]:
    """What nobody may overlook: synthetic weights, estimates, and what is flagged or left out."""
    said = []
    models, synthetic = (frame["model"].n_unique() for frame in (points, points.filter(weights="synthetic")))
    if synthetic:
        said.append(
            f"**Synthetic weights** for {synthetic} of {models} models: drawn at random for the published shapes, so "
            "that a token costs the same arithmetic. Their answers mean nothing."
        )
    sources = named(points["energy_source"])
    if CODECARBON in sources:
        which = "All energy" if sources == [CODECARBON] else "Some energy"
        said.append(
            f"**{which} is an estimate** of CodeCarbon's (`{CODECARBON.name}` in `energy_source`), not measured."
        )
    if flagged := points.filter(has_severity(Severity.FLAGGED)).height:
        said.append(f"**Flagged points among them: {flagged}.** Their `verdict` says why.")
    for hardware, severities in withheld.items():
        if counts := Counter(severities):
            many = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
            said.append(f"Points of {escaped(hardware)} that are not published: {many}. The table `checks` says why.")
    return said


def _hardware(points: pl.DataFrame) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for (hardware,), of_it in points.group_by("hardware", maintain_order=True):
        tdp = of_it["tdp_w"].drop_nulls()
        days = of_it["measured_on"].drop_nulls().unique().sort().to_list()
        rows.append(
            (
                escaped(hardware),
                _listed(of_it["device"]),
                "" if tdp.is_empty() else f"{tdp[0]:g}",
                str(of_it.height),
                escaped(" to ".join(dict.fromkeys([days[0], days[-1]]))) if days else "",
                ", ".join(escaped(source.name) for source in named(of_it["energy_source"])) or "no energy source",
            )
        )
    return rows


def _models(points: pl.DataFrame) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for (task, model), of_it in points.group_by("task", "model", maintain_order=True):
        counts = (f"{count:,}" for count in of_it["parameters"].drop_nulls().unique().sort())
        listed = (_listed(of_it[name]) for name in ("weights", "engine", "hardware"))
        rows.append((escaped(task), escaped(model), ", ".join(counts), *listed))
    order: dict[str, int] = {task: place for place, task in enumerate(TASKS)}
    return sorted(rows, key=lambda row: (order.get(row[0], len(order)), row))


def _columns(table: str) -> str:
    """The columns of one table, folded away; the ends of intervals are said above."""
    rows = [
        (f"`{column.name}`", str(column.dtype), column.unit or "", escaped(column.meaning))
        for column in described(table)
        if not column.is_bound
    ]
    listed = _table(("column", "type", "unit", "meaning"), rows)
    return f"<details>\n<summary>{table}</summary>\n\n{listed}\n\n</details>"


def _citation(points: pl.DataFrame) -> str:
    days = points["measured_on"].drop_nulls().sort()
    year = "" if days.is_empty() else f"\n  year    = {{{days[-1][:4]}}},"
    title = "Joulebench: an energy leaderboard for generative-AI inference that anyone can rebuild"
    author = "{The Joulebench authors}"
    return (
        f"```bibtex\n@software{{joulebench,\n  title   = {{{title}}},\n  author  = {{{author}}},{year}\n"
        f"  version = {{{__version__}}}\n}}\n```"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(column: pl.Series) -> str:
    return ", ".join(escaped(value) for value in column.drop_nulls().unique().sort())
