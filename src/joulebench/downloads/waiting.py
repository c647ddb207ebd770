"""Limits of waiting for huggingface_hub's requests, and for others that are sent by its client."""

import os
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn

ANSWER_S = 10.0
SILENT_S = 35.0
LEAST_BYTES = 64 * 1024
"""Without a whole answer or so many bytes for SILENT_S, a download has failed: huggingface_hub by itself waits for
minutes, or without end. It may take one ANSWER_S longer until that is seen."""
LONGEST_WAIT_S = 300.0
"""Of a host that says when to come again: the hub's own limits are of five minutes."""


class LaterError(Exception):
    """The host asks to wait for longer than anybody would."""


class SilentError(Exception):
    """The host gives no answer, or next to nothing of it."""


XET = {
    "HF_XET_CLIENT_READ_TIMEOUT": "10s",
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "20s",
}
"""Limits of hf_xet, which moves a file's content by itself, and waits for minutes; read when it is imported."""


class Watch:
    """Since when requests have failed one after the other, all of them together."""

    def __init__(self, silent_s: float) -> None:
        self.silent_s = silent_s
        self._lock = threading.Lock()
        self.succeeded()

    def succeeded(self) -> None:
        self._since_s: float | None = None
        self.given_up: SilentError | None = None

    def give_up(self, why: str) -> NoReturn:
        """What is asked from now on fails at once: huggingface_hub swallows some errors, and asks for more."""
        self.given_up = SilentError(why)
        raise self.given_up

    def failed(self, began_s: float, host: str) -> None:
        """Raises SilentError where that is too long."""
        with self._lock:
            self._since_s = began_s if self._since_s is None else min(began_s, self._since_s)
            too_long = time.monotonic() - self._since_s >= self.silent_s
        if too_long:
            self.give_up(f"{host} gave no whole answer for {self.silent_s:.0f} s")


@lru_cache(maxsize=1)
def limited() -> Watch:
    """From now on huggingface_hub's requests end in SilentError where next to nothing arrives for SILENT_S.

    Within one exchange that is told at the socket, where headers that drip are seen too; over several, by the answers.
    """
    import httpcore
    import httpx
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    for name, value in XET.items():
        os.environ.setdefault(name, value)
    longest_s = max(ANSWER_S, constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT)
    watch = Watch(SILENT_S * longest_s / ANSWER_S)

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
        host, wait_s = response.request.url.host, asked_to_wait_s(response.headers)
        if response.status_code in (429, 503) and wait_s > LONGEST_WAIT_S:
            raise LaterError(f"{host} asks to wait {wait_s:,.0f} s (status {response.status_code})")
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


def asked_to_wait_s(headers: Mapping[str, str]) -> float:
    """By Retry-After (RFC 9110, 10.2.3: seconds), or by the hub's own ratelimit ("api";r=0;t=55); 0 without."""
    told = re.search(r";\s*t=(\d{1,9})", headers.get("ratelimit", ""))
    after = headers.get("retry-after", "").strip()
    return max(float(told[1]) if told else 0.0, float(after) if after.isdecimal() and len(after) < 10 else 0.0)


BEGAN = "joulebench_began_s"
"""Of a request's extensions: when it was sent."""
