"""The Chromium that tests look at pages with, and why there is none."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
REASON = None
if BROWSER is None or DRIVER is None:
    REASON = "no Chromium with its driver: apt-get install -y --no-install-recommends chromium chromium-driver"
elif find_spec("selenium") is None:
    REASON = "no selenium: pip install -r envs/dev.txt"
NEEDS = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=str(REASON))]
"""The marks of a module whose tests need it."""

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars"),
)


@contextmanager
def started(profile: Path, logs: Mapping[str, str], preferences: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Its driver. `logs`: which of its logs are kept, by their names; `preferences`: its own settings."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", dict(preferences or {}))
    options.set_capability("goog:loggingPrefs", dict(logs))
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()
