"""A real browser: Debian's Chromium, driven by its own chromium-driver, and the packages that judge what it shows.

Tests that need it carry the marker `chromium`. It starts without a network of its own making: nothing is fetched or
reported in the background, the profile is new each time, and what a page asks for is in the log that tests read.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from ..tools.npm import NpmError, packages

HERE = Path(__file__).parent
PATIENCE = 60.0
"""Seconds until a condition on a page counts as failed: no test measures time."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


class Browser:
    """Chromium with one page open."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, path: Path, *, dark: bool = False, width: int = 1280, script: bool = True) -> None:
        """Load a file, in this theme and width, with scripts or without; older log entries are forgotten."""
        self.visit(path.as_uri(), dark=dark, width=width, script=script)

    def theme(self, *, dark: bool) -> None:
        """Show the page in a dark theme, or in a light one."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"media": "", "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
        )

    def resize(self, width: int) -> None:
        """Show the page in a window of this width."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def visit(self, url: str, *, dark: bool = False, width: int = 1280, script: bool = True) -> None:
        """Load an address, as `open` does with a file."""
        self.theme(dark=dark)
        self.resize(width)
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(url)

    def run(self, script: str, *words: object) -> Any:  # noqa: ANN401  # JSON of any shape
        """The value of a JavaScript function's body."""
        return self.driver.execute_script(script, *words)

    def wait_for(self, script: str) -> Any:  # noqa: ANN401  # JSON of any shape
        """Return the value that a JavaScript function's body passes to `done`, its argument."""
        return self.driver.execute_async_script(f"const done = arguments[arguments.length - 1];\n{script}")

    def eventually(self, condition: Callable[..., bool], *words: object) -> bool:
        """Wait until the condition holds for these arguments; pages scroll and show reasons in their own time.

        An element that the page replaces while the condition looks at it is looked up again.
        """
        wait = WebDriverWait(self.driver, PATIENCE, 0.05, [StaleElementReferenceException])
        return bool(wait.until(lambda _driver: condition(*words)))

    def package(self, name: str) -> Path:
        """A file of the npm packages."""
        try:
            return packages(HERE) / name
        except NpmError as error:
            pytest.skip(str(error))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def focused(self) -> str:
        """The id of what has the focus."""
        return str(self.run("return document.activeElement.id"))

    def press(self, key: str) -> None:
        self.driver.switch_to.active_element.send_keys(key)

    def complaints(self) -> list[str]:
        """What the console says: errors and warnings, refusals of the security policy among them."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """Every URL that the page requested since it was opened, except data: URLs."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def printed(self) -> bytes:
        """The page as PDF, as its own rules for paper want it."""
        options = {"printBackground": True, "preferCSSPageSize": True}
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", options)["data"])

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page for people who cannot see it well or use no mouse."""
        self.run(self.package("axe-core/axe.min.js").read_text(encoding="utf-8"))
        found = self.wait_for("axe.run(document).then(done, (error) => done({violations: [{id: String(error)}]}))")
        return [
            f"{violation['id']}: {[node['html'][:160] for node in violation.get('nodes', [])][:5]}"
            for violation in found["violations"]
        ]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium is not installed")
    options = Options()
    options.binary_location = binary
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(driver, log_output=subprocess.DEVNULL, env={**os.environ, "NO_PROXY": "*"})
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(PATIENCE)
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Browser:
    """Chromium, ready to open a page."""
    return Browser(chromium)
