"""Datasets: from their original files to the prompts that a task serves.

A dataset is one module here and one line in `DATASETS`. Its module has

- `Filters`: a pydantic model of what the config may say under `dataset.filters`;
- `PACKAGED`: the name of the small sample under packaged/ that comes with the project;
- `USUAL`: the name, or glob pattern, of its file in a folder;
- `read(text, filters, where) -> Rows`: the rows of the file's text that can be served, and why the others cannot;

and where rows name images or videos (`dataset.media`)

- `PACKAGED_MEDIA`: their folder under packaged/;
- `image(content) -> bytes`: the image to serve, of the bytes of such a file; raises media.UnusableError.

`forms` reads the forms that several of them share.
"""

import hashlib
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

from pydantic import BaseModel

from joulebench.config.tasks import Dataset, FileSource, LocalFile, Packaged, Sample
from joulebench.datasets import media, sources
from joulebench.datasets.sampling import Rows, Sampled, draw, reasons
from joulebench.downloads import revisions
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError, checked, nearest
from joulebench.inputs.reading import read_bytes, shown
from joulebench.records.files import read_prompts, write_json, write_parquet

__all__ = ["DATASETS", "Sampled", "as_drawn", "filters", "replaced", "report", "sample", "write"]

DATASETS: dict[str, str] = {
    "sharegpt": "joulebench.datasets.sharegpt",
    "partiprompts": "joulebench.datasets.partiprompts",
    "humanevalplus": "joulebench.datasets.humanevalplus",
    "gsm8k": "joulebench.datasets.gsm8k",
    "alpaca": "joulebench.datasets.alpaca",
    "llava": "joulebench.datasets.llava",
    "sharegpt4video": "joulebench.datasets.sharegpt4video",
}


NOTHING: sources.Originals = MappingProxyType({})


class _Module(Protocol):
    Filters: type[BaseModel]
    PACKAGED: str
    USUAL: str
    PACKAGED_MEDIA: str

    def read(self, text: str, filters: Any, where: str) -> Rows: ...

    def image(self, content: bytes) -> bytes: ...


def filters(dataset: Dataset) -> BaseModel:
    """`dataset.filters` as the dataset's own model, with its defaults filled in.

    Raises ConfigError where the dataset is unknown, and for each filter that is unknown or has a wrong value.
    """
    return checked(_module(dataset.name).Filters, dataset.filters, f"dataset {dataset.name}: filters")


def sample(dataset: Dataset, sample: Sample, originals: sources.Originals = NOTHING) -> Sampled:
    """Fetch the dataset's file, keep the usable rows, and draw `sample.requests` of them.

    `originals`: where to fetch what does not lie on this machine. The draw depends on the file, the filters and the
    seed alone; see `sampling.draw`.
    Raises UserError (ConfigError for the config) where the file cannot be had or read, or holds too few usable rows.
    """
    chosen = filters(dataset)
    module = _module(dataset.name)
    taken = sources.taken(dataset.source, originals)
    path = sources.fetch(cast(FileSource, taken.source), module.PACKAGED, module.USUAL)
    text, sha256 = sources.read_text(path)
    where = f"dataset {dataset.name}: {path}"
    rows = module.read(text, chosen, where)
    count, origin = rows.count, sources.origin(taken, path, sha256)
    looked_at = None
    if dataset.media is None:
        prompts, _ = draw(rows, sample, where)
    elif not hasattr(module, "PACKAGED_MEDIA"):
        raise ConfigError(
            f"dataset.media: the rows of {dataset.name} name no images or videos; leave it out, or take another"
        )
    else:
        pictures = sources.taken(dataset.media, originals, "dataset.media")
        origin["media"] = media.origin(pictures)
        with media.opened(pictures.source, module.PACKAGED_MEDIA) as read:
            prompts, looked_at = draw(rows, sample, where, lambda name: module.image(read(name)))
    return Sampled(
        prompts=prompts,
        dataset=dataset.model_dump(mode="json"),
        sample=sample.model_dump(mode="json"),
        origin=origin,
        rows=count,
        looked_at=looked_at,
        unusable=dict(sorted(rows.unusable.items())),
    )


def write(dataset: Dataset, wanted: Sample, table: Path, originals: sources.Originals = NOTHING) -> Sampled:
    """Sample, and write the prompts to `table` (Parquet) and how they were sampled beside it (JSON).

    The same settings over the same file give the same bytes. Raises UserError as `sample` does.
    """
    sampled = sample(dataset, wanted, originals)
    write_parquet(sampled.prompts, table)
    write_json(sampled, table.with_suffix(".json"))
    return sampled


def replaced(dataset: Dataset, facts: Path) -> str | None:
    """A line for people where another file now lies where the dataset's own file of this machine was read, or where a
    tag or branch of the hub has another commit here now.

    `facts` is results/prompts/{name}.json. None where the file is the same, or is not on this machine: the prompts
    are all that a run needs, and no network is asked. A file that nobody has touched since `facts` was written is not
    read again.
    """
    if isinstance(dataset.source, Packaged) or not facts.exists():
        return None
    module, recorded = _module(dataset.name), read_prompts(facts)
    if "asked" in recorded.origin and (said := _moved(recorded.origin)):
        return f"{facts.with_suffix('.parquet')}: {said}; what was drawn is served, delete it to draw anew"
    if not isinstance(dataset.source, LocalFile):
        return None
    try:
        path = sources.fetch(dataset.source, module.PACKAGED, module.USUAL)
        found = path.stat()
        if max(found.st_mtime, found.st_ctime) <= facts.stat().st_mtime:
            return None
        sha256 = hashlib.sha256(read_bytes(path, sources.MOST_BYTES, "")).hexdigest()
    except (UserError, OSError, ValueError):
        return None
    if sha256 == recorded.origin.get("sha256"):
        return None
    return (
        f"{facts.with_suffix('.parquet')}: drawn from another file than {shown(path)} is now (its SHA-256 begins "
        f"{sha256[:12]}, then {recorded.origin.get('sha256', 'unknown')[:12]}); what was drawn is served, delete it to "
        "draw anew"
    )


def _moved(origin: dict[str, str]) -> str | None:
    return revisions.moved(origin["repo"], origin["asked"], "dataset", origin["revision"])


def as_drawn(dataset: Dataset, facts: Path) -> Dataset:
    """`dataset` with the source that its prompts were drawn from, as `facts` beside them tells."""
    source = sources.recorded(read_prompts(facts).origin)
    return dataset if source is None else dataset.model_copy(update={"source": source})


def report(sampled: Sampled) -> list[str]:
    """What a person wants to know of a sample: where it came from, what was left out and why, what was taken."""
    origin = sampled.origin
    file = origin["url"] if "url" in origin else " ".join(origin[key] for key in ("repo", "file") if key in origin)
    asked = f" ({origin['asked']})" if "asked" in origin else ""
    pinned = f" at {origin['revision']}{asked}" if "revision" in origin else ""
    left_out = sum(sampled.unusable.values())
    why = f": {reasons(sampled.unusable)}" if left_out else ""
    return [
        f"{origin['kind']} file {file}{pinned}, sha256 {origin['sha256']}",
        f"{sampled.rows:,} rows, {sampled.usable:,} usable, {left_out:,} not{why}",
        f"{sampled.prompts.height:,} prompts drawn",
        *([f"images from {origin['media']}"] if "media" in origin and origin["media"] != "packaged" else []),
        *([] if sampled.looked_at is None else [f"images of {sampled.looked_at:,} rows looked at, in the drawn order"]),
    ]


def _module(name: str) -> _Module:
    if name not in DATASETS:
        raise ConfigError(
            f"dataset.name: found {name[:100]!r}, no dataset that Joulebench knows{nearest(name, DATASETS)}"
        )
    return cast(_Module, import_module(DATASETS[name]))
