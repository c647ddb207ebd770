"""Which commit the name of a revision stands for: asked of the hub once, kept here, and the same from then on."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from joulebench.downloads.hub import Kind, explained, token
from joulebench.errors import UserError
from joulebench.files import write_text
from joulebench.inputs.reading import MIB, is_there, read_text, shown
from joulebench.names import Commit, is_commit

FETCHED = Path("data", "fetched")
"""What the project fetched by itself; git ignores it."""

log = logging.getLogger(__name__)


class Resolved(BaseModel):
    """A file under data/fetched/revisions/: the commit that a tag or branch was at when it was first asked for."""

    model_config = ConfigDict(extra="forbid")

    repo: str
    revision: str
    commit: Commit
    resolved_utc: str


def commit(repo: str, revision: str, kind: Kind, where: str, otherwise: str) -> str:
    """The commit that `revision` of the repository stands for; a commit is its own.

    A tag or branch is asked for once: its file here is what counts from then on, and a name that has moved since is
    said, not taken. `where`, `otherwise`: as `explained` has them. Raises UserError where the hub cannot tell.
    """
    if is_commit(revision):
        return revision
    what = f"{repo} at revision {revision}"
    if (kept := known(repo, revision, kind)) is not None:
        try:
            now = _ask(what, repo, revision, kind, where, otherwise)
        except UserError:
            return kept  # what was fetched before is enough; what was not will say so itself
        if now != kept:
            log.warning(
                "%s: %s has moved to %s; %s is fetched, as first found; to take the new one delete %s",
                *(repo, revision, now[:12], kept[:12], place(repo, revision, kind)),
            )
        return kept
    found = _ask(what, repo, revision, kind, where, otherwise)
    record = Resolved(
        repo=repo,
        revision=revision,
        commit=found,
        resolved_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    write_text(record.model_dump_json(indent=1) + "\n", place(repo, revision, kind))
    log.info("%s: %s is the commit %s; it stays that (%s)", repo, revision, found, place(repo, revision, kind))
    return found


def known(repo: str, revision: str, kind: Kind) -> str | None:
    """The commit that a tag or branch was found at here, without a network; None where nobody has asked yet.

    Raises UserError where its file cannot be read.
    """
    path = place(repo, revision, kind)
    if not is_there(path):
        return None
    try:
        found = Resolved.model_validate_json(read_text(path, MIB, "delete it to ask the hub again"))
    except ValidationError:
        raise UserError(f"{shown(path)}: no record of a commit; delete it to ask the hub again") from None
    return found.commit


def moved(repo: str, revision: str, kind: Kind, taken: str) -> str | None:
    """What to say where the commit `taken` is not the one that the name stands for here now; None where it is."""
    try:
        now = known(repo, revision, kind)
    except UserError as error:
        return str(error)
    if now is None or now == taken:
        return None
    kept = place(repo, revision, kind)
    return f"{revision} of {repo} was the commit {taken[:12]} then, and is {now[:12]} now ({kept})"


def place(repo: str, revision: str, kind: Kind) -> Path:
    """The file that keeps it. No id and no revision holds '--'."""
    names = (name.replace("/", "--") for name in (repo, revision))
    return FETCHED / "revisions" / f"{kind}s--{'@'.join(names)}.json"


def _ask(what: str, repo: str, revision: str, kind: Kind, where: str, otherwise: str) -> str:
    with explained(what, where, otherwise, repo, kind):
        from huggingface_hub import HfApi

        found = HfApi().repo_info(repo, revision=revision, repo_type=kind, token=token()).sha
    if found is None or not is_commit(found):
        raise UserError(f"{what}: the hub names no commit for it; give the commit itself in {where}")
    return found
