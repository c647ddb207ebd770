"""The Hugging Face hub, with errors for people. The token comes from HF_TOKEN in the environment, and stays there."""

from collections.abc import Iterator
from contextlib import contextmanager

from joulebench.errors import UserError


@contextmanager
def explained(what: str, revision: str) -> Iterator[None]:
    """Turn the hub's errors about `what` (a repository, or a file of one) into one line each.

    Raises UserError where the hub cannot be reached, has no such thing, or does not let this user have it.
    """
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise UserError(
            f"{what}: gated on the hub; accept its terms there and set HF_TOKEN in the environment"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{what}: no such repository on the hub, or a private one; check the name, or set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{what}: no revision {revision} on the hub; check the commit in the config") from None
    except (errors.EntryNotFoundError, errors.HfHubHTTPError, httpx.HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        offline = isinstance(error, errors.LocalEntryNotFoundError | httpx.TransportError)
        advice = "fetch it where there is a network, or name a local copy in the config" if offline else "try again"
        raise UserError(f"{what} at {revision[:12]}: not to be had from the hub ({reason}); {advice}") from None
