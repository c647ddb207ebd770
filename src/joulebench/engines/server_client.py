"""Requests to a server of OpenAI's API, all at once, from a thread with an event loop of its own.

aiohttp as it is, not the client of `openai`: that one tries again by itself, which a measurement must not, waits ten
minutes for a token, keeps a line without end in memory, and makes a model object of each token. httpx, over which that
one and much else here asks, takes up to four times the processor time for a token (docs/measurements.md).
"""

import asyncio
import io
import queue
import selectors
import ssl
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp

from joulebench.engines.server_stream import Answer, Ask, Lines, StreamError

CONNECT_S = 10.0
LOOK_S = 10.0
"""For so long one question beside the requests is waited for: /health, /metrics."""
KEPT_S = 2.0
"""So long is an idle connection used again: servers close one after 5 s (uvicorn), and a request may cross that."""
MOST_BYTES = 16 * 2**20
"""Of the answer to such a question."""
DRAIN_S = 1.0
"""For so long a stream may go on behind its [DONE]; at its own end the connection can be used again."""
SHOWN_BYTES = 4096
"""Of what a server says where it refuses."""
RENEWED_S = 0.2
"""So often at most the deadline of a stream is put off, which costs as much as a token does."""
LARGE_BYTES = 2**20
"""From here on a body is sent in pieces."""
PLAIN = {"Accept-Encoding": "identity"}

T = TypeVar("T")


class Arrival(NamedTuple):
    """What came of a request at one moment: so many tokens, its first one among them or not, its end or not.

    `gap_s`: since the answer's tokens before had come, None where there were none or none came now.
    """

    ask: Ask
    tokens: int
    is_first: bool
    ended: bool
    gap_s: float | None = None


class Waiting(selectors.DefaultSelector):
    """Counts for how long nothing was to do."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        began_s = time.monotonic()
        found = super().select(timeout)
        self.waited_s += time.monotonic() - began_s
        return found


class Client:
    """`arrivals` fills while requests are on their way; nothing that is asked here is waited for without a deadline."""

    def __init__(self, address: str, path: str, key: str | None, tokenizer: Any, stall_s: float) -> None:
        self.arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self.tokenizer: Any | None = tokenizer
        """Counts the tokens of a text; None where each chunk of it is one."""
        self._parts, self._path, self._key, self._stall_s = urlsplit(address), path, key, stall_s
        self._renewed_s = min(RENEWED_S, stall_s / 10)
        headers = self._authorization()
        words = (key, self._parts.password, headers.get("Authorization", "").rpartition(" ")[2])
        self._secrets = [word for word in words if word]
        self._tasks: set[asyncio.Task[None]] = set()
        self._selector, self._began_s = Waiting(), time.monotonic()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._loop.run_forever, name="server-client", daemon=True)
        self._thread.start()
        self._http = self._wait(self._opened(headers), LOOK_S)

    async def _opened(self, headers: dict[str, str]) -> aiohttp.ClientSession:
        """As many connections as there are requests in flight; no cookies, and no proxy: it is none of the server's."""
        return aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S, ssl=ssl.create_default_context()),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    def _authorization(self) -> dict[str, str]:
        if self._key:
            return {"Authorization": f"Bearer {self._key}"}
        if self._parts.username is None:
            return {}
        name, password = unquote(self._parts.username), unquote(self._parts.password or "")
        return {"Authorization": aiohttp.encode_basic_auth(name, password)}

    @property
    def address(self) -> str:
        """Where the server is, without a name and a password that may be in it."""
        return self._parts._replace(netloc=self._parts.netloc.rpartition("@")[2]).geturl()

    def _at(self, path: str) -> str:
        return self.address.rstrip("/") + path

    def busy_s(self) -> float:
        """For how long the thread has not waited for the server so far, in seconds: it was at work, or kept from it."""
        return self._wait(self._busy_s(), LOOK_S)

    async def _busy_s(self) -> float:
        return time.monotonic() - self._began_s - self._selector.waited_s

    def submit(self, ask: Ask) -> None:
        self._loop.call_soon_threadsafe(self._begin, ask)

    def asked(self, ask: Ask) -> Ask:
        """`ask`, sent and waited for; what was wrong is in it. Not beside others."""
        self.submit(ask)
        while not self.arrivals.get(timeout=2 * self._stall_s + CONNECT_S + LOOK_S).ended:
            pass
        return ask

    def get(self, path: str, seconds: float = LOOK_S) -> tuple[int | None, bytes, str]:
        """Status, content and `server` header of a GET; the status is None where nobody answered in time."""
        return self._wait(self.look(path, seconds), seconds + 1)

    async def look(self, path: str, seconds: float = LOOK_S) -> tuple[int | None, bytes, str]:
        """`get`, for who runs in the loop."""
        content = b""
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.get(self._at(path), headers=PLAIN, allow_redirects=False) as response,
            ):
                async for part in response.content.iter_any():
                    content += part
                    if len(content) > MOST_BYTES:
                        return None, b"", ""
                return response.status, content, _readable(response.headers.get("server", ""))
        except (aiohttp.ClientError, TimeoutError):
            return None, b"", ""

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something beside the requests, until the end."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def abort(self) -> None:
        """Close the connections of all requests; what had come of them and was not read is gone."""
        self._wait(self._cancel(), LOOK_S)
        while not self.arrivals.empty():
            self.arrivals.get()

    def close(self) -> None:
        """Safe to call twice."""
        if not self._loop.is_running():
            return
        with suppress(TimeoutError):
            self._wait(self._end(), LOOK_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LOOK_S)
        if not self._thread.is_alive():
            self._loop.close()

    def scrubbed(self, text: str) -> str:
        """`text` in one line, without key and password, which a server may repeat."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:300]

    def _wait(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def _begin(self, ask: Ask) -> None:
        task = self._loop.create_task(self._follow(ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self) -> None:
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._http.close()

    async def _follow(self, ask: Ask) -> None:
        """Send a request and tell of all that comes, its end last, whatever happens."""
        try:
            async with asyncio.timeout(self._stall_s) as patience:
                await self._stream(ask, patience)
        except StreamError as error:
            ask.why = self.scrubbed(f"the server {error}")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            ask.why = "the server takes no connection; it has ended, or listens elsewhere"
        except TimeoutError:
            ask.why = f"the server sent no token for {self._stall_s:g} s, after {ask.tokens} of {ask.most} (stall_s)"
        except aiohttp.ClientResponseError as error:
            words = " ".join(error.message.split())[:120]
            ask.why = self.scrubbed(f"the server does not answer in HTTP as it should ({words})")
        except (aiohttp.ClientError, OSError) as error:
            words = " ".join(str(error).split())[:120] or type(error).__name__
            ask.why = self.scrubbed(
                f"the server closed the connection after {ask.tokens} of {ask.most} tokens ({words})"
            )
        except Exception as error:  # noqa: BLE001 (what is not told here would be waited for)
            ask.why = self.scrubbed(f"the server's stream cannot be read ({type(error).__name__}: {error})")
        self.arrivals.put(Arrival(ask, 0, False, True))

    async def _stream(self, ask: Ask, patience: asyncio.Timeout) -> None:
        lines, answer, done = Lines(), Answer(ask, self.tokenizer), False
        ask.sent = renewed = time.monotonic()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream", **PLAIN}
        body = ask.body if len(ask.body) < LARGE_BYTES else io.BytesIO(ask.body)
        asked = self._http.post(self._at(self._path), data=body, headers=headers, allow_redirects=False)
        async with asked as response:
            if response.status != HTTPStatus.OK:
                await self._refused(ask, response)
            if (packed := response.headers.get("Content-Encoding", "identity")) != "identity":
                raise StreamError(f"sends its stream compressed ({packed}), which was not asked for")
            parts = response.content.iter_any()
            async for data in parts:
                at = time.monotonic()
                came, before = ask.last, ask.tokens
                for payload in lines.of(data):
                    done = answer.take(payload, at) is None
                    if done:
                        break
                if ask.tokens != before:
                    tokens, is_first = ask.tokens - before, came is None and ask.last is not None
                    gap_s = at - came if came is not None and tokens > 0 else None
                    self.arrivals.put(Arrival(ask, tokens, is_first, False, gap_s))
                    if at > renewed + self._renewed_s:
                        renewed = at
                        patience.reschedule(self._loop.time() + self._stall_s + self._renewed_s)
                if done:
                    patience.reschedule(self._loop.time() + 2 * DRAIN_S)
                    await _drained(parts)
                    break
        lines.end()
        answer.end()

    async def _refused(self, ask: Ask, response: aiohttp.ClientResponse) -> None:
        ask.status = response.status
        said = b""
        with suppress(TimeoutError, aiohttp.ClientError, OSError):  # the status is known, whatever becomes of the rest
            async with asyncio.timeout(min(DRAIN_S, self._stall_s / 2)):
                async for data in response.content.iter_any():
                    said += data
                    if len(said) > SHOWN_BYTES:
                        break
        words = said[:SHOWN_BYTES].decode("utf-8", "replace")
        raise StreamError(f"answered {ask.status} ({_readable(response.reason or '')}) {words[:200]}".rstrip())


async def _drained(parts: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in parts:
                pass


def _readable(header: str) -> str:
    """A header that is not UTF-8 as text that can be written."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
