"""A page of ours in Chromium, by what a person finds on it."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import chromium
import pytest

LUMINANCE = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const luminance = (colour) => {
  canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => byte / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
};
const [a, b] = [arguments[0], arguments[1]].map(
  ([selector, name]) => luminance(getComputedStyle(document.querySelector(selector))[name]));
return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
"""
"""A script: the contrast (WCAG 2.2) of two colours, each a selector and the name of its style."""


class Page:
    """A page in the browser, by what a person finds on it. `made`: a name -> its HTML."""

    def __init__(self, driver: Any, folder: Path, made: Callable[[str], str]) -> None:
        self.driver, self.folder, self.made, self.opened = driver, folder, made, ""
        self.downloads = folder / "downloads"

    def open(self, name: str, hash_: str = "", width: int = 1280, dark: bool = False) -> "Page":
        path = self.folder / f"{name}.html"
        if not path.exists():
            path.write_text(self.made(name))
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.media(dark)
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + hash_)
        self.opened = path.as_uri()
        self.wait(lambda: self.js("return document.getElementById('count').textContent !== ''"))
        return self

    def media(self, dark: bool = False, media: str = "") -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})

    def js(self, script: str, *given: object) -> Any:
        return self.driver.execute_script(script, *given)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.js(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())", selector
        )
        return found

    def wait(self, done: Callable[[], object], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    def sort(self, place: int) -> None:
        """Click on the heading at `place`, from 1; DataTables sorts a moment later."""
        order = f"th:nth-child({place})"
        before = self.find(order).get_attribute("aria-sort")
        self.find(order).click()
        self.wait(lambda: self.find(order).get_attribute("aria-sort") != before)

    def choose(self, id_: str, value: str) -> None:
        """Of a list or of the buttons of a group."""
        from selenium.webdriver.support.select import Select

        if self.find(f"#{id_}").tag_name == "select":
            Select(self.find(f"#{id_}")).select_by_value(value)
        else:
            self.js("arguments[0].click()", self.find(f"#{id_} input[value='{value}']"))

    def type(self, selector: str, text: str) -> None:
        self.find(selector).clear()
        self.find(selector).send_keys(text)

    def keys(self, *names: str) -> None:
        from selenium.webdriver import ActionChains, Keys

        chain = ActionChains(self.driver, duration=0)
        for name in names:
            chain.send_keys(getattr(Keys, name, name))
        chain.perform()

    def over(self, element: Any) -> None:
        from selenium.webdriver import ActionChains

        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        ActionChains(self.driver, duration=0).move_to_element(element).perform()

    def cells(self, heading: str) -> list[str]:
        """The figures of one column of the leaderboard, without their intervals."""
        names = self.texts(".leaderboard thead .dt-column-title")
        (place,) = (k for k, name in enumerate(names) if name.startswith(heading))
        found: list[str] = self.js(
            "return [...document.querySelectorAll('.leaderboard tbody tr')].map((row) => {"
            "const copy = row.children[arguments[0]].cloneNode(true);"
            "copy.querySelectorAll('small, .badge').forEach((one) => one.remove());"
            "return copy.textContent.trim()})",
            place,
        )
        return found

    def point(self, group: str, batch: int) -> Any:
        """The mark of a point in the chart."""
        return self.js(
            "return [...document.querySelectorAll('.series')].find((one) => one.dataset.group === arguments[0])"
            ".querySelector(`[data-setting='b${arguments[1]}'] :last-child`)",
            group,
            batch,
        )

    def row(self, group: str) -> Any:
        return self.js(
            "return [...document.querySelectorAll('tbody tr')].find((one) => one.dataset.group === arguments[0])", group
        )

    def hash(self) -> str:
        time.sleep(0.25)  # the address follows a little later
        found: str = self.js("return location.hash")
        return found

    def downloaded(self, name: str) -> list[dict[str, str]]:
        path = self.downloads / name
        self.wait(path.exists)
        text = path.read_text(encoding="utf-8")
        path.unlink()
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def troubles(self) -> list[str]:
        """What the console said, and what was asked for over a network, since the last call."""
        found = [str(entry["message"]) for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"].partition("#")[0]
                if url != self.opened and not url.startswith(("data:", "blob:", "about:")):
                    found.append(f"asked for {url}")
        return found


@contextmanager
def opened(tmp_path_factory: pytest.TempPathFactory, made: Callable[[str], str]) -> Iterator[Page]:
    """A browser for the pages that `made` makes by their names."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "downloads").mkdir()
    logs = {"browser": "ALL", "performance": "ALL"}
    downloads = {"download.default_directory": str(folder / "downloads")}
    with chromium.started(tmp_path_factory.mktemp("chromium"), logs, downloads) as driver:
        page = Page(driver, folder, made)
        driver.get("about:blank")
        page.troubles()  # the browser's own start page
        yield page
