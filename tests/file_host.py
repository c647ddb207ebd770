"""A host of plain files on this machine, which serves what it is told to, or misbehaves in one way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Host:
    """`files`: path -> content. `faults`: path -> what goes wrong, the next one first; none left: it is served.

    A fault is a status ("503"), a status with Retry-After ("429 7"), "cut" (half of it comes), or "no length".
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []
        self.address = ""


def _handler(host: Host) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            host.asked.append(self.path)
            left = host.faults.get(self.path, [])
            status, _, wait = (left.pop(0) if left else "").partition(" ")
            content = host.files.get(self.path)
            if self.path in host.moved:
                return self._say(302, b"", {"Location": host.moved[self.path]})
            if status.isdigit():
                return self._say(int(status), b"", {"Retry-After": wait} if wait else {})
            if content is None:
                return self._say(404, b"", {})
            if status == "cut":
                self.close_connection = True
                return self._say(200, content[: len(content) // 2], {"Content-Length": str(len(content))})
            if status == "no":
                self.close_connection = True
                return self._say(200, content, {"Content-Length": None})
            return self._say(200, content, {})

        def _say(self, status: int, content: bytes, headers: dict[str, str | None]) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler


@contextmanager
def serving_files() -> Iterator[Host]:
    host = Host()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(host))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    host.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
