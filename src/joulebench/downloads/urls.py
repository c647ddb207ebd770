"""Files at an address, of any host: whole or not at all, within the limits of waiting that the hub's downloads have."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from joulebench.downloads.hub import NoSuchFileError, cause
from joulebench.downloads.revisions import FETCHED
from joulebench.downloads.waiting import LaterError, SilentError, asked_to_wait_s, limited
from joulebench.errors import UserError
from joulebench.files import sha256 as digest_of
from joulebench.files import whole_file
from joulebench.inputs.reading import is_there, size_in_words

ATTEMPTS = 3
PAUSE_S = 2.0
"""Before another attempt, where the host does not say how long."""

PIECE_BYTES = 1024 * 1024

log = logging.getLogger(__name__)

Made = TypeVar("Made")


class _AgainError(Exception):
    """What may go well at another time."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


def file(url: str, sha256: str, most_bytes: int, where: str) -> Path:
    """The path of the file at `url`, which has the SHA-256 `sha256`; fetched where it is not here yet.

    It lies under data/fetched/ by that digest, so that another file is never taken for it. `where`: the key of the
    config that asks for it. Raises UserError where it cannot be had, is another file, or is larger than `most_bytes`,
    and RecordError where it cannot be written.
    """
    path = FETCHED / sha256 / named(url)
    if is_there(path) and digest_of(path) == sha256:
        return path
    log.info("fetching %s", url)

    def fetched() -> Path:
        with whole_file(path) as aside:
            digest = hashlib.sha256()
            with aside.open("wb") as written:
                for piece in _pieces(url, most_bytes, where):
                    digest.update(piece)
                    written.write(piece)
            if (found := digest.hexdigest()) != sha256:
                raise UserError(
                    f"{url}: has the SHA-256 {found}, expected {sha256}; nothing of it was kept: correct sha256, or "
                    f"{_elsewhere(where)}"
                )
        return path

    return _patiently(url, where, fetched)


def content(url: str, most_bytes: int, where: str) -> bytes:
    """What lies at `url`, of which nobody knows the digest; the host has to tell how long it is, or where it ends.

    Raises NoSuchFileError where the host says that there is no such file, and UserError as `file` does.
    """
    return _patiently(url, where, lambda: b"".join(_pieces(url, most_bytes, where, ends=True)))


def named(url: str) -> str:
    """The name of the file at `url`: the last part of its path."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return name if name and name not in (".", "..") and "\0" not in name else "file"


def _patiently(url: str, where: str, fetch: Callable[[], Made]) -> Made:
    """What `fetch` returns, tried ATTEMPTS times. Raises UserError where the last one failed too."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return fetch()
        except _AgainError as error:
            why = str(error)
            if attempt < ATTEMPTS:
                time.sleep(max(error.wait_s, attempt * PAUSE_S))
    raise UserError(f"{url}: {why}, {ATTEMPTS} times; run again, or {_elsewhere(where)}")


def _elsewhere(where: str) -> str:
    return f"fetch it elsewhere and name it in {where} by kind: local"


def _pieces(url: str, most_bytes: int, where: str, ends: bool = False) -> Iterator[bytes]:
    """The content of `url`; with `ends`, only where the host tells its end. Raises UserError or _AgainError."""
    with _explained(url, where):
        from huggingface_hub import get_session

        # As it is: a .gz stays one, whose digest is known.
        with get_session().stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
            status, told = response.status_code, response.headers
            if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise NoSuchFileError(f"{url}: the host has no such file ({status}); check {where}")
            if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise _AgainError(f"the host answered {_status(status)}", asked_to_wait_s(told))
            if status != HTTPStatus.OK:
                raise UserError(
                    f"{url}: the host answered {_status(status)}; check the address, or {_elsewhere(where)}"
                )
            if ends and "content-length" not in told and "transfer-encoding" not in told:
                raise UserError(
                    f"{url}: the host does not tell its length, so that a part would be taken for the whole; "
                    f"{_elsewhere(where)}"
                )
            size = 0
            for piece in response.iter_raw(PIECE_BYTES):
                size += len(piece)
                if size > most_bytes:
                    most = size_in_words(most_bytes)
                    raise UserError(f"{url}: over {most}, more than any that is meant; check {where}")
                yield piece


@contextmanager
def _explained(url: str, where: str) -> Iterator[None]:
    import httpx
    from huggingface_hub import errors

    try:
        limited().succeeded()
        yield
    except (UserError, _AgainError):
        raise
    except LaterError as error:
        raise UserError(f"{url}: {error}; run again then") from None
    except SilentError as error:
        raise UserError(f"{url}: {error}; check the network and a proxy, and run again") from None
    except errors.OfflineModeIsEnabled:
        raise UserError(f"{url}: not here, and HF_HUB_OFFLINE is set; unset it, or {_elsewhere(where)}") from None
    except httpx.RemoteProtocolError:
        raise _AgainError("the host broke off") from None
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        raise _AgainError(f"could not be fetched ({cause(error)})") from None


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
