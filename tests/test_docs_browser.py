"""The documents' site in a real browser: nothing overflows, nothing is missing, and the search finds a word."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import chromium
import pytest
from building import PROJECT

pytestmark = chromium.NEEDS


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("docs")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(words, cwd=PROJECT, capture_output=True, check=True, timeout=120)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium.started(tmp_path_factory.mktemp("chromium"), {"browser": "ALL"}) as made:
        yield made


def shown(driver: Any, width: int, dark: bool) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)])
def test_no_page_overflows_or_lacks_anything(driver: Any, address: str, width: int, dark: bool) -> None:
    """A wide table scrolls inside itself; each picture has come; the browser has no complaint."""
    shown(driver, width, dark)
    pages = sorted(path.relative_to(PROJECT / "docs").with_suffix(".html") for path in (PROJECT / "docs").rglob("*.md"))
    wrong = []
    for page in map(Path.as_posix, pages):
        driver.get(f"{address}/{page}")
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        empty = driver.execute_script(
            "return [...document.images].filter((one) => !one.naturalWidth).map((one) => one.src)"
        )
        paper = driver.execute_script(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        if wide > width or empty or (sum(paper[:3]) < 3 * 128) is not dark:
            wrong.append((page, wide, empty, paper))
    assert wrong == []
    said = [one["message"] for one in driver.get_log("browser") if "favicon" not in one["message"]]
    assert said == []


def test_the_search_finds_a_word(driver: Any, address: str) -> None:
    shown(driver, 1280, False)
    driver.get(f"{address}/index.html")
    field = driver.find_element("css selector", "input[data-md-component=search-query]")
    driver.execute_script("document.querySelector('label[for=__search]').click()")
    field.send_keys("turnover")
    until = time.monotonic() + 20
    links: list[str] = []
    while not links and time.monotonic() < until:
        time.sleep(0.1)
        links = driver.execute_script(
            "return [...document.querySelectorAll('.md-search-result__link')].map((a) => a.href)"
        )
    assert any("/trust.html" in link or "/glossary.html" in link or "/methods.html" in link for link in links), links
