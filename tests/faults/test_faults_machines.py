"""Machines, networks and places that people have: measured, told in a line, or refused in one."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
from building import BIN, PROJECT, copy_project

from joulebench import meters
from joulebench.errors import UserError
from joulebench.meters import codecarbon, machine, nvml, rapl
from joulebench.meters.base import NoMeterError
from joulebench.meters.sampling import Sampling
from joulebench.tables.files import read_csv, write_csv
from joulebench.tables.schemas import FOOTPRINT

# Processors.

LSCPU = """#!/bin/sh
if [ "$LC_ALL" = C ]; then
  printf 'Architecture: x86_64\\nCPU(s): 64\\nSocket(s): 2\\nModel name: AMD EPYC 7543\\n'
else
  printf '{localised}\\n'
fi
"""


@pytest.mark.parametrize(
    "localised",
    [
        pytest.param(
            words,
            id=language,
            marks=pytest.mark.fault("input", f"lscpu in {language}, of two sockets", "both sockets are counted"),
        )
        for language, words in {
            "German": "Architektur: x86_64\\nCPU(s): 64\\nSockel: 2\\nModellname: AMD EPYC 7543",
            "French": "Architecture : x86_64\\nProcesseur(s) : 64\\nSocket(s) : 2\\nNom de modele : AMD EPYC 7543",
            "Spanish": "Arquitectura: x86_64\\nCPU(s): 64\\n«Socket(s)»: 2",
            "nothing at all": "",
        }.items()
    ],
)
def test_a_localised_lscpu_counts_every_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, localised: str) -> None:
    pytest.importorskip("codecarbon")
    import codecarbon.core.cpu as of_codecarbon

    (tmp_path / "lscpu").write_text(LSCPU.replace("{localised}", localised), encoding="utf-8")
    (tmp_path / "lscpu").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    codecarbon.tdp.cache_clear()
    try:
        with mock.patch.object(of_codecarbon, "detect_cpu_model", return_value="AMD EPYC 7543"):
            assert codecarbon.tdp().cpu_w == 2 * 225  # AMD's own TDP of an EPYC 7543
    finally:
        codecarbon.tdp.cache_clear()
    assert os.environ["LC_ALL"] == "de_DE.UTF-8"


# GPUs.


@pytest.mark.parametrize(
    "lacks",
    [
        pytest.param(
            lacks,
            id=name,
            marks=pytest.mark.fault(
                "input", f"a GPU whose driver does not tell its {name}", "measured, that column is empty"
            ),
        )
        for name, lacks in {
            "memory": "nvmlDeviceGetMemoryInfo",
            "clocks": "nvmlDeviceGetMaxClockInfo",
            "persistence mode": "nvmlDeviceGetPersistenceMode",
            "processes": "nvmlDeviceGetComputeRunningProcesses",
            "reasons for slowing down": "nvmlDeviceGetCurrentClocksThrottleReasons",
        }.items()
    ],
)
def test_a_gpu_that_does_not_tell_something_is_probed_and_read(lacks: str) -> None:
    pynvml = pytest.importorskip("pynvml")

    def no(*_: object) -> Any:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    class Gpu:
        """NVIDIA's GB10, whose memory is the machine's."""

        handle = object()

        def get_name(self) -> str:
            return "NVIDIA GB10"

        def get_power_management_limit(self) -> float:
            return float(no())

        def supports_get_total_energy_consumption(self) -> bool:
            return True

        def get_total_energy_consumption(self) -> int:
            return 1000

        def get_instant_power_usage(self) -> int:
            return 11_000

        def get_gpu_temperature(self) -> int:
            return 35

    class Memory:
        total = used = 2_000_000

    calls: dict[str, Any] = {
        "nvmlDeviceGetUUID": lambda _: "GPU-1",
        "nvmlSystemGetDriverVersion": lambda: "580.0",
        "nvmlDeviceGetPowerManagementDefaultLimit": no,
        "nvmlDeviceGetMaxClockInfo": lambda *_: 3000,
        "nvmlDeviceGetMemoryInfo": lambda _: Memory,
        "nvmlDeviceGetEccMode": no,
        "nvmlDeviceGetMigMode": no,
        "nvmlDeviceGetPersistenceMode": lambda _: 1,
        "nvmlDeviceGetComputeRunningProcesses": lambda _: [],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: 0,
        "nvmlDeviceGetClockInfo": lambda *_: 2400,
    }
    calls[lacks] = no
    with mock.patch.object(nvml.Nvidia, "opened", return_value=[Gpu()]), mock.patch.multiple(pynvml, **calls):
        (reading,) = nvml.Nvidia().start(1).read()
        found = machine.probe("cuda", meters.opened("nvml", ["nvml"]), hardware_name="spark")
    assert (reading.energy_j, reading.power_w) == (1.0, 11.0)
    assert reading.memory_used_mb == (None if "Memory" in lacks else 2.0)
    assert found.devices[0]["memory_mb"] == (None if "Memory" in lacks else 2.0)
    machine.require(found, "spark", "cuda", "GB10")
    assert json.loads(found.model_dump_json())["device"] == "NVIDIA GB10"


# RAPL.


class Powercap:
    """A powercap folder whose counters move, or stand still."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.moving: list[Path] = []
        self.ended = threading.Event()

    def zone(self, path: str, name: str, moves: bool) -> None:
        folder = self.root / path
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text("262143328850\n")
        (folder / "energy_uj").write_text("1000000\n")
        if moves:
            self.moving.append(folder)

    def run(self) -> None:
        energy_uj = 1_000_000
        while not self.ended.wait(0.01):
            energy_uj += 200_000  # 20 W
            for folder in self.moving:
                (folder / "aside").write_text(f"{energy_uj}\n")
                (folder / "aside").replace(folder / "energy_uj")


@contextmanager
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zones: dict[str, tuple[str, bool]]) -> Iterator[None]:
    """The folder, for this process and for those that it starts."""
    zeus_rapl = pytest.importorskip("zeus.device.cpu.rapl")
    zeus_cpu = pytest.importorskip("zeus.device.cpu")
    folder = Powercap(tmp_path / "intel-rapl")
    for path, (name, moves) in zones.items():
        folder.zone(path, name, moves)
    monkeypatch.setattr(zeus_rapl, "RAPL_DIR", str(folder.root))
    monkeypatch.setattr(zeus_cpu, "_cpus", None)
    patch = tmp_path / "patch"
    patch.mkdir()
    code = f"import zeus.device.cpu.rapl\nzeus.device.cpu.rapl.RAPL_DIR = {str(folder.root)!r}\n"
    (patch / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(patch), os.environ.get("PYTHONPATH", "")]))
    zeus_rapl.rapl_is_available.cache_clear()
    thread = threading.Thread(target=folder.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        folder.ended.set()
        thread.join()
        zeus_rapl.rapl_is_available.cache_clear()


PACKAGE, SECOND = "intel-rapl:0", "intel-rapl:1"
DRAM = f"{PACKAGE}/intel-rapl:0:0"


@pytest.mark.slow
@pytest.mark.fault(
    "input", "a RAPL counter of the memory that stands still", "left out with a warning, the processor is measured"
)
def test_a_memory_counter_that_stands_still_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with powercap(tmp_path, monkeypatch, {PACKAGE: ("package-0", True), DRAM: ("dram", False)}):
        chosen = meters.choose("cpu")
        assert chosen.meters == ("rapl",)
        assert chosen.warnings == ("dram:0 is left out: its RAPL counter stands still",)
        with Sampling.start(chosen.meters, tmp_path) as sampling:
            assert sampling.sources == {"cpu:0": "rapl"}
            begin = time.monotonic()
            time.sleep(2.5)
            frame = sampling.since(begin, time.monotonic())
    assert frame["device"].unique().to_list() == ["cpu:0"]
    inside = frame.filter(pl.col("time_s") >= 0)
    spent_j = inside["energy_j"][-1] - inside["energy_j"][0]
    assert spent_j / (inside["time_s"][-1] - inside["time_s"][0]) == pytest.approx(
        20, rel=0.5
    )  # 20 W, on a busy machine


@pytest.mark.fault("input", "RAPL counters that all move", "measured without a warning, at once")
def test_counters_that_move_are_taken_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with powercap(tmp_path, monkeypatch, {PACKAGE: ("package-0", True), DRAM: ("dram", True)}):
        began = time.monotonic()
        meter = rapl.start(os.getpid())
        assert time.monotonic() - began < 0.5
    assert meter.sources == {"cpu:0": "rapl", "dram:0": "rapl"}
    assert meter.warnings == ()


@pytest.mark.slow
@pytest.mark.fault(
    "input",
    "a RAPL counter of one of two processors that stands still",
    "RAPL is not used: a warning, and the estimate instead",
)
def test_a_processor_counter_that_stands_still_is_never_left_out_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = {PACKAGE: ("package-0", True), SECOND: ("package-1", False)}
    with powercap(tmp_path, monkeypatch, zones), pytest.raises(NoMeterError, match="counter of cpu:1 stands still"):
        rapl.start(os.getpid())


# The hub, and what lies between.


WAITS = {"429 an hour": {"Retry-After": "3600"}, "429 of its own": {"RateLimit": '"api";r=0;t=3599'}}


class Hub(BaseHTTPRequestHandler):
    """Answers everything alike, as the server's `kind` says."""

    protocol_version = "HTTP/1.1"
    kind = "html"
    BODIES = {  # noqa: RUF012
        "html": (b"<html>Please sign in</html>", "text/html"),
        "object": (b'{"a": [1]}', "application/json"),
        "list": (b'[1, 2, {"x": null}]', "application/json"),
        "null": (b"null", "application/json"),
        "text": (b'"hello"', "application/json"),
        "bytes": (b"\xff\xfe\x00", "application/json"),
    }

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.kind == "slow 500":
            time.sleep(9)
            self.kind = "500"
        if self.kind == "headers drip":
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                self.drip([3.0] * 30)
            return
        if self.kind == "goes on":
            with suppress(OSError):
                self.drip([3.0] * 30, b"HTTP/1.1 103 Early Hints\r\n\r\n")
            return
        here = not self.path.startswith("/elsewhere")
        if self.kind.startswith("elsewhere ") and here and self.command == "GET":
            self.send_response(302)
            self.send_header("Location", f"/elsewhere{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.kind.isdigit() or self.kind in WAITS:
            self.send_response(int(self.kind[:3]))
            for name, value in WAITS.get(self.kind, {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.kind == "redirect":
            self.send_response(302)
            self.send_header("Location", f"{self.path}x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.kind == "closed":
            self.close_connection = True
            return
        if self.kind.startswith("xet") and self.xet():
            return
        body, form = self.BODIES.get(self.kind, self.BODIES["object"])
        self.send_response(200)
        self.send_header("Content-Type", form)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", '"x"')
        kind = self.kind.removeprefix("elsewhere ")
        more = {"cut": 999, "stalls": 10**6, "drips": 10**6, "drips and stalls": 10**6}.get(kind, 0)
        self.send_header("Content-Length", str(len(body) + more))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
            self.go_on()
        if more:
            self.close_connection = True

    def go_on(self) -> None:
        """What comes after the first bytes, for as long as the other side listens."""
        pauses_s = {"stalls": [90.0], "drips": [3.0] * 30, "drips and stalls": [3.0, 3.0, 90.0]}
        with suppress(OSError):
            self.drip(pauses_s.get(self.kind.removeprefix("elsewhere "), []))

    def drip(self, pauses_s: list[float], what: bytes = b" ") -> None:
        for pause_s in pauses_s:
            time.sleep(pause_s)
            self.wfile.write(what)

    def xet(self) -> bool:
        """Say that the file's content is kept elsewhere, by hash: at an address that never answers."""
        if not self.path.startswith("/token"):
            if self.command == "GET":
                return False
            facts = {"X-Repo-Commit": "0" * 40, "ETag": '"x"', "Content-Length": "1000", "X-Xet-Hash": "a" * 64}
            facts["X-Xet-Refresh-Route"] = f"http://{self.headers['Host']}/token"
        else:
            facts = {"X-Xet-Cas-Url": self.kind.removeprefix("xet "), "X-Xet-Access-Token": "x"}
            facts |= {"X-Xet-Token-Expiration": str(int(time.time()) + 3600), "Content-Length": "0"}
        self.send_response(200)
        for name, value in facts.items():
            self.send_header(name, value)
        self.end_headers()
        return True


@contextmanager
def hub(kind: str) -> Iterator[str]:
    """The address of a server that behaves so."""
    if kind == "silent":
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(50)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Hub,), {"kind": kind})) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


FETCH = """
import sys
import time
from pathlib import Path
from joulebench import datasets
from joulebench.config.models import Checkpoint
from joulebench.config.tasks import Dataset, HubFile, Sample
from joulebench.errors import UserError
from joulebench.logs import quiet_libraries
from joulebench.models import checkpoint, damage
quiet_libraries()
revision = "0" * 40
began = time.monotonic()
try:
    if sys.argv[1] == "dataset":
        source = HubFile(kind="hub", repo="a/b", revision=revision, file="x.json")
        datasets.sample(Dataset(name="sharegpt", source=source), Sample(requests=1))
    else:
        folder = Path(sys.argv[2])
        checkpoint.download("a/b", Checkpoint(weights="checkpoint", revision=revision), folder, revision)
        damage.check("a/b", folder)
        raise UserError("nothing was fetched")
except UserError as error:
    print(f"after: {time.monotonic() - began}")
    print(f"one line: {error}")
"""


def fetched(what: str, folder: Path, **environment: str) -> tuple[str, float]:
    """The line that a process prints which fetches a dataset or a model, and the seconds of fetching before it."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, what, str(folder / "model")],
        env=clean | {"HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (after,) = [line for line in done.stdout.splitlines() if line.startswith("after: ")]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("one line: ")]
    return line, float(after.removeprefix("after: "))


ANSWERS = {
    "silent": "a hub that accepts the connection and never answers",
    "html": "a hub that answers with a web page",
    "object": "a hub that answers with JSON of another form",
    "list": "a hub that answers with a list",
    "null": "a hub that answers with null",
    "text": "a hub that answers with a text",
    "bytes": "a hub that answers with bytes that are no text",
    "redirect": "a hub that redirects without end",
    "closed": "a hub that closes every connection",
    "cut": "a hub whose answers are cut off",
    "stalls": "a hub that stalls in the middle of its answers",
    "drips": "a hub whose answers come a byte every three seconds",
    "drips and stalls": "a hub whose answers drip, then stall, each time that they are asked for",
    "headers drip": "a hub whose headers come a byte every three seconds",
    "goes on": "a hub that says every three seconds that its answer is coming (103)",
    "elsewhere stalls": "a hub that sends elsewhere, where answers stall",
    "elsewhere drips": "a hub that sends elsewhere, where answers drip",
    "slow 500": "a hub that is broken, and takes nine seconds to say so",
    "429 an hour": "a hub that asks to wait an hour (Retry-After)",
    "429 of its own": "a hub that asks to wait an hour (ratelimit)",
    "401": "a hub that wants a token",
    "404": "a hub without the repository",
    "429": "a hub that asks to wait",
    "500": "a hub that is broken",
}


QUICK = ("html", "object", "list", "null", "text", "bytes", "redirect", "closed", "cut", "401", "404", *WAITS)


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], "Future[tuple[str, float]]"]]:
    """(kind of hub, what is fetched) -> what `fetched` gives of it: ten at a time, for they mostly wait."""

    root = tmp_path_factory.mktemp("hubs")

    def one(kind: str, what: str) -> tuple[str, float]:
        with hub(kind) as address:
            return fetched(what, root / f"{kind} {what}", HF_ENDPOINT=address)

    kinds = sorted(ANSWERS, key=lambda kind: kind in QUICK)
    with ThreadPoolExecutor(10) as pool:
        yield {(kind, what): pool.submit(one, kind, what) for kind in kinds for what in ("dataset", "model")}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["dataset", "model"])
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.fault("input", what, "one line within a minute"))
        for kind, what in ANSWERS.items()
    ],
)
def test_any_hub_is_one_line_within_a_minute(
    fetching: dict[tuple[str, str], "Future[tuple[str, float]]"], kind: str, what: str
) -> None:
    line, took_s = fetching[kind, what].result()
    assert took_s < 60
    if kind in WAITS:
        assert re.search(r"127\.0\.0\.1 asks to wait (3,600|3,599) s \(status 429\); run again then", line)
    if kind in ("silent", "stalls", "drips and stalls", "elsewhere stalls"):
        assert "127.0.0.1 gave no whole answer for 35 s" in line
    if kind in ("drips", "headers drip", "goes on", "elsewhere drips"):
        assert re.search(r"127\.0\.0\.1 gave only \d+ bytes in 35 s", line)


class Healthy(BaseHTTPRequestHandler):
    """A repository of a few files, of which one comes at 20 kB/s for 50 s."""

    protocol_version = "HTTP/1.1"
    FILES = {"config.json": b"{}", "a.json": b" " * 1_000_000, "b.json": b" " * 300}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/api"):
            told = [{"type": "file", "path": name, "size": len(of), "oid": "0"} for name, of in self.FILES.items()]
            content = json.dumps(told).encode()
        else:
            content = self.FILES[self.path.rpartition("/")[2]]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{len(content)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for start in range(0, len(content) if self.command == "GET" else 0, 20_000):
            self.wfile.write(content[start : start + 20_000])
            time.sleep(1.0 if len(content) > 20_000 else 0.0)


@pytest.mark.slow
@pytest.mark.fault("input", "a hub that gives 20 kB a second", "fetched all the same")
def test_a_slow_hub_is_waited_for(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line, took_s = fetched("model", tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "nothing was fetched" in line or "safetensors" in line
    assert (tmp_path / "model" / "a.json").stat().st_size == 1_000_000
    assert took_s > 45


@pytest.mark.slow
@pytest.mark.fault("input", "a hub whose storage by content (Xet) never answers", "one line within a minute")
def test_a_silent_storage_of_contents_is_one_line_within_a_minute(tmp_path: Path) -> None:
    with hub("silent") as storage, hub(f"xet {storage}") as address:
        line, took_s = fetched("dataset", tmp_path, HF_ENDPOINT=address, HF_HUB_DISABLE_XET="0")
    assert took_s < 60
    assert "x.json of the dataset a/b" in line


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.fault("input", f"{name}=x", "one line that says so"))
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
])  # fmt: skip
@pytest.mark.parametrize("what", ["dataset", "model"])
def test_a_limit_that_is_no_number(tmp_path: Path, name: str, what: str) -> None:
    line, _ = fetched(what, tmp_path, **{name: "x"})
    assert "a setting of huggingface_hub cannot be read" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        pytest.param(
            {"NO_PROXY": "fd00::/8,localhost"},
            "NO_PROXY",
            id="no-proxy",
            marks=pytest.mark.fault("input", "NO_PROXY with a network of IPv6", "one line that names NO_PROXY"),
        ),
        pytest.param(
            {"no_proxy": "[::1]:8080/x"},
            "a/b",
            id="no-proxy-brackets",
            marks=pytest.mark.fault("input", "no_proxy with brackets, a port and a path", "one line"),
        ),
        pytest.param(
            {"ALL_PROXY": "socks5://127.0.0.1:9"},
            "pip install socksio",
            id="socks",
            marks=pytest.mark.fault(
                "input", "a SOCKS proxy without the package for it", "one line that names the package"
            ),
        ),
        pytest.param(
            {"ALL_PROXY": "gopher://127.0.0.1:9"},
            "a/b",
            id="scheme",
            marks=pytest.mark.fault("input", "a proxy of an unknown kind", "one line"),
        ),
        pytest.param(
            {"HTTP_PROXY": "http://127.0.0.1:notaport"},
            "a/b",
            id="port",
            marks=pytest.mark.fault("input", "a proxy whose port is no number", "one line"),
        ),
        pytest.param(
            {"HTTP_PROXY": "http://127.0.0.1:9"},
            "a/b",
            id="nobody",
            marks=pytest.mark.fault("input", "a proxy that is not there", "one line"),
        ),
        pytest.param(
            {"HF_HUB_OFFLINE": "1"},
            "HF_HUB_OFFLINE",
            id="offline",
            marks=pytest.mark.fault("input", "HF_HUB_OFFLINE and nothing in the cache", "one line"),
        ),
        pytest.param(
            {"HF_ENDPOINT": "nonsense"},
            "a/b",
            id="endpoint",
            marks=pytest.mark.fault("input", "HF_ENDPOINT that is no address", "one line"),
        ),
    ],
)
def test_any_proxy_is_one_line(tmp_path: Path, environment: dict[str, str], says: str) -> None:
    with hub("404") as address:
        line, took_s = fetched("dataset", tmp_path, **{"HF_ENDPOINT": address, **environment})
    assert took_s < 60
    assert says in line


# Places.


def call(where: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    every = os.environ | {"PYTHONPATH": str(where / "src")} | environment
    return subprocess.run(words, cwd=where, env=every, capture_output=True, text=True, check=False, timeout=300)


def snakemake(where: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return call(where, str(BIN / "snakemake"), "--cores", "1", *words, **environment)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("a clone") / "with spaces, and it's quoted"
    copy_project(where, without="results")
    return where


REQUESTS, MODEL = "results/prompts/llm-chat.parquet", "results/models/joulebench--llama-1m/model.json"


@pytest.mark.slow
@pytest.mark.fault("input", "a clone in a path with spaces and a quotation mark", "`make` and the rules work")
def test_a_clone_in_a_path_with_spaces(project: Path) -> None:
    (project / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (project / ".venv" / name).symlink_to(BIN.parent / name)
    (project / ".venv" / ".ready-cpu").touch()
    done = call(project, "make", "schema", "-o", ".venv/.ready-cpu")
    assert done.returncode == 0, done.stderr
    assert (project / "config/schema.json").read_bytes() == (PROJECT / "config/schema.json").read_bytes()
    (project / "odd.yaml").write_bytes("a: 1\n".encode("utf-16"))
    done = call(project, "make", "leaderboard", "CONFIG=odd.yaml", "-o", ".venv/.ready-cpu")
    assert done.returncode == 2
    assert "config: odd.yaml: UTF-16, expected text in UTF-8" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    done = snakemake(project, REQUESTS, MODEL, "results/carbon.json", "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    for name in (REQUESTS, MODEL, "results/carbon.json"):
        assert (project / name).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.fault(
    "input", "`snakemake -s .../Snakefile --directory elsewhere`", "refused: one line that says what to give"
)
def test_another_directory_is_one_line(project: Path, tmp_path: Path) -> None:
    done = snakemake(project, "-n", "--directory", str(tmp_path))
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert len(lines) == 1
    assert "not the project's folder" in lines[0]
    assert "--directory" in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "says"),
    [
        pytest.param(
            ".",
            "cannot be written, and Snakemake keeps its records there",
            marks=pytest.mark.fault("fault", "the project's folder is read-only", "one line"),
        ),
        pytest.param(
            "results",
            "Read-only file system",
            marks=pytest.mark.fault("fault", "results/ is read-only", "Snakemake says so, without a traceback"),
        ),
        pytest.param(
            "logs",
            "Read-only file system",
            marks=pytest.mark.fault("fault", "logs/ is read-only", "Snakemake says so, without a traceback"),
        ),
    ],
)
def test_a_read_only_folder_is_said(project: Path, tmp_path: Path, folder: str, says: str) -> None:
    """By a mount of this test's own, since root may write whatever the modes say."""
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root and unshare, to mount a folder read-only")
    where = tmp_path / "mine"
    shutil.copytree(project, where, symlinks=True, ignore=shutil.ignore_patterns("results", "logs", ".snakemake"))
    for name in ("results", "logs", ".snakemake"):
        (where / name).mkdir()
    command = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$PWD" && shift && exec "$@"'
    words = [str(BIN / "snakemake"), "--cores", "1", REQUESTS, "--configfile", "config/tiny.yaml"]
    done = call(where, "unshare", "-m", "bash", "-c", command, "mounting", str(where / folder), *words)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (where / REQUESTS).exists()


@pytest.mark.slow
@pytest.mark.fault("fault", "results/ becomes read-only under a script", "one line, nothing half-written")
def test_a_script_that_cannot_write_its_result_says_so_in_one_line(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom joulebench.models import files\n"
        "from joulebench.errors import UserError\n"
        "try:\n    files.clear(Path('/proc/self/joulebench'))\nexcept UserError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("/proc/self/joulebench: could not be written (")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.fault("fault", "only 8 files may be open (`ulimit -n 8`)", "a dataset is sampled all the same")
def test_few_open_files_are_enough_to_sample(project: Path, tmp_path: Path) -> None:
    words = [
        sys.executable,
        "workflow/scripts/sample_prompts.py",
        "llm-chat",
        str(tmp_path / "a.parquet"),
        str(tmp_path / "log"),
    ]
    limited = ["bash", "-c", 'ulimit -n 8; exec "$@"', "limited", *words]
    done = call(project, *limited, JOULEBENCH_CONFIG="config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.parquet").exists()


@pytest.mark.slow
@pytest.mark.fault(
    "input",
    "another dataset file under the same path, when Snakemake has nothing to do",
    "said in one line by Snakemake's own call",
)
def test_a_replaced_dataset_is_said_by_the_workflow(project: Path, tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "Tell me about old things please"},
        {"from": "gpt", "value": "They are rather old."},
    ]
    path = tmp_path / "s.json"
    path.write_text(json.dumps([{"id": str(number), "conversations": turns} for number in range(8)]))
    text = (project / "config/tiny.yaml").read_text()
    source = f"dataset: {{name: sharegpt, source: {{kind: local, path: {path}}}}}"
    (project / "stale.yaml").write_text(text.replace("dataset: {name: sharegpt, source: {kind: packaged}}", source))
    for name in ("llm-chat.parquet", "llm-chat.json"):
        (project / "results/prompts" / name).unlink(missing_ok=True)
    done = snakemake(project, REQUESTS, "--configfile", "stale.yaml")
    assert done.returncode == 0, done.stderr
    assert "drawn from another file" not in done.stderr
    path.write_text(path.read_text().replace("old", "new"))
    done = snakemake(project, REQUESTS, "--configfile", "stale.yaml")
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stderr + done.stdout
    (line,) = [line for line in done.stderr.splitlines() if "drawn from another file" in line]
    assert line.startswith(f"{REQUESTS}: ")


# Tables.


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            text,
            marks=pytest.mark.fault(
                "input",
                f"text that begins with `{text[0]}` on its way into a table",
                "an apostrophe opens it, so that no spreadsheet computes it",
            ),
        )
        for text in ('=HYPERLINK("http://x","y")', "+1", "-1+2", "@SUM(A1)")
    ],
)
def test_no_cell_of_a_table_is_a_formula(tmp_path: Path, text: str) -> None:
    row: dict[str, Any] = dict.fromkeys(FOOTPRINT, None) | {"task": "llm-chat", "carbon_source": text, "pue": -1.5}
    write_csv(pl.DataFrame([row], schema=FOOTPRINT), FOOTPRINT, tmp_path / "footprint.csv")
    found = read_csv(tmp_path / "footprint.csv", FOOTPRINT)
    assert found["carbon_source"].to_list() == [f"'{text}"]
    assert found["pue"].to_list() == [-1.5]
    assert found["task"].to_list() == ["llm-chat"]


@pytest.mark.fault("input", "an error that holds control characters of a terminal", "shown escaped")
def test_an_error_shows_nothing_that_a_terminal_obeys() -> None:
    assert str(UserError("found \x1b[31mred\x07\x00 \u202etext\nand a second line")) == (
        "found \\x1b[31mred\\x07\\x00 \\u202etext\nand a second line"
    )
