"""The Hugging Face hub, with errors for people. The token comes from HF_TOKEN in the environment, and stays there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from joulebench.downloads.waiting import LaterError, SilentError, limited
from joulebench.errors import UserError, in_one_line

Kind = Literal["model", "dataset"]


class NoSuchFileError(UserError):
    """The place is there, the file is not."""


def token() -> str | bool:
    """HF_TOKEN of the environment, as huggingface_hub takes it; False without: no other is looked for."""
    return os.environ.get(TOKEN, "").strip() or False


TOKEN = "HF_TOKEN"


def page(repo: str, kind: Kind) -> str:
    """The address of a repository's page, where its terms are accepted."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo}"


@contextmanager
def explained(what: str, where: str, otherwise: str, repo: str, of: Kind) -> Iterator[None]:
    """Turn the hub's errors into one line each, a hub that never answers among them.

    `what` names the thing and its revision, `repo` its repository, `of` models or of datasets, `where` the key of the
    config that asks for it, `otherwise` what to do where the hub cannot help. Raises UserError where the hub cannot be
    reached, has no such thing (a file: NoSuchFileError), or does not let this user have it.
    """
    try:
        from huggingface_hub import errors

        watch = limited()
    except ValueError as error:
        said = in_one_line(error)
        raise UserError(f"a setting of huggingface_hub cannot be read ({said}); correct HF_... and run again") from None
    kind = UserError
    try:
        watch.succeeded()
        yield
    except UserError:
        raise
    except errors.GatedRepoError:
        found = "the account of HF_TOKEN was refused" if token() else "HF_TOKEN is not set"
        problem = f"gated, and {found}; accept its terms at {page(repo, of)} and set HF_TOKEN to that account's"
    except errors.RepositoryNotFoundError:
        problem = f"the hub shows no such repository; check {where}, set HF_TOKEN if it is private"
    except errors.RevisionNotFoundError:
        problem = f"the repository has no such revision; check {where}"
    except errors.LocalEntryNotFoundError:
        problem = "not in the hub's cache here, and the hub was not reached; check the network and HF_HUB_OFFLINE"
    except errors.EntryNotFoundError:
        problem, kind = f"that revision has no such file; check {where}", NoSuchFileError
    except LaterError as error:
        problem = f"{error}; run again then, and set HF_TOKEN, with which more is allowed"
    except SilentError as error:
        problem = f"{error}; check the network, a proxy and HF_ENDPOINT, and run again"
    except Exception as error:  # noqa: BLE001  an answer of another form fails anywhere in the client
        problem = f"the download failed ({cause(error)}); run again, set HF_TOKEN if asked to"
    else:
        return
    raise kind(f"{what}: {problem}, {otherwise}")


def lacks_socks(error: Exception) -> bool:
    """Whether it is httpx's, of a SOCKS proxy of the environment, for which it wants the package socksio."""
    return isinstance(error, ImportError) and "socks" in str(error).lower()


def cause(error: Exception) -> str:
    """What an error says, in one line, with what a proxy of the environment has to do with it."""
    said = in_one_line(error)
    if isinstance(error, KeyError | TypeError | AttributeError | IndexError):
        said = f"the hub's answer is not of the form that is expected: {type(error).__name__} {said}"
    if type(error).__name__ == "InvalidURL":
        named = [name for name in ("NO_PROXY", "no_proxy") if os.environ.get(name)]
        said += f": {' and '.join(named)} or a proxy's address holds what is no host" if named else ""
    if lacks_socks(error):
        said = "a SOCKS proxy needs the package socksio: pip install socksio, or unset ALL_PROXY"
    return said
