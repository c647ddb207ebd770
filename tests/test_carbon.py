"""Carbon intensities: each source, a server that does everything wrong, and a token that stays where it is."""

import importlib.util
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from building import PROJECT

from joulebench.carbon import country, electricity_maps, reading
from joulebench.config.footprint import CarbonNow, CarbonNumber, CarbonOfCountry, CarbonReading, Footprint
from joulebench.inputs.checked import ConfigError, checked
from joulebench.logs import journal
from joulebench.records.files import write_json

TOKEN = "Sesame-0pen-7391"
ASKED = CarbonNow(kind="electricity-maps", zone="DE")
ANSWER = {
    "zone": "DE",
    "carbonIntensity": 322,
    "datetime": "2026-11-21T09:00:00.000Z",
    "updatedAt": "2026-11-21T09:51:02.892Z",
    "createdAt": "2026-11-18T09:54:01.319Z",
    "emissionFactorType": "lifecycle",
    "isEstimated": True,
    "estimationMethod": "TIME_SLICER_AVERAGE",
    "temporalGranularity": "hourly",
}

Reply = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A server of this machine that answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.reply: Reply = sends(b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                outer.reply(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that hangs up is what some tests are about."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v3/carbon-intensity/latest"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def sends(body: bytes | dict[str, Any], status: int = 200, **headers: str) -> Reply:
    content = json.dumps(body).encode() if isinstance(body, dict) else body

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def raw(*parts: bytes, pause_s: float = 0.0) -> Reply:
    """Bytes as they are, the status line among them, with a pause after each."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(pause_s)

    return reply


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv(electricity_maps.TOKEN, TOKEN)
    found = Server()
    yield found
    found.close()


def refused(server: Server, reply: Reply, limit_s: float = 5.0) -> str:
    """The reason of a reading that there must not be."""
    server.reply = reply
    found = electricity_maps.read(ASKED, server.url, limit_s)
    assert (found.g_per_kwh, found.source, found.time_utc) == (None, None, None)
    assert found.reason is not None
    assert found.reason.startswith("Electricity Maps: ")
    assert TOKEN not in found.model_dump_json()
    return found.reason.removeprefix("Electricity Maps: ")


def test_a_reading_keeps_its_time_its_zone_and_whether_it_is_an_estimate(server: Server) -> None:
    server.reply = sends(ANSWER)
    begun = datetime.now(UTC).replace(microsecond=0)
    found = electricity_maps.read(ASKED, server.url)
    assert found.g_per_kwh == 322
    assert found.source == "Electricity Maps, zone DE, 2026-11-21T09:00:00Z, lifecycle factors, estimated"
    assert (found.time_utc, found.is_estimated) == ("2026-11-21T09:00:00Z", True)
    assert (found.estimation_method, found.reason) == ("TIME_SLICER_AVERAGE", None)
    assert found.asked == {"kind": "electricity-maps", "zone": "DE", "emission_factors": "lifecycle"}
    assert found.read_utc is not None
    assert begun <= datetime.fromisoformat(found.read_utc) <= begun + timedelta(seconds=10)

    [(path, headers)] = server.seen
    assert parse_qs(urlsplit(path).query) == {
        "zone": ["DE"],
        "emissionFactorType": ["lifecycle"],
        "shouldUseFallbackCallerLookup": ["false"],
    }
    assert headers["auth-token"] == TOKEN
    assert TOKEN not in path


def test_a_measured_reading_without_a_method_is_as_good(server: Server) -> None:
    server.reply = sends(
        {name: value for name, value in ANSWER.items() if name != "estimationMethod"}
        | {"isEstimated": False, "emissionFactorType": "direct", "datetime": "2026-11-21T10:00:00+01:00"}
    )
    found = electricity_maps.read(ASKED.model_copy(update={"emission_factors": "direct"}), server.url)
    assert (found.g_per_kwh, found.is_estimated, found.estimation_method) == (322, False, None)
    assert found.source == "Electricity Maps, zone DE, 2026-11-21T09:00:00Z, direct factors, measured"


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"carbonIntensity": None}, "carbonIntensity"),
        ({"carbonIntensity": "322"}, "carbonIntensity"),
        ({"carbonIntensity": True}, "carbonIntensity"),
        ({"carbonIntensity": -1}, "carbonIntensity"),
        ({"carbonIntensity": 2000.1}, "carbonIntensity"),
        ({"carbonIntensity": float("nan")}, "carbonIntensity"),
        ({"carbonIntensity": float("inf")}, "carbonIntensity"),
        ({"datetime": "2026-11-21T09:00:00"}, "datetime"),
        ({"datetime": f"{TOKEN}"}, "datetime"),
        ({"datetime": 5}, "datetime"),
        ({"isEstimated": "no"}, "isEstimated"),
        ({"estimationMethod": "x" * 101}, "estimationMethod"),
        ({"emissionFactorType": TOKEN}, "emissionFactorType"),
        ({"unit": "kgCO2eq/kWh"}, "unit"),
        ({"zone": ["DE"], "isEstimated": None}, "isEstimated, zone"),
    ],
)
def test_an_answer_with_a_wrong_value_is_no_reading(server: Server, changes: dict[str, Any], wrong: str) -> None:
    assert refused(server, sends(ANSWER | changes)) == f"not the expected answer (wrong: {wrong})"


@pytest.mark.parametrize("field", ["zone", "carbonIntensity", "datetime", "emissionFactorType", "isEstimated"])
def test_an_answer_without_a_value_is_no_reading(server: Server, field: str) -> None:
    answer = {name: value for name, value in ANSWER.items() if name != field}
    assert refused(server, sends(answer)) == f"not the expected answer (wrong: {field})"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"322", b"\xff\xfe\x00", b"[" * 60_000, b'{"carbonIntensity": 1e999}'],
)
def test_what_is_not_the_expected_json_is_no_reading(server: Server, body: bytes) -> None:
    assert refused(server, sends(body)).startswith("not the expected answer (wrong: ")


def test_another_zone_or_other_factors_are_not_the_reading_that_was_asked_for(server: Server) -> None:
    words = "the answer is not of zone DE with lifecycle factors"
    assert refused(server, sends(ANSWER | {"zone": "FR"})) == words
    assert refused(server, sends(ANSWER | {"emissionFactorType": "direct"})) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "it answered 401 Unauthorized: it does not take this token for this zone"),
        (403, "it answered 403 Forbidden: it does not take this token for this zone"),
        (404, "it answered 404 Not Found"),
        (429, "it answered 429 Too Many Requests"),
        (503, "it answered 503 Service Unavailable"),
        (599, "it answered 599"),
    ],
)
def test_a_refusal_names_the_status_and_repeats_no_word_of_the_server(server: Server, status: int, words: str) -> None:
    assert refused(server, sends({"error": f"no such token: {TOKEN}"}, status)) == words


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(server: Server, status: int) -> None:
    other = Server()
    other.reply = sends(ANSWER)
    try:
        words = refused(server, sends(b"", status, Location=other.url))
        assert f"{status}" in words
        assert words.endswith("redirects are not followed")
        assert other.seen == []
    finally:
        other.close()
    assert refused(server, sends(b"", status, Location="file:///etc/hostname")).endswith("redirects are not followed")


@pytest.mark.parametrize(
    "reply",
    [
        raw(pause_s=0.0),
        raw(b"nonsense\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n"),
    ],
    ids=["nothing", "no HTTP", "no chunks", "long header"],
)
def test_an_answer_that_breaks_off_is_no_reading(server: Server, reply: Reply) -> None:
    assert refused(server, reply).startswith("it could not be reached or read (")


def test_an_answer_that_is_cut_off_is_no_reading(server: Server) -> None:
    whole = json.dumps(ANSWER).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)
    assert refused(server, raw(head, whole[:-1])).startswith("it could not be reached or read (")


def test_a_long_answer_is_not_read_to_its_end(server: Server) -> None:
    assert refused(server, sends(b" " * 10_000_000)) == "the answer is longer than 65536 bytes"


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", pause_s=2.0),
        raw(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 40, pause_s=0.05),
        raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b" "] * 40, pause_s=0.05),
    ],
    ids=["silence", "a header now and then", "a byte now and then"],
)
def test_a_slow_answer_is_not_waited_for(server: Server, reply: Reply) -> None:
    begun = time.monotonic()
    assert refused(server, reply, limit_s=0.3) in ("no answer in time", "no whole answer within 0.3 s")
    assert time.monotonic() - begun < 1.0


def test_offline_is_no_reading(server: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = electricity_maps.read(ASKED, f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert found.g_per_kwh is None
    assert found.reason == "Electricity Maps: it could not be reached or read (Connection refused)"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "ELECTRICITY_MAPS_TOKEN is not set in the environment"),
        (" \n", "ELECTRICITY_MAPS_TOKEN is not set in the environment"),
        ("two\r\nX-Header: lines", "ELECTRICITY_MAPS_TOKEN holds characters that no token has"),
        ("tökén", "ELECTRICITY_MAPS_TOKEN holds characters that no token has"),
    ],
)
def test_without_a_token_nobody_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch, token: str | None, words: str
) -> None:
    monkeypatch.delenv(electricity_maps.TOKEN)
    if token is not None:
        monkeypatch.setenv(electricity_maps.TOKEN, token)
    assert refused(server, sends(ANSWER)) == words
    assert server.seen == []


def test_a_token_read_from_a_file_may_end_with_a_line(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(electricity_maps.TOKEN, f"{TOKEN}\n")
    server.reply = sends(ANSWER)
    assert electricity_maps.read(ASKED, server.url).g_per_kwh == 322
    assert server.seen[0][1]["auth-token"] == TOKEN


def test_the_token_is_in_no_record_and_no_log(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever a server says, and even where it repeats the token in every place of its answer."""
    echo = dict.fromkeys(ANSWER, TOKEN)
    replies = [
        sends(ANSWER),
        sends(ANSWER | {"estimationMethod": f"by {TOKEN}"}),
        sends(ANSWER | {TOKEN: TOKEN}),
        sends(echo),
        sends(echo, 401),
        sends(b"", 302, Location=f"http://127.0.0.1:1/{TOKEN}"),
        raw(f"HTTP/1.1 {TOKEN}\r\n\r\n".encode()),
        raw(f"HTTP/1.1 200 {TOKEN}\r\nContent-Length: {TOKEN}\r\n\r\n{TOKEN}".encode()),
    ]
    known = []
    for index, reply in enumerate(replies):
        server.reply = reply
        with journal(tmp_path / f"{index}.log", "carbon"):
            found = electricity_maps.read(ASKED, server.url)
            write_json(found, tmp_path / f"{index}.json")
        known.append(found.g_per_kwh)
    assert known == [322, None, 322, None, None, None, None, None]
    assert len(server.seen) == len(replies)
    files = list(tmp_path.iterdir())
    assert len(files) == 2 * len(replies)
    said = [file.read_text() for file in files] + list(capfd.readouterr())
    assert not any(TOKEN in text for text in said)


def test_the_script_records_why_there_is_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(electricity_maps.TOKEN, TOKEN)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # where nobody listens: no test asks a real server
    script = importlib.util.spec_from_file_location("carbon_script", PROJECT / "workflow" / "scripts" / "carbon.py")
    assert script is not None
    assert script.loader is not None
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    module.main(ASKED.model_dump(), tmp_path / "carbon.json", tmp_path / "carbon.log")
    found = CarbonReading.model_validate_json((tmp_path / "carbon.json").read_bytes())
    assert found.reason == "Electricity Maps: it could not be reached or read (Connection refused)"
    assert "no carbon intensity: Electricity Maps: " in (tmp_path / "carbon.log").read_text()
    assert not any(TOKEN in file.read_text() for file in tmp_path.iterdir())


def test_a_socks_proxy_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package is not installed, and the client asks for it before it looks at NO_PROXY."""
    monkeypatch.setenv(electricity_maps.TOKEN, TOKEN)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    began = time.monotonic()
    found = electricity_maps.read(ASKED, "http://127.0.0.1:1/")
    assert time.monotonic() - began < 5
    assert found.reason is not None
    assert "a SOCKS proxy is set" in found.reason


def test_a_number_keeps_the_source_that_it_came_with() -> None:
    found = reading(CarbonNumber(kind="number", g_per_kwh=0, source="our own wind"))
    assert (found.g_per_kwh, found.source, found.reason) == (0, "our own wind", None)


def test_nothing_asked_for_is_null_and_says_so() -> None:
    found = reading(None)
    assert (found.asked, found.g_per_kwh, found.reason) == (None, None, "the config names none (footprint.carbon)")


def install(folder: Path, content: str | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a table of countries, as pip would leave it."""
    (folder / "made_up_table-4.5.dist-info").mkdir()
    (folder / "made_up_table-4.5.dist-info" / "METADATA").write_text("Name: made-up-table\nVersion: 4.5\n")
    if content is not None:
        (folder / country.TABLE).parent.mkdir(parents=True)
        (folder / country.TABLE).write_text(content)
    monkeypatch.syspath_prepend(folder)
    return "made-up-table"


def asked(iso: str) -> CarbonOfCountry:
    return CarbonOfCountry(kind="country", iso=iso)


def test_a_country_is_its_figure_with_year_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"UTO": {"country_name": "Utopia", "carbon_intensity": 12.5, "year": 2023, "total_TWh": 1.0}}
    found = country.read(asked("UTO"), install(tmp_path, json.dumps(table), monkeypatch))
    assert (found.g_per_kwh, found.reason) == (12.5, None)
    assert found.source == ("Utopia (UTO), mean of 2023: Our World in Data (Ember), in the table of CodeCarbon 4.5")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[1]",
        '{"UTO": null}',
        '{"UTO": {"country_name": "Utopia", "carbon_intensity": 5}}',
        *(
            f'{{"UTO": {{"country_name": "Utopia", "year": 2023, "carbon_intensity": {value}}}}}'
            for value in ("null", "0", "-5", "NaN", "Infinity", "2001", '"high"')
        ),
    ],
)
def test_a_table_without_a_figure_is_null_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    found = country.read(asked("UTO"), install(tmp_path, content, monkeypatch))
    assert (found.g_per_kwh, found.source) == (None, None)
    assert found.reason == "CodeCarbon's table has no usable figure for UTO"


def test_an_unknown_country_gets_the_nearest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = country.read(asked("UTO"), install(tmp_path, '{"UTA": {}, "XYZ": {}}', monkeypatch))
    assert found.g_per_kwh is None
    assert found.reason == "CodeCarbon's table has no country 'UTO'; did you mean 'UTA'?"


def test_without_codecarbon_a_country_is_null_and_says_what_to_do() -> None:
    found = country.read(asked("USA"), "no-such-package-of-anybodys")
    assert found.g_per_kwh is None
    assert found.reason == (
        "no-such-package-of-anybodys, whose table it is, is not installed: pip install -r envs/analysis.txt"
    )


@pytest.mark.slow
def test_codecarbons_own_table_is_read_without_starting_codecarbon() -> None:
    installed = metadata.distribution("codecarbon")
    row = json.loads(Path(str(installed.locate_file(country.TABLE))).read_text())["FRA"]
    program = (
        "import sys; from joulebench.carbon import reading; from joulebench.config.footprint import CarbonOfCountry; "
        "print(reading(CarbonOfCountry(kind='country', iso='FRA')).model_dump_json()); "
        "sys.exit('codecarbon' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = CarbonReading.model_validate_json(done.stdout)
    assert found.g_per_kwh == row["carbon_intensity"]
    # Between nothing and coal: France's power plants are nuclear for the most part.
    assert 20 < (found.g_per_kwh or 0) < 100
    assert found.source is not None
    assert f"mean of {row['year']}" in found.source
    assert installed.version in found.source


@pytest.mark.parametrize(
    "fields",
    [{}, {"g_per_kwh": 1.0}, {"source": "x"}, {"g_per_kwh": 1.0, "source": "x", "reason": "y"}, {"g_per_kwh": -1.0}],
)
def test_a_record_is_a_figure_with_its_source_or_a_reason(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        checked(CarbonReading, {"asked": None, **fields}, "carbon.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"pue": 0.9},
        {"pue": float("inf")},
        {"price_per_kwh": -0.1},
        {"price_per_kwh": float("nan")},
        {"price_per_gpu_hour": {"h100": 0}},
        {"currency": "dollars"},
        {"carbon": {"kind": "number", "g_per_kwh": 5}},
        {"carbon": {"kind": "number", "g_per_kwh": float("inf"), "source": "x"}},
        {"carbon": {"kind": "country", "iso": "US"}},
        {"carbon": {"kind": "electricity-maps", "zone": "../DE"}},
        {"carbon": {"kind": "electricity-maps", "zone": "DE", "token": TOKEN}},
    ],
)
def test_a_wrong_footprint_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        checked(Footprint, wrong, "footprint")
