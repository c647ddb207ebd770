"""A server that the run starts: its process, its port, its log, when it is there, and its end."""

import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from joulebench.errors import UserError
from joulebench.logs import beside

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.1
TERMINATE_S = 15.0
"""Between SIGTERM and SIGKILL."""
KILL_S = 10.0
LAST_BYTES = 4096


class Process:
    """A server's process and all that it starts. What it says goes into a file beside the run's log."""

    def __init__(self, words: Sequence[str], values: Mapping[str, str], key: str | None = None) -> None:
        """`values`: what stands for the names in braces, beside {host} and {port}. `key`: what is not repeated of its
        words. Raises UserError."""
        self._key = key
        self.port = _free_port()
        self.address = f"http://{HOST}:{self.port}"
        values = {**values, "host": HOST, "port": str(self.port)}
        command = [_filled(word, values) for word in words]
        self.log = beside(".server.log") or Path(tempfile.mkdtemp(prefix="joulebench-")) / "server.log"
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as file:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that its whole group can be ended
                    env={**os.environ, "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1")},
                )
        except OSError as error:
            raise UserError(
                f"engines.*.settings.command: {words[0]} cannot be started ({error.strerror or error}); give the path "
                "of a program that is there"
            ) from None
        log.info("the server is process %d; what it says is in %s", self._process.pid, self.log)

    def wait(self, is_there: Callable[[], bool], seconds: float) -> None:
        """Until `is_there`. Raises UserError where the process ends before, or the time does."""
        give_up_s = time.monotonic() + seconds
        while not is_there():
            if (why := self.ended()) is not None:
                raise UserError(f"the server {why}, before it was there; see {self.log}")
            if time.monotonic() > give_up_s:
                raise UserError(
                    f"the server was not there in {seconds:g} s (neither /health nor /v1/models answered 200); see "
                    f"{self.log}, or raise engines.*.settings.start_s"
                )
            time.sleep(LOOK_EVERY_S)

    def ended(self) -> str | None:
        """How it ended, with the last line that it said; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        with suppress(OSError):
            said = self.log.read_bytes()[-LAST_BYTES:].decode("utf-8", "replace").strip().splitlines()
            if said:
                last = said[-1].replace(self._key, "***") if self._key else said[-1]
                return f"ended with code {code} ({last.strip()[:160]})"
        return f"ended with code {code}"

    def close(self) -> None:
        """End it and all that it started: SIGTERM, then SIGKILL. Safe to call twice."""
        import psutil

        try:
            family = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self._tell(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TERMINATE_S)
        _, left = psutil.wait_procs(family, 1.0)
        self._tell(signal.SIGKILL)
        for one in left:  # in a session of their own
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, KILL_S)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_S)

    def _tell(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port
