"""The Hugging Face hub, with errors for people. The token comes from HF_TOKEN in the environment, and stays there."""

import os
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

from joulebench.errors import UserError, in_one_line

ANSWER_S = 10.0
SILENT_S = 35.0
LEAST_BYTES = 64 * 1024
"""Without a whole answer or so many bytes for SILENT_S, a download has failed: huggingface_hub by itself waits for
minutes, or without end. It may take one ANSWER_S longer until that is seen."""
LONGEST_WAIT_S = 300.0
"""Of a hub that says when to come again: its own limits are of five minutes."""


class NoSuchFileError(UserError):
    """The repository and its revision are there, the file is not."""


class _LaterError(Exception):
    """The hub asks to wait for longer than anybody would."""


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
        watch.succeeded()
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
    except _LaterError as error:
        problem = f"{error}; run again then, and set HF_TOKEN, with which more is allowed"
    except _SilentError as error:
        problem = f"{error}; check the network, a proxy and HF_ENDPOINT, and run again"
    except Exception as error:  # noqa: BLE001  an answer of another form fails anywhere in the client
        problem = f"the download failed ({_cause(error)}); run again, set HF_TOKEN if asked to"
    else:
        return
    raise kind(f"{what}: {problem}, {otherwise}")


def lacks_socks(error: Exception) -> bool:
    """Whether it is httpx's, of a SOCKS proxy of the environment, for which it wants the package socksio."""
    return isinstance(error, ImportError) and "socks" in str(error).lower()


def _cause(error: Exception) -> str:
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


XET = {
    "HF_XET_CLIENT_READ_TIMEOUT": "10s",
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "20s",
}
"""Limits of hf_xet, which moves a file's content by itself, and waits for minutes; read when it is imported."""


class _Watch:
    """Since when requests have failed one after the other, all of them together."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._lock = threading.Lock()
        self.succeeded()

    def succeeded(self) -> None:
        self._since_s: float | None = None
        self.given_up: _SilentError | None = None

    def give_up(self, why: str) -> NoReturn:
        """What is asked from now on fails at once: huggingface_hub swallows some errors, and asks for more."""
        self.given_up = _SilentError(why)
        raise self.given_up

    def failed(self, began_s: float, host: str) -> None:
        """Raises _SilentError where that is too long."""
        with self._lock:
            self._since_s = began_s if self._since_s is None else min(began_s, self._since_s)
            too_long = time.monotonic() - self._since_s >= self.silent_s
        if too_long:
            self.give_up(f"{host} gave no whole answer for {self.silent_s:.0f} s")


@lru_cache(maxsize=1)
def _limit_waiting() -> _Watch:
    """From now on huggingface_hub's requests end in _SilentError where next to nothing arrives for SILENT_S.

    Within one exchange that is told at the socket, where headers that drip are seen too; over several, by the answers.
    """
    import httpcore
    import httpx
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    for name, value in XET.items():
        os.environ.setdefault(name, value)
    longest_s = max(ANSWER_S, constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT)
    watch = _Watch(SILENT_S * longest_s / ANSWER_S)

    class Socket(httpcore.NetworkStream):
        """A connection that counts, since it was last written to, the bytes that came and the seconds spent waiting."""

        def __init__(self, stream: httpcore.NetworkStream, host: str) -> None:
            self._stream, self._host = stream, host
            self._waited_s, self._bytes = 0.0, 0

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            began_s = time.monotonic()
            content = self._stream.read(max_bytes, timeout)
            waited_s = time.monotonic() - began_s
            # A process that was stopped meanwhile has not waited for longer than it would have.
            self._waited_s += waited_s if timeout is None else min(waited_s, timeout)
            self._bytes += len(content)
            if self._bytes >= LEAST_BYTES:
                self._waited_s, self._bytes = 0.0, 0
            elif self._waited_s >= watch.silent_s:
                watch.give_up(f"{self._host} gave only {self._bytes:,} bytes in {watch.silent_s:.0f} s")
            return content

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._waited_s, self._bytes = 0.0, 0
            self._stream.write(buffer, timeout)

        def start_tls(
            self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
        ) -> httpcore.NetworkStream:
            return Socket(self._stream.start_tls(ssl_context, server_hostname, timeout), self._host)

        def close(self) -> None:
            self._stream.close()

        def get_extra_info(self, info: str) -> Any:
            return self._stream.get_extra_info(info)

    class Network(httpcore.NetworkBackend):
        """What opens connections, each of them a Socket."""

        def __init__(self, backend: httpcore.NetworkBackend) -> None:
            self._backend = backend

        def connect_tcp(self, host: str, *more: Any, **options: Any) -> httpcore.NetworkStream:
            return Socket(self._backend.connect_tcp(host, *more, **options), host)

        def connect_unix_socket(self, path: str, *more: Any, **options: Any) -> httpcore.NetworkStream:
            return Socket(self._backend.connect_unix_socket(path, *more, **options), path)

        def sleep(self, seconds: float) -> None:
            self._backend.sleep(seconds)

    class Body(httpx.SyncByteStream):
        """An answer's body. With it its exchange is a success; but a redirect, or a server's error, is none."""

        def __init__(self, response: httpx.Response) -> None:
            self._stream, self._host = response.stream, response.request.url.host
            self._began_s = response.request.extensions[BEGAN]
            self._is_answer = response.status_code < 500 and not response.has_redirect_location

        def __iter__(self) -> Iterator[bytes]:
            assert isinstance(self._stream, httpx.SyncByteStream)
            try:
                yield from self._stream
            except httpx.TimeoutException:
                self._is_answer = False
                watch.failed(self._began_s, self._host)
                raise

        def close(self) -> None:
            assert isinstance(self._stream, httpx.SyncByteStream)
            self._stream.close()
            if self._is_answer:
                watch.succeeded()

    def looked_at(response: httpx.Response) -> None:
        response.stream = Body(response)
        host, wait_s = response.request.url.host, _asked_to_wait_s(response.headers)
        if response.status_code in (429, 503) and wait_s > LONGEST_WAIT_S:
            raise _LaterError(f"{host} asks to wait {wait_s:,.0f} s (status {response.status_code})")
        began_s = response.request.extensions[BEGAN]
        if response.has_redirect_location and time.monotonic() - began_s >= watch.silent_s:
            watch.give_up(f"{host} only sends elsewhere, for {watch.silent_s:.0f} s")
        if response.status_code >= 500:
            watch.failed(began_s, host)

    class Client(httpx.Client):
        """A client whose requests have a limit, whatever is asked for: its own retries wait a minute each."""

        def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            if watch.given_up is not None:
                raise watch.given_up
            asked = request.extensions.get("timeout", {})
            limits = ("connect", "read", "write", "pool")
            request.extensions["timeout"] = {
                name: watch.silent_s if asked.get(name) is None else min(asked[name], longest_s) for name in limits
            }
            request.extensions[BEGAN] = time.monotonic()
            try:
                return super().send(request, **options)
            except httpx.TimeoutException:
                watch.failed(request.extensions[BEGAN], request.url.host)
                raise

    def client() -> httpx.Client:
        theirs = default_client_factory()
        hooks = {**theirs.event_hooks, "response": [*theirs.event_hooks.get("response", ()), looked_at]}
        ours = Client(event_hooks=hooks, follow_redirects=True, timeout=None)
        theirs.close()
        for transport in (ours._transport, *ours._mounts.values()):  # one for each proxy; None: without
            if isinstance(transport, httpx.HTTPTransport):
                pool: Any = transport._pool
                pool._network_backend = Network(pool._network_backend)
        return ours

    set_client_factory(client)
    return watch


def _asked_to_wait_s(headers: Mapping[str, str]) -> float:
    """By Retry-After (RFC 9110, 10.2.3: seconds), or by the hub's own ratelimit ("api";r=0;t=55); 0 without."""
    told = re.search(r";\s*t=(\d{1,9})", headers.get("ratelimit", ""))
    after = headers.get("retry-after", "").strip()
    return max(float(told[1]) if told else 0.0, float(after) if after.isdecimal() and len(after) < 10 else 0.0)


BEGAN = "joulebench_began_s"
"""Of a request's extensions: when it was sent."""
