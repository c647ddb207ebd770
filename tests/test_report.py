"""Snakemake's own report, as a user types it in a clone, without a network; and the page that lists the figures."""

import json
import os
import re
import shutil
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from building import BIN, PROJECT, copy_project

from joulebench.figures import FIGURES
from joulebench.figures.__main__ import markdown

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
TABLES = ("leaderboard", "pareto", "recommendations")
FILES = [f"results/h100/{name}.csv" for name in TABLES] + [
    f"results/h100/figures/{path.name}"
    for path in sorted((PROJECT / "results" / "h100" / "figures").glob("*.svg"))
    if path.stem in FIGURES
]
"""What is published of the H100."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `--report results/report.zip` gives, in a copy of what git holds or would hold."""
    clone = tmp_path_factory.mktemp("clone")
    copy_project(clone)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [str(BIN / "snakemake"), "--cores", "1", *FILES, "--report", "results/report.zip"],
        cwd=clone,
        env=os.environ | nowhere | {"PYTHONPATH": str(clone / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(clone / "results" / "report.zip") as packed:
        packed.extractall(clone / "unpacked")
    return clone / "unpacked" / "report"


def assigned(page: str, name: str) -> Any:
    """What the page's script of that name gives the variable `name`."""
    found = re.search(rf'<script id="{name}">\s*var {name} = (.*);\s*</script>', page)
    assert found
    return json.loads(found[1])


@pytest.mark.slow
def test_the_report_holds_figures_and_tables_by_category_and_needs_no_network(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    results, categories = assigned(page, "results"), assigned(page, "categories")
    held = {name: (report / result["data_uri"]).read_bytes() for name, result in results.items()}
    assert held == {name: (PROJECT / name).read_bytes() for name in FILES}
    shown = {name: figure for name, figure in FIGURES.items() if f"results/h100/figures/{name}.svg" in FILES}
    assert len(shown) >= 3
    assert set(categories) == {"Tables", *(figure.category for figure in shown.values())}
    for name, figure in shown.items():
        result = results[f"results/h100/figures/{name}.svg"]
        assert result["labels"] == {"figure": name.replace("_", " "), "hardware": "h100"}
        assert " ".join(figure.caption.split()[:4]) in " ".join(result["caption"].split())
    for name in TABLES:
        assert results[f"results/h100/{name}.csv"]["labels"] == {"table": name, "hardware": "h100"}
        assert results[f"results/h100/{name}.csv"]["caption"]
    assert "Joulebench samples real prompts" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?http", page)


@pytest.mark.slow
@pytest.mark.skipif(
    not (BROWSER and DRIVER and find_spec("selenium")), reason="no chromium with its driver, or no selenium"
)
def test_the_top_of_a_tall_figure_is_in_sight_in_a_browser(report: Path) -> None:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    options = ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1200,700",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser: Any = Chrome(options=options, service=Service(str(DRIVER)))
    try:
        browser.get((report / "report.html").as_uri())
        wait = WebDriverWait(browser, 20)
        for place in ("//span[text()='Energy']", "//tr[contains(., 'energy per response')]//a[1]"):
            found = wait.until(lambda page, place=place: page.find_element("xpath", place))  # type: ignore[misc]
            browser.execute_script("arguments[0].click()", found)
        picture = wait.until(lambda page: page.find_element("css selector", ".p-3 > img"))
        wait.until(lambda page: page.execute_script("return arguments[0].naturalWidth", picture))
        box = picture.rect
        complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    finally:
        browser.quit()
    assert box["height"] > 700
    assert 0 <= box["y"] < 100
    assert complaints == []


def test_the_page_of_figures_is_the_code_s() -> None:
    page = (PROJECT / "docs" / "figures.md").read_text(encoding="utf-8")
    assert page == markdown(), "run python -m joulebench.figures > docs/figures.md"
