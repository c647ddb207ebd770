"""The Hugging Face hub, with errors for people. The token comes from HF_TOKEN in the environment, and stays there."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from joulebench.errors import UserError, in_one_line

ANSWER_S = 10.0
SILENT_S = 35.0
LEAST_BYTES = 64 * 1024
"""Without a whole answer or so many bytes for SILENT_S, a download has failed: huggingface_hub by itself waits for
minutes, or without end. It may take one ANSWER_S longer until that is seen."""


class NoSuchFileError(UserError):
    """The repository and its revision are there, the file is not."""


class _SilentError(Exception):
    """The hub gives no answer, or next to nothing of it."""


@contextmanager
def explained(what: str, where: str, otherwise: str) -> Iterator[None]:
    """Turn the hub's errors into one line each, a hub that never answers among them.

    `what` names the thing and its revision, `where` the key of the config that asks for it, `otherwise` what to do
    where the hub cannot help. Raises UserError where the hub cannot be reached, has no such thing (a file:
    NoSuchFileError), or does not let this user have it.
    """
    try:
        from huggingface_hub import errors

        watch = _limit_waiting()
    except ValueError as error:
        said = in_one_line(error)
        raise UserError(f"a setting of huggingface_hub cannot be read ({said}); correct HF_... and run again") from None
    kind = UserError
    try:
        watch.begin()
        yield
    except UserError:
        raise
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
    except _SilentError as error:
        problem = f"{error}; check the network, a proxy and HF_ENDPOINT, and run again"
    except Exception as error:  # noqa: BLE001  an answer of another form fails anywhere in the client
        problem = f"the download failed ({_cause(error)}); run again, set HF_TOKEN if asked to"
    else:
        return
    raise kind(f"{what}: {problem}, {otherwise}")


def _cause(error: Exception) -> str:
    """What an error says, in one line, with what a proxy of the environment has to do with it."""
    said = in_one_line(error)
    if isinstance(error, KeyError | TypeError | AttributeError | IndexError):
        said = f"the hub's answer is not of the form that is expected: {type(error).__name__} {said}"
    if type(error).__name__ == "InvalidURL":
        named = [name for name in ("NO_PROXY", "no_proxy") if os.environ.get(name)]
        said += f": {' and '.join(named)} or a proxy's address holds what is no host" if named else ""
    if isinstance(error, ImportError) and "socks" in said.lower():
        said = "a SOCKS proxy needs the package socksio: pip install socksio, or unset ALL_PROXY"
    return said


XET = {
    "HF_XET_CLIENT_READ_TIMEOUT": "10s",
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "20s",
}
"""Limits of hf_xet, which moves a file's content by itself, and waits for minutes; read when it is imported."""


class _Watch:
    """How long all requests together have waited for a whole answer, or for LEAST_BYTES of one."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        self._since_s: float | None = None
        self._bytes = 0

    def asked(self) -> None:
        with self._lock:
            if self._since_s is None:
                self._since_s = time.monotonic()

    def arrived(self, count: int) -> None:
        with self._lock:
            self._bytes += count
            if self._bytes >= LEAST_BYTES:
                self._since_s, self._bytes = time.monotonic(), 0

    def check(self, host: str) -> None:
        """Raises _SilentError where that is too long."""
        with self._lock:
            if self._since_s is None or time.monotonic() - self._since_s < self.silent_s:
                return
            given = f"only {self._bytes:,} bytes" if self._bytes else "no answer"
        raise _SilentError(f"{host} gave {given} for {self.silent_s:.0f} s")


@lru_cache(maxsize=1)
def _limit_waiting() -> _Watch:
    """From now on huggingface_hub's requests end in _SilentError where next to nothing arrives for SILENT_S."""
    import httpx
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    for name, value in XET.items():
        os.environ.setdefault(name, value)
    longest_s = max(ANSWER_S, constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT)
    watch = _Watch(SILENT_S * longest_s / ANSWER_S)

    class Body(httpx.SyncByteStream):
        """An answer's body, as it arrives."""

        def __init__(self, response: httpx.Response) -> None:
            self._stream, self._host = response.stream, response.request.url.host
            self._is_late = False

        def __iter__(self) -> Iterator[bytes]:
            assert isinstance(self._stream, httpx.SyncByteStream)
            try:
                for part in self._stream:
                    watch.arrived(len(part))
                    watch.check(self._host)
                    yield part
            except httpx.TimeoutException:
                self._is_late = True  # what is asked again goes on waiting
                watch.check(self._host)
                raise

        def close(self) -> None:
            assert isinstance(self._stream, httpx.SyncByteStream)
            self._stream.close()
            if not self._is_late:
                watch.begin()

    def watched(response: httpx.Response) -> None:
        response.stream = Body(response)

    class Client(httpx.Client):
        """A client whose requests have a limit, whatever is asked for: its own retries wait a minute each."""

        def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            asked = request.extensions.get("timeout", {})
            limits = ("connect", "read", "write", "pool")
            request.extensions["timeout"] = {
                name: watch.silent_s if asked.get(name) is None else min(asked[name], longest_s) for name in limits
            }
            watch.asked()
            try:
                return super().send(request, **options)
            except httpx.TimeoutException:
                watch.check(request.url.host)
                raise

    def client() -> httpx.Client:
        theirs = default_client_factory()
        hooks = {**theirs.event_hooks, "response": [*theirs.event_hooks.get("response", ()), watched]}
        ours = Client(event_hooks=hooks, follow_redirects=True, timeout=None)
        theirs.close()
        return ours

    set_client_factory(client)
    return watch
