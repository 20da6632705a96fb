"""The report in a real browser: no requests, no console messages, accessible, and printable."""

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from nlbgen.export.report import page as report
from nlbgen.generators.base import VENDORS
from nlbgen.spec.load import load

from .conftest import Browser

pytestmark = [pytest.mark.chromium, pytest.mark.slow]

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "farm.yaml"
FARMS = [*sorted(HERE.glob("farms/*.yaml")), EXAMPLE]
PdfText = Callable[[bytes], list[str]]
WIDTHS = {"wide": 1280, "narrow": 360}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", "a-secret-of-the-test")


@pytest.fixture
def page(folder: Path) -> Path:
    return written(EXAMPLE, folder)


def written(farm: Path, folder: Path) -> Path:
    path = folder / f"{farm.stem}.html"
    if not path.exists():
        path.write_bytes(report.render(load(farm)))
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_report_has_no_accessibility_violation(browser: Browser, page: Path, dark: bool) -> None:
    browser.open(page, dark=dark)
    assert browser.violations() == []
    for tab in browser.find_all('[role="tab"]')[1:]:
        tab.click()
        assert browser.violations() == [], tab.text


@pytest.mark.parametrize("farm", ["states", "long"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_report_on_a_narrow_screen_has_no_accessibility_violation(
    browser: Browser, folder: Path, farm: str, dark: bool
) -> None:
    browser.open(written(HERE / "farms" / f"{farm}.yaml", folder), width=WIDTHS["narrow"], dark=dark)
    assert browser.violations() == []


@pytest.mark.parametrize("farm", FARMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_report_loads_nothing_logs_nothing_and_fits_the_screen(
    browser: Browser, folder: Path, farm: Path, width: int
) -> None:
    path = written(farm, folder)
    browser.open(path, width=width)
    assert browser.asked_for() == [path.as_uri()]
    assert browser.complaints() == []
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.fixture
def server(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A web server with the reports, and the requested paths."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}", asked
        found.shutdown()


def test_report_from_a_web_server_loads_nothing_else(
    browser: Browser, page: Path, server: tuple[str, list[str]]
) -> None:
    url, asked = server
    browser.open(page)
    browser.driver.get(f"{url}/{page.name}")
    assert browser.run("return document.title") == "orchestrator-prod: farm report"
    assert asked == [f"/{page.name}"]
    assert browser.complaints() == []


def test_security_policy_blocks_foreign_elements(browser: Browser, page: Path, tmp_path: Path) -> None:
    """The test of the test above: with an element more, the same policy complains."""
    text = page.read_text(encoding="utf-8")
    foreign = (
        '<img src="https://nlbgen.invalid/x.png" alt=""><script>window.ran = true</script><style>p{color:red}</style>'
    )
    path = tmp_path / "foreign.html"
    path.write_text(text.replace("<main", f"{foreign}<main"), encoding="utf-8")
    browser.open(path)
    assert len([line for line in browser.complaints() if "Content Security Policy" in line]) == 3
    assert browser.run("return window.ran") is None


def open_panels(browser: Browser) -> list[str]:
    shown = "return [...document.querySelectorAll('.panel')].filter((p) => p.offsetHeight).map((p) => p.id)"
    return list(browser.run(shown))


def test_tabs_are_operable_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    tabs = [f"tab-{vendor}" for vendor in VENDORS]
    panels = [f"panel-{vendor}" for vendor in VENDORS]
    assert [tab.get_attribute("id") for tab in browser.find_all('[role="tab"]')] == tabs
    browser.run("document.getElementById(arguments[0]).focus()", tabs[0])
    walk = [
        (Keys.ARROW_RIGHT, 1),
        (Keys.ARROW_RIGHT, 2),
        (Keys.ARROW_LEFT, 1),
        (Keys.END, len(tabs) - 1),
        (Keys.ARROW_RIGHT, 0),
        (Keys.ARROW_LEFT, len(tabs) - 1),
        (Keys.HOME, 0),
    ]
    for key, there in walk:
        browser.press(key)
        assert browser.eventually(lambda at: browser.focused() == tabs[at], there)
        assert browser.eventually(lambda at: open_panels(browser) == [panels[at]], there)
        chosen = browser.find_all('[role="tab"][aria-selected="true"]')
        assert [tab.get_attribute("id") for tab in chosen] == [tabs[there]]
        assert (
            browser.run("return document.getElementById(arguments[0]).getAttribute('role')", panels[there])
            == "tabpanel"
        )
    browser.press(Keys.TAB)
    assert browser.eventually(lambda: browser.focused() == panels[0]), "one tab stop for all tabs, then the panel"
    assert browser.find_all('[role="tab"][tabindex="0"]')[0].get_attribute("id") == tabs[0]


def test_link_into_a_closed_panel_opens_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.find('#checksums a[href="#file-nginx-nginx.conf"]').click()
    assert browser.eventually(lambda: open_panels(browser) == ["panel-nginx"])
    top = "return document.getElementById('file-nginx-nginx.conf').getBoundingClientRect().top"
    assert browser.eventually(lambda: 0 <= browser.run(top) < 100)


def move_to(browser: Browser, key: str, text: str) -> None:
    """Press an arrow key until the current line has this text."""
    for _line in range(40):
        browser.press(key)
        if text in browser.find(".line.current").text:
            return
    raise AssertionError(f"no line with {text}")


def test_reason_of_a_line_is_shown_by_pointer_and_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('.code').focus()")
    strip = browser.find("#panel-haproxy .reason")
    move_to(browser, Keys.ARROW_DOWN, "hard-stop-after 1h")
    assert browser.eventually(lambda: strip.text.startswith("After a reload, the old worker keeps its open WebSockets"))
    move_to(browser, Keys.ARROW_UP, "maxconn 8416")
    assert browser.eventually(lambda: strip.text.startswith("The limit of all client connections."))
    line = next(line for line in browser.find_all("#panel-haproxy .line") if "timeout tunnel" in line.text)
    browser.run("arguments[0].scrollIntoView({block: 'center'})", line)
    ActionChains(browser.driver).move_to_element(line.find_element(By.CSS_SELECTOR, ".word")).perform()
    assert browser.eventually(lambda: strip.text.startswith("Idle timeout of WebSockets"))
    assert strip.get_attribute("aria-live") == "polite"


def test_report_without_javascript_shows_everything(browser: Browser, page: Path) -> None:
    browser.open(page, script=False)
    text = page.read_text(encoding="utf-8")
    try:
        assert all(panel.is_displayed() for panel in browser.find_all(".panel"))
        assert not browser.find(".tabs").is_displayed()
        assert not any(strip.is_displayed() for strip in browser.find_all(".reason"))
        lines = browser.find_all("#panel-haproxy .line[title]")
        assert len(lines) > 50
        assert text.count('class="panel"') == len(VENDORS)
    finally:
        browser.open(page)


@pytest.fixture
def pdf_text(tmp_path: Path) -> PdfText:
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext is not installed")

    def text(pdf: bytes) -> list[str]:
        path = tmp_path / "report.pdf"
        path.write_bytes(pdf)
        done = subprocess.run([program, "-layout", path, "-"], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.split("\f")[:-1]

    return text


def test_printed_report_has_fewer_than_twelve_pages_and_begins_with_the_findings(
    browser: Browser, page: Path, pdf_text: PdfText
) -> None:
    browser.open(page)
    pages = pdf_text(browser.printed())
    assert len(pages) < 12
    flat = re.sub(r"\s+", " ", " ".join(pages))
    assert "session-inproc" in pages[0]
    for words in ("HAProxy 2.6", "NGINX 1.22", "Relianoid 7", "F5 BIG-IP 16.1", "Fallbacks", "SHA-256", "plan digest"):
        assert words in flat, "a panel is not printed"
    assert "Why a line is there" not in flat, "what only a pointer needs is printed"
    assert "option idle-close-on-response" not in flat, "the contents of files are printed"
    assert "The HTML page has the contents of these files." in flat
    titles = ("Findings", "Topology", "Configurations", "Nodes", "Runbook", "Checksums")
    places = [re.search(rf"(?m)^ *{title}$", "\n".join(pages)) for title in titles]
    assert None not in places
    assert sorted(place.start() for place in places if place) == [place.start() for place in places if place]
    assert all(text.rstrip().endswith(f" {number} / {len(pages)}") for number, text in enumerate(pages, 1))


def test_printed_report_is_light_on_a_dark_screen(browser: Browser, page: Path) -> None:
    browser.open(page, dark=True)
    colours = """
      const style = (selector) => getComputedStyle(document.querySelector(selector));
      return [style("body").backgroundColor, style(".sheet").fill];"""
    assert browser.run(colours) == ["rgb(13, 17, 23)", "rgb(13, 17, 23)"]
    browser.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    assert browser.run(colours) == ["rgb(255, 255, 255)", "rgb(255, 255, 255)"]


def test_hostile_texts_are_escaped(browser: Browser, folder: Path) -> None:
    browser.open(written(HERE / "farms" / "hostile.yaml", folder))
    assert browser.run("return document.scripts.length") == 1
    assert browser.complaints() == []
    assert "<script>alert(1)</script>" in browser.run("return document.querySelector('#topology svg').textContent")
