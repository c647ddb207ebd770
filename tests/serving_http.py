"""A small server of OpenAI's API for the tests: it does as vLLM does, or less, or misbehaves in one way.

Each answer is a row of the letters of its prompt's number, a token each; nothing is computed.
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODEL = "tiny"
WORD = "x"
"""The text of a token: the tests' tokenizers know each letter."""


class Behaviour:
    """What the server does. `fault`: what is wrong with it, after the first `healthy` answers."""

    def __init__(self, fault: str = "", *, healthy: int = 0, **how: Any) -> None:
        self.fault, self.healthy = fault, healthy
        self.token_ids: bool = how.pop("token_ids", True)
        self.continuous: bool = how.pop("continuous", True)
        self.takes_ids: bool = how.pop("takes_ids", True)
        self.strict: bool = how.pop("strict", False)
        self.natural: int = how.pop("natural", 4)
        self.per_chunk: int = how.pop("per_chunk", 1)
        self.metrics: str | None = how.pop("metrics", None)
        self.cached: int = how.pop("cached", 0)
        self.key: str | None = how.pop("key", None)
        self.delay_s: float = how.pop("delay_s", 0.0)
        self.notes: bool = how.pop("notes", False)
        """Print when each chunk of an answer was sent, a line an answer: `sent`, and monotonic seconds."""
        assert not how
        self.asked: list[dict[str, Any]] = []
        self.sent: list[list[float]] = []
        """The same, of the answers so far."""
        self.answers = 0
        self.hits = 0
        self.broken_off = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as real servers do: else a chunk waits for the one before to be acknowledged
    does: Behaviour
    count: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/health":
            return self._plain(503 if self.does.fault == "never healthy" else 200, b"")
        if self.path == "/v1/models" and self.does.fault == "lists no models":
            return self._json(500, {"error": "Internal Server Error"})
        if self.path == "/v1/models":
            return self._json(200, {"data": [{"id": MODEL, "max_model_len": 512}]})
        if self.path == "/version":
            return self._json(200, {"version": "9.8.7"})
        if self.path == "/metrics" and self.does.metrics is not None:
            return self._plain(200, self.does.metrics.format(**vars(self.does)).encode())
        return self._json(404, {"error": "no such page"})

    def do_POST(self) -> None:
        does = self.does
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        does.asked.append(asked)
        if does.key is not None and self.headers.get("Authorization") != f"Bearer {does.key}":
            return self._json(401, {"error": f"not the key: {self.headers.get('Authorization')}"})
        known = {"model", "prompt", "messages", "max_tokens", "temperature", "stream", "stream_options", "stop"}
        if does.strict and (unknown := asked.keys() - known):
            return self._json(422, {"detail": f"Unexpected fields in the request: {unknown}"})
        if not does.takes_ids and isinstance(asked.get("prompt"), list):
            return self._json(400, {"detail": "prompt must be a string."})
        does.answers += 1
        does.hits += does.cached
        fault = does.fault if does.answers > does.healthy else ""
        if fault in ("429", "500"):
            return self._json(int(fault), {"error": {"message": "no room" if fault == "429" else "it broke"}})
        if fault == "500 that stalls":
            self.send_response(500)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"error"')
            time.sleep(0.5)
            return self._reset()
        if fault == "no stream":
            return self._json(200, {"choices": [{"text": "all at once", "finish_reason": "stop"}], "usage": {}})
        if fault == "dead":
            self.server.socket.close()
            return self._reset()
        if fault == "no HTTP":
            self.close_connection = True
            self.wfile.write(b"HTP/9 okay\r\n\r\n")
            return None
        self.send_response(200)
        if fault == "packed":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._stream(asked, fault)
        except (BrokenPipeError, ConnectionResetError):
            does.broken_off += 1
            self.close_connection = True
        return None

    def _stream(self, asked: dict[str, Any], fault: str) -> None:
        does = self.does
        long = asked.get("ignore_eos") or asked.get("min_tokens")
        most: int = asked["max_tokens"]
        tokens = most if long else min(most, does.natural)
        prompt = self.count(asked) + (1 if fault == "other prompt" else 0)
        if fault == "ends early":
            tokens = 1
        if fault == "too many":
            tokens = most + 3
        made, sent = 0, []
        while made < tokens or fault == "endless":
            if fault == "stalls" and made == 2:
                time.sleep(5)
            if fault == "cuts" and made == 2:
                return self._chunk(b"")
            if fault == "closes" and made == 2:
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            if fault == "broken JSON" and made == 2:
                return self._chunk(b'data: {"choices": [{"text": "x"\n\n')
            if fault == "no line end" and made == 2:
                for _ in range(40):
                    self._chunk(b"data: " + b"x" * 2**16)
                return None
            if fault == "error in the stream" and made == 2:
                return self._chunk(b'data: {"error": {"message": "CUDA out of memory"}}\n\n')
            if fault == "comments":
                for _ in range(500):
                    self._chunk(b": still here\n\n")
                    time.sleep(0.01)
            time.sleep(does.delay_s)
            now = min(does.per_chunk, tokens - made) if fault != "endless" else 1
            made += now
            sent.append(time.monotonic())
            self._tokens(asked, fault, now, made, prompt, "length" if made == most else "stop", made >= tokens)
        does.sent.append(sent)
        if does.notes:
            line = " ".join(map(str, ["sent", *sent]))
            os.write(1, f"{line}\n".encode())  # whole, whatever other answers end now
        if fault != "no usage":
            self._say(self._line(asked, fault, [], self._usage(prompt, made)))
        self._chunk(b"data: [DONE]\n\n")
        if fault == "leaves":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if fault == "goes on":
            for _ in range(200):
                self._chunk(b"data: more\n\n")
                time.sleep(0.05)
        return self._chunk(b"")

    def _tokens(
        self, asked: dict[str, Any], fault: str, now: int, made: int, prompt: int, reason: str, last: bool
    ) -> None:
        does = self.does
        text = WORD * now
        choice: dict[str, Any] = {"index": 0, "finish_reason": reason if last else None}
        choice |= {"delta": {"content": text}} if "messages" in asked else {"text": text}
        if does.token_ids and asked.get("return_token_ids"):
            choice["token_ids"] = [7] * now
        continuous = does.continuous and asked["stream_options"].get("continuous_usage_stats") and fault != "no usage"
        self._say(self._line(asked, fault, [choice], self._usage(prompt, made) if continuous else None))

    def _line(self, asked: dict[str, Any], fault: str, choices: list[Any], usage: Any) -> dict[str, Any]:
        name = "another" if fault == "another model" else asked["model"]
        return {"model": name, "choices": choices, **({"usage": usage} if usage else {})}

    def _usage(self, prompt: int, made: int) -> dict[str, Any]:
        return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}

    def _say(self, line: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(line).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _reset(self) -> None:
        """RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise ConnectionResetError

    def _json(self, status: int, told: Any) -> None:
        self._plain(status, json.dumps(told).encode())

    def _plain(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def served(does: Behaviour, count: Any) -> Iterator[str]:
    """The address of a server that does so; `count`: prompt tokens of a request's body."""
    kind = type("Own", (Handler,), {"does": does, "count": staticmethod(count)})
    server = Quiet(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()  # one that died has closed its socket, and would ask for it for ever
        server.server_close()


_STARTED = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={apart})
print("child", child.pid, flush=True)
sys.path[:0] = [{tests!r}]
from serving_http import Behaviour, Handler, Quiet
own = dict(does=Behaviour({fault!r}, healthy=5, **{how!r}), count=staticmethod(lambda body: len(body["prompt"])))
Quiet(("127.0.0.1", int(sys.argv[1])), type("Own", (Handler,), own)).serve_forever()
"""


def command(fault: str = "", apart: bool = False, **how: Any) -> list[str]:
    """The words that start such a server, with a child that sleeps, in a session of its own where `apart`."""
    code = _STARTED.format(fault=fault, apart=apart, how=how, tests=str(Path(__file__).parent))
    return [sys.executable, "-c", code, "{port}"]
