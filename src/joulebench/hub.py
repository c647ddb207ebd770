"""The Hugging Face hub, with errors for people. The token comes from HF_TOKEN in the environment, and stays there."""

from collections.abc import Iterator
from contextlib import contextmanager

from joulebench.errors import UserError


class NoSuchFileError(UserError):
    """The repository and its revision are there, the file is not."""


@contextmanager
def explained(what: str, where: str, otherwise: str) -> Iterator[None]:
    """Turn the hub's errors into one line each.

    `what` names the thing and its revision, `where` the key of the config that asks for it, `otherwise` what to do
    where the hub cannot help. Raises UserError where the hub cannot be reached, has no such thing (a file:
    NoSuchFileError), or does not let this user have it.
    """
    import httpx
    from huggingface_hub import errors

    kind = UserError
    try:
        yield
    except errors.GatedRepoError:
        problem = "gated, and this access was refused; accept its terms on the hub and set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        problem = f"the hub shows no such repository; check {where}, set HF_TOKEN if it is private"
    except errors.RevisionNotFoundError:
        problem = f"the repository has no such revision; check {where}"
    except errors.LocalEntryNotFoundError:
        problem = "not in the hub's cache here, and the hub was not reached; check the network and HF_HUB_OFFLINE"
    except errors.EntryNotFoundError:
        problem, kind = f"that revision has no such file; check {where}", NoSuchFileError
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, httpx.HTTPError) as error:
        cause = " ".join(str(error).split())[:200] or type(error).__name__  # an answer of another form among them
        problem = f"the download failed ({cause}); run again, set HF_TOKEN if asked to"
    else:
        return
    raise kind(f"{what}: {problem}, {otherwise}")
