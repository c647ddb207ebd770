"""The folder of exports.dataset -> a dataset repository of the Hugging Face hub, in one commit.

The token comes from HF_TOKEN in the environment, and is in no message.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from joulebench.analysis.verdicts import publishable
from joulebench.errors import UserError, in_one_line
from joulebench.exports.dataset import CARD, DOCUMENTS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REMAKE = "make it again: snakemake --cores all results/dataset/README.md"


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
    card = folder / CARD
    found = []
    for table, names in _configs(card).items():
        for name in names:
            path = folder / name
            try:
                rows = pl.read_parquet(path)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise UserError(f"{path}: missing or damaged ({in_one_line(error)}); {REMAKE}") from None
            if {"verdict", "responses_per_s"} <= set(rows.columns):
                _refuse_doubtful(rows, path, publish_flagged)
            csv = folder.parent / path.parent.name / f"{table}.csv"
            if csv.exists() and csv.stat().st_mtime > card.stat().st_mtime:
                raise UserError(f"{csv}: newer than {card}; {REMAKE}")
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
        raise UserError(f"expected a repository of the hub, found {found}; make publish REPO=owner/name")


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


def _configs(card: Path) -> dict[str, list[str]]:
    """Table -> its files, as the card says: those with rows, the leaderboard and the points always."""
    from huggingface_hub import DatasetCard

    try:
        configs = DatasetCard.load(card).data.to_dict()["configs"]
        named = {config["config_name"]: [str(name) for name in config["data_files"][0]["path"]] for config in configs}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{card}: missing, or not the card of a dataset ({in_one_line(error)}); {REMAKE}") from None
    if missing := [table for table in ("leaderboard", "points") if not named.get(table)]:
        raise UserError(f"{card}: no table {', '.join(missing)}; {REMAKE}")
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
