"""A hub on this machine: repositories are folders, and what is fetched of them is kept track of."""

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest


class Hub:
    """Serves `root`/owner/name/... as the hub does; `fetched` are the files that were asked for whole.

    `also` are names that the listing has beside the files that are there. `commits`: what tags and branches stand for;
    where there are none, every revision is there. `refuses`: repositories -> status and error code of their files.
    `tokens`: what came with the requests.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.fetched, self.also = root, set[str](), list[str]()
        self.commits: dict[str, str] = {}
        self.refuses: dict[str, tuple[int, str]] = {}
        self.tokens: set[str | None] = set()
        self.resolved: list[str] = []
        self.address = ""

    def files(self, repository: str) -> list[str]:
        folder = self.root / repository
        there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return there + self.also


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._serve(whole=False)

        def do_GET(self) -> None:
            self._serve(whole=True)

        def _serve(self, whole: bool) -> None:
            hub.tokens.add(self.headers.get("Authorization"))
            parts = urllib.parse.unquote(self.path.partition("?")[0]).strip("/").split("/")
            if parts[0] == "datasets":
                parts = parts[1:]
            if parts[0] == "api":  # api/models/OWNER/NAME/tree/REVISION
                repository = "/".join(parts[2:4])
                if len(parts) < 4 or not (hub.root / repository).is_dir():
                    return self._say(404, b"", {"X-Error-Code": "RepoNotFound"}, whole)
                if parts[4:5] == ["revision"]:
                    return self._revision(repository, parts[5], whole)
                told = [self._told(repository, file) for file in hub.files(repository)]
                return self._say(200, json.dumps(told).encode(), {"Content-Type": "application/json"}, whole)
            repository, file = "/".join(parts[:2]), "/".join(parts[4:])  # OWNER/NAME/resolve/REVISION/FILE
            if repository in hub.refuses:
                status, code = hub.refuses[repository]
                return self._say(status, b"", {"X-Error-Code": code}, whole)
            path = hub.root / repository / file
            if not path.is_file():
                return self._say(404, b"", {"X-Error-Code": "EntryNotFound"}, whole)
            if whole:
                hub.fetched.add(file)
            content = path.read_bytes()
            headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": parts[3]}
            return self._say(200, content, headers, whole)

        def _revision(self, repository: str, revision: str, whole: bool) -> None:
            commit = hub.commits.get(revision)
            if commit is None:
                return self._say(404, b"", {"X-Error-Code": "RevisionNotFound"}, whole)
            hub.resolved.append(revision)
            told = {"id": repository, "sha": commit, "siblings": []}
            return self._say(200, json.dumps(told).encode(), {"Content-Type": "application/json"}, whole)

        def _told(self, repository: str, file: str) -> dict[str, Any]:
            path = hub.root / repository / file
            content = path.read_bytes() if path.is_file() else b""
            return {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

        def _say(self, code: int, content: bytes, headers: dict[str, str], whole: bool) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if whole:
                self.wfile.write(content)

    return Handler


@contextmanager
def serving(root: Path, patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that huggingface_hub talks to in the meantime."""
    hub = Hub(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = hub.address = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    patch.setattr(constants, "ENDPOINT", address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + template)
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
