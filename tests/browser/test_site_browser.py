"""The documentation's pages in a real browser: axe-core finds no violation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Browser

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("index", "tour", "spec", "commands/check", "vendors/f5", "performance")
"""One page of each kind: lists, consoles, wide tables, long tables, diagrams."""
pytestmark = [pytest.mark.chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", "docs/site/mkdocs.yml", "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def forget_theme(browser: Browser, site: Path) -> None:
    """Forget the theme of earlier visits, which the site keeps for the next one."""
    browser.open(site / "index.html")
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_site_has_no_accessibility_violation(browser: Browser, site: Path, dark: bool) -> None:
    found = {}
    forget_theme(browser, site)
    for name in PAGES:
        browser.open(site / f"{name}.html", dark=dark)
        scheme = browser.run("return document.body.dataset.mdColorScheme")
        assert scheme == ("slate" if dark else "default")
        found[name] = browser.violations()
    assert {name: violations for name, violations in found.items() if violations} == {}


def test_site_on_a_phone_has_no_accessibility_violation(browser: Browser, site: Path) -> None:
    forget_theme(browser, site)
    browser.open(site / "index.html", width=360)
    assert browser.violations() == []
