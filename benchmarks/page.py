"""The page that runs nlbgen, in Debian's Chromium: first paint, first render from a cold cache, and after each edit.

    python benchmarks/page.py

It builds the page, and prints the medians; it takes two minutes on an idle machine. It exits with 1 if a threshold is
not passed.
"""

import gzip
import shutil
import statistics
import sys
import tempfile
import threading
from pathlib import Path

from measure import ROOT, machine
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from nlbgen.page.serving import Server

sys.path.append(str(ROOT))
from tests.tools import page

VISITS, EDITS, PATIENCE = 5, 20, 120
THRESHOLDS = {"first paint": 1.0, "first render": 8.0, "after an edit": 0.3}
"""Seconds, on two cores."""
MOST_BYTES = 9_000_000
"""What a first visit transfers, compressed by gzip."""
PAINT = "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
RENDERED = "return performance.getEntriesByName('nlbgen-rendered').map((mark) => mark.startTime)"
EDIT = """const area = document.getElementById('text'), done = arguments[1], before = performance.now();
area.value = area.value.replace(/^farm: .*$/m, `farm: edited-${arguments[0]}`);
new MutationObserver((_, watch) => { watch.disconnect(); done(performance.now() - before - 150); })
  .observe(document.body, {attributes: true, attributeFilter: ['data-turn']});
area.dispatchEvent(new Event('input'));"""
"""The page waits 150 ms for the next key; this pause is not counted."""


def browser(profile: str) -> webdriver.Chrome:
    """Chromium with an empty cache."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))
    driver.set_script_timeout(PATIENCE)
    return driver


def visit(url: str, *, edits: int) -> dict[str, list[float]]:
    """The times of one first visit, in seconds."""
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            driver.get(url)
            WebDriverWait(driver, PATIENCE, poll_frequency=0.2).until(lambda one: one.execute_script(RENDERED))
            times = {
                "first paint": [driver.execute_script(PAINT) / 1000],
                "first render": [driver.execute_script(RENDERED)[0] / 1000],
                "after an edit": [driver.execute_async_script(EDIT, number) / 1000 for number in range(edits)],
            }
        finally:
            driver.quit()
    return times


def main() -> bool:
    """Measure and print; return whether all thresholds are passed."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "app"
        page.build(site)
        size = sum(len(gzip.compress(path.read_bytes())) for path in site.rglob("*") if path.is_file())
        with Server(site, 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            visits = [visit(server.url, edits=EDITS) for _ in range(VISITS)]
            server.shutdown()
    print(machine())
    passed = size <= MOST_BYTES
    print(f"transfer with gzip: {size / 1e6:.1f} MB (at most {MOST_BYTES / 1e6:.0f})")
    for name, most in THRESHOLDS.items():
        times = [time for one in visits for time in one[name]]
        passed &= statistics.median(times) <= most
        print(f"{name}: {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f}; at most {most} s)")
    return passed


if __name__ == "__main__":
    sys.exit(not main())
