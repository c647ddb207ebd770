"""A folder that a Hugging Face dataset is made of: the tables as Parquet by hardware, what they mean, and a card.

It becomes a dataset repository of the hub in one commit. The token comes from HF_TOKEN in the environment, and is in no
message.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from joulebench.analysis.verdicts import publishable, severity
from joulebench.errors import UserError, in_one_line
from joulebench.exports import card, parquet
from joulebench.files import whole_folder, write_text
from joulebench.tables import schemas
from joulebench.tables.files import read_csv
from joulebench.tables.point import AT

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TABLES = ("leaderboard", "points", "pareto", "recommendations", "footprint", "checks")
"""Those of tables.TABLES that are published, each a configuration of the dataset; the first, which has a row wherever
another has, is its default.
Not the trace of one point, nor the runs that were left out."""

DOCUMENTS = ("methods.md", "checks.md")
"""What the card refers to for how numbers are made, by name under docs/."""

CARD = "README.md"

REMAKE = "make it again: snakemake --cores all results/dataset/README.md"


def write(folder: Path, csvs: Mapping[str, Mapping[str, Path]], docs: Path, publish_flagged: bool) -> None:
    """Fill `folder`, whole or not at all: data/{hardware}/{table}.parquet, docs/, README.md; what was there is removed.

    `csvs`: hardware -> name of a table, every one of TABLES -> its CSV. `docs`: the folder of DOCUMENTS. Rows that may
    not be published are left out (verdicts.publishable), and the card counts them. A table without a column `hardware`
    gets one, since a configuration holds all hardware; a table without a row is none, since `datasets` cannot load it.
    Raises UserError where a table is missing or damaged, or there is no point to publish.
    """
    found = {hardware: _read(hardware, files) for hardware, files in csvs.items()}
    withheld = {
        hardware: one["points"].filter(~publishable(publish_flagged)).select(severity()).to_series().to_list()
        for hardware, one in found.items()
    }
    kept = {hardware: _published(one, publish_flagged) for hardware, one in found.items()}
    if all(one["points"].is_empty() for one in kept.values()):
        raise UserError(
            f"dataset: no point to publish, and {sum(map(len, withheld.values()))} that may not be; "
            "measure first, or see what results/{hardware}/checks.csv says"
        )
    together = {table: pl.concat([one[table] for one in kept.values()]) for table in TABLES}
    files = {
        table: [data_file(hardware, table) for hardware, one in kept.items() if not one[table].is_empty()]
        for table, frame in together.items()
        if not frame.is_empty()
    }
    with whole_folder(folder) as aside:
        for hardware, one in kept.items():
            for table, frame in one.items():
                if not frame.is_empty():
                    parquet.write(frame, table, card.described(table), aside / data_file(hardware, table))
        (aside / "docs").mkdir()
        for document in DOCUMENTS:
            shutil.copyfile(docs / document, aside / "docs" / document)
        write_text(card.text(together, files, withheld), aside / CARD)


def data_file(hardware: str, table: str) -> str:
    """Where a table lies in the folder, and in the repository."""
    return f"data/{hardware}/{table}.parquet"


def _read(hardware: str, files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """The tables of one piece of hardware; those without a column `hardware` have it first."""
    read = {table: read_csv(files[table], schemas.TABLES[table]) for table in TABLES}
    return {
        table: frame if "hardware" in frame.columns else frame.select(pl.lit(hardware).alias("hardware"), pl.all())
        for table, frame in read.items()
    }


def _published(one: Mapping[str, pl.DataFrame], publish_flagged: bool) -> dict[str, pl.DataFrame]:
    """The rows that may be published: of a table with a row a point, those of the points that may."""
    points = one["points"].filter(publishable(publish_flagged))
    kept = {}
    for table, frame in one.items():
        if _has_points(frame):
            frame = frame.filter(publishable(publish_flagged))
        elif table == "footprint":
            frame = frame.join(
                points,
                on=("task", "model", "variant", *AT, "repeat"),
                how="semi",
                nulls_equal=True,
                maintain_order="left",
            )
        kept[table] = frame
    return kept


def _has_points(table: pl.DataFrame) -> bool:
    return {"verdict", "responses_per_s"} <= set(table.columns)


@dataclass(frozen=True)
class Upload:
    """A file that goes to the hub."""

    name: str
    """Its path, in the folder and in the repository."""
    size: int
    rows: int | None
    """Of a table."""


def uploads(folder: Path, publish_flagged: bool) -> list[Upload]:
    """What would be published: what the card names, and nothing else that lies in `folder`.

    Raises UserError where the card, a table or a document is missing or damaged, where a table has rows that may not
    be published, and where the CSV that a table was made from is newer than the card.
    """
    readme = folder / CARD
    found = []
    for table, names in _configs(readme).items():
        for name in names:
            path = folder / name
            try:
                rows = pl.read_parquet(path)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise UserError(f"{path}: missing or damaged ({in_one_line(error)}); {REMAKE}") from None
            if _has_points(rows):
                _refuse_doubtful(rows, path, publish_flagged)
            csv = folder.parent / path.parent.name / f"{table}.csv"
            if csv.exists() and csv.stat().st_mtime > readme.stat().st_mtime:
                raise UserError(f"{csv}: newer than {readme}; {REMAKE}")
            found.append(Upload(name, path.stat().st_size, rows.height))
    for name in (CARD, *(f"docs/{document}" for document in DOCUMENTS)):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: missing; {REMAKE}")
        found.append(Upload(name, (folder / name).stat().st_size, None))
    return sorted(found, key=lambda one: one.name)


def check_repo(repo: str) -> None:
    """Raises UserError where `repo` is not owner/name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
        valid = repo.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        found = f"'{repo}'" if repo else "none"
        raise UserError(f"expected a repository of the hub, found {found}; give one: joulebench publish OWNER/NAME")


def publish(folder: Path, repo: str, files: list[Upload], api: "HfApi") -> str:
    """Upload `files` (of `uploads`) to the dataset repository `repo`, which is made where there is none; tables and
    documents that lie there and are not among them are deleted in the same commit. Returns the commit's address.

    Raises UserError where the hub refuses or cannot be reached.
    """
    import httpx

    try:
        api.create_repo(repo, repo_type="dataset", exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[one.name for one in files],
            delete_patterns=["data/**", "docs/**"],
            commit_message="Tables of Joulebench",
        )
    except (OSError, ValueError, RuntimeError, httpx.HTTPError) as error:
        raise UserError(
            f"{repo}: not published ({in_one_line(error)}); check the network, and that HF_TOKEN may write there"
        ) from None
    return str(commit.commit_url)


def _configs(readme: Path) -> dict[str, list[str]]:
    """Table -> its files, as the card says: those with rows, the leaderboard and the points always."""
    from huggingface_hub import DatasetCard

    try:
        configs = DatasetCard.load(readme).data.to_dict()["configs"]
        named = {config["config_name"]: [str(name) for name in config["data_files"][0]["path"]] for config in configs}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{readme}: missing, or not the card of a dataset ({in_one_line(error)}); {REMAKE}") from None
    if missing := [table for table in ("leaderboard", "points") if not named.get(table)]:
        raise UserError(f"{readme}: no table {', '.join(missing)}; {REMAKE}")
    return named


def _refuse_doubtful(rows: pl.DataFrame, path: Path, publish_flagged: bool) -> None:
    doubtful = rows.filter(~publishable(publish_flagged))
    if doubtful.is_empty():
        return
    first = doubtful.row(0, named=True)
    raise UserError(
        f"{path}: {doubtful.height} rows may not be published, as {first['model']}, '{str(first['verdict'])[:80]}'; "
        f"set publish_flagged in the config if flagged ones shall be, and {REMAKE}"
    )
