"""Requests to a server of OpenAI's API, all at once, from a thread with an event loop of its own.

httpx as it is, not the client of `openai`: that one tries again by itself, which a measurement must not, waits ten
minutes for a token, keeps a line without end in memory, and makes a model object of each token.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import httpx

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


class Client:
    """`arrivals` fills while requests are on their way; nothing that is asked here is waited for without a deadline."""

    def __init__(self, address: str, path: str, key: str | None, tokenizer: Any, stall_s: float) -> None:
        self.arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self.tokenizer: Any | None = tokenizer
        """Counts the tokens of a text; None where each chunk of it is one."""
        self._address, self._path, self._key, self._stall_s = address, path, key, stall_s
        self._certificates = httpx.create_ssl_context(trust_env=False)
        self._http = self._one()
        self._free: list[httpx.AsyncClient] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server-client", daemon=True)
        self._thread.start()

    def _one(self) -> httpx.AsyncClient:
        """A client of one connection: a pool looks at all of its connections for each request that begins or ends."""
        return httpx.AsyncClient(
            base_url=self._address,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEPT_S),
            trust_env=False,  # a proxy is none of the measured server's
            verify=self._certificates,
        )

    @asynccontextmanager
    async def _seat(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client that nobody else uses meanwhile; so there are as many as there are requests in flight."""
        one = self._free.pop() if self._free else self._one()
        try:
            yield one
        finally:
            self._free.append(one)

    @property
    def address(self) -> str:
        """Where the server is, without a name and a password that may be in it."""
        return str(httpx.URL(self._address).copy_with(username=None, password=None))

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
            async with asyncio.timeout(seconds), self._http.stream("GET", path) as response:
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > MOST_BYTES:
                        return None, b"", ""
                return response.status_code, content, response.headers.get("server", "")
        except (httpx.HTTPError, TimeoutError):
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
        """`text` in one line, without the key, which a server may repeat."""
        return " ".join((text.replace(self._key, "***") if self._key else text).split())[:300]

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
        for one in (self._http, *self._free):
            await one.aclose()

    async def _follow(self, ask: Ask) -> None:
        """Send a request and tell of all that comes, its end last, whatever happens."""
        try:
            async with asyncio.timeout(self._stall_s) as patience:
                await self._stream(ask, patience)
        except StreamError as error:
            ask.why = self.scrubbed(f"the server {error}")
        except TimeoutError:
            ask.why = f"the server sent no token for {self._stall_s:g} s, after {ask.tokens} of {ask.most} (stall_s)"
        except httpx.ConnectError:
            ask.why = "the server takes no connection; it has ended, or listens elsewhere"
        except httpx.HTTPError as error:
            words = " ".join(str(error).split())[:120] or type(error).__name__
            ask.why = self.scrubbed(
                f"the server closed the connection after {ask.tokens} of {ask.most} tokens ({words})"
            )
        except Exception as error:  # noqa: BLE001 (what is not told here would be waited for)
            ask.why = self.scrubbed(f"the server's stream cannot be read ({type(error).__name__}: {error})")
        self.arrivals.put(Arrival(ask, 0, False, True))

    async def _stream(self, ask: Ask, patience: asyncio.Timeout) -> None:
        lines, answer, done = Lines(), Answer(ask, self.tokenizer), False
        ask.sent = time.monotonic()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Accept-Encoding": "identity"}
        async with (
            self._seat() as seat,
            seat.stream("POST", self._path, content=ask.body, headers=headers) as response,
        ):
            if response.status_code != HTTPStatus.OK:
                await self._refused(ask, response)
            parts = response.aiter_raw()
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
                    patience.reschedule(self._loop.time() + self._stall_s)
                if done:
                    patience.reschedule(self._loop.time() + 2 * DRAIN_S)
                    await _drained(parts)
                    break
        lines.end()
        answer.end()

    async def _refused(self, ask: Ask, response: httpx.Response) -> None:
        ask.status = response.status_code
        said = b""
        async for data in response.aiter_raw():
            said += data
            if len(said) > SHOWN_BYTES:
                break
        words = said[:SHOWN_BYTES].decode("utf-8", "replace")
        raise StreamError(f"answered {ask.status} ({response.reason_phrase}) {words[:200]}".rstrip())


async def _drained(parts: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in parts:
                pass
