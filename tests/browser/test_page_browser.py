"""The page that runs nlbgen, in a real browser: by clicks, by keyboard, on a narrow screen, without a network."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from nlbgen.page.serving import Server

from ..page.conftest import site_or_skip

if TYPE_CHECKING:
    from tests.conftest import RunCommand

    from .conftest import Browser

pytestmark = [pytest.mark.chromium, pytest.mark.slow, pytest.mark.xdist_group("page")]

EXAMPLES = Path(__file__).parents[2] / "examples"
TABS = ("haproxy", "nginx", "zen", "f5", "nodes", "topology", "difference", "lint")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(site_or_skip(), 0) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def status(browser: "Browser") -> str:
    return browser.find("#status").text


def rendered(browser: "Browser") -> bool:
    return browser.eventually(lambda: status(browser).startswith("Rendered"))


def text(browser: "Browser") -> str:
    return str(browser.run("return document.getElementById('text').value"))


def write(browser: "Browser", content: str) -> None:
    """Replace the text as a user does who pastes another one."""
    browser.run(
        "const area = document.getElementById('text');"
        "area.value = arguments[0]; area.dispatchEvent(new Event('input'))",
        content,
    )


def fill(field: WebElement, content: str) -> None:
    """Replace what is in a field, as a user does by keyboard: select all, type, go on."""
    field.send_keys(Keys.CONTROL + "a")
    field.send_keys(content, Keys.TAB)


def settled(browser: "Browser") -> bool:
    """Wait until the panel shows the current text and tab."""
    return browser.eventually(lambda: browser.find("#panel").get_attribute("aria-busy") == "false")


def choose(browser: "Browser", tab: str) -> None:
    browser.find(f"#tab-{tab}").click()
    assert settled(browser)
    assert browser.find("#panel").get_attribute("aria-labelledby") == f"tab-{tab}"
    assert browser.find("#panel").text != ""


@pytest.fixture
def page(browser: "Browser", server: Server) -> "Browser":
    """The page with the rendered example."""
    browser.visit(server.url)
    assert rendered(browser)
    return browser


def test_page_requests_only_its_own_files_and_logs_nothing(page: "Browser", server: Server) -> None:
    assert [url for url in page.asked_for() if not url.startswith(server.url)] == []
    assert page.complaints() == []


def test_form_can_be_used_before_python_runs(browser: "Browser", server: Server) -> None:
    browser.visit(server.url)
    field = browser.find("#field-farm")
    fill(field, "early")
    assert not status(browser).startswith("Rendered")
    assert browser.eventually(lambda: "\nfarm: early\n" in text(browser))
    assert "# The farm of the guide" in text(browser)
    assert rendered(browser)
    assert browser.eventually(lambda: "for the farm early" in browser.find("#panel").text)


def test_click_is_not_lost_while_a_rendering_ends(page: "Browser") -> None:
    """The tab under the pointer stays the same element, whatever is rendered between press and release."""
    kept = page.find("#tab-nodes")
    for turn in range(3):
        write(page, text(page).replace("farm: ", f"farm: a{turn}"))
        assert page.eventually(lambda added: f"for the farm {added}" in page.find("#panel").text, f"a{turn}")
    kept.click()
    assert settled(page)
    assert page.find("#panel").get_attribute("aria-labelledby") == "tab-nodes"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_has_no_accessibility_violation(page: "Browser", dark: bool) -> None:
    page.theme(dark=dark)
    for tab in TABS:
        choose(page, tab)
        assert page.violations() == [], tab
    write(page, text(page).replace("port: 443\n", "port: 99999\n"))
    assert page.eventually(lambda: "error" in page.find("#counts").text)
    assert page.violations() == []


def test_node_is_added_broken_mended_and_downloaded(page: "Browser", cli: "RunCommand", tmp_path: Path) -> None:
    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path), "eventsEnabled": False}
    )
    page.find("#add-nodes").click()
    assert page.eventually(lambda: "- {name: orch-3, address: 10.20.0.13}" in text(page))
    assert page.eventually(lambda: "10.20.0.13" in page.find("#panel").text)
    address = page.driver.find_element(By.ID, "field-nodes[2].address")
    fill(address, "10.20.0")
    assert page.eventually(lambda: page.find("#counts").text == "1 error")
    assert not page.find("#bundle").is_enabled()
    page.run("document.querySelector('#findings button').click()")
    assert page.eventually(lambda: page.focused() == "field-nodes[2].address")
    field = page.driver.find_element(By.ID, "field-nodes[2].address")
    assert field.get_attribute("aria-invalid") == "true"
    fill(field, "10.20.0.14")
    assert page.eventually(lambda: page.find("#counts").text == "No problems.")
    assert rendered(page)
    page.find("#bundle").click()
    assert page.eventually(lambda: "SHA-256" in status(page))
    (tmp_path / "farm.yaml").write_bytes(text(page).encode())
    ran = cli("bundle", "export", "--no-validate", "-o", "own.tar.gz", cwd=tmp_path)
    assert ran.code == 0, ran.err
    own = (tmp_path / "own.tar.gz").read_bytes()
    assert hashlib.sha256(own).hexdigest() in status(page)
    saved = tmp_path / "orchestrator-prod.tar.gz"
    assert page.eventually(lambda: saved.exists() and saved.read_bytes() == own)
    assert text(page).count("#") == (EXAMPLES / "farm.yaml").read_text(encoding="utf-8").count("#"), "a comment is lost"


def test_finding_opens_the_explanation_of_its_rule(page: "Browser") -> None:
    write(page, text(page).replace("session: sqlserver", "session: inproc"))
    assert page.eventually(lambda: "session-inproc" in page.find("#findings").text)
    page.run(
        "[...document.querySelectorAll('#findings button')].find((b) => b.textContent === 'session-inproc').click()"
    )
    assert page.eventually(lambda: page.find("#explained").is_displayed())
    assert len(page.find("#explanation").text) > 100
    page.press(Keys.ESCAPE)
    assert page.eventually(lambda: not page.find("#explained").is_displayed())


def test_page_is_operable_by_keyboard(page: "Browser") -> None:
    page.run("document.getElementById('tab-haproxy').focus()")
    for key, tab in (
        (Keys.ARROW_RIGHT, "nginx"),
        (Keys.END, "lint"),
        (Keys.ARROW_RIGHT, "haproxy"),
        (Keys.HOME, "haproxy"),
    ):
        page.press(key)
        assert page.eventually(lambda to: page.focused() == f"tab-{to}", tab)
    page.press(Keys.TAB)
    assert page.eventually(lambda: page.focused() == "panel"), "one tab stop for all tabs, then the panel"
    page.run("document.getElementById('field-farm').focus()")
    page.press(Keys.CONTROL + "a")
    page.press("typed")
    page.press(Keys.TAB)
    assert page.eventually(lambda: "\nfarm: typed\n" in text(page))
    remove = page.find('[aria-label="Remove orch-2"]')
    remove.send_keys(Keys.ENTER)
    assert page.eventually(lambda: "orch-2" not in text(page))


@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_the_screen(page: "Browser", width: int) -> None:
    page.resize(width)
    for tab in TABS:
        choose(page, tab)
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), tab


def test_link_holds_the_text_and_no_invalid_one(page: "Browser", server: Server) -> None:
    """A secret in place of a reference is invalid, so that no link has it."""
    changed = text(page).replace("farm: orchestrator-prod", "farm: linked  # ü")
    write(page, changed)
    assert page.eventually(lambda: "Rendered" in status(page) and "linked" in page.find("#panel").text)
    page.find("#link").click()
    assert page.eventually(lambda: "link" in status(page))
    url = page.driver.current_url
    assert url.startswith(f"{server.url}#spec=")
    write(page, changed.replace("{env: NLBGEN_REDIS_PASSWORD}", "hunter2"))
    assert page.eventually(lambda: "error" in page.find("#counts").text)
    page.find("#link").click()
    assert page.eventually(lambda: status(page).startswith("No link"))
    assert page.driver.current_url == url
    assert "hunter2" not in page.find("#findings").text
    page.visit("about:blank")
    page.visit(url)
    assert text(page) == changed
    assert rendered(page)


def test_files_are_read_and_stay_in_the_browser(page: "Browser", server: Server, tmp_path: Path) -> None:
    config = EXAMPLES / "inputs" / "orch-1" / "web.config"
    page.find("#open").send_keys(str(config))
    assert page.eventually(lambda: "inputs/orch-1/web.config" in text(page))
    choose(page, "nodes")
    keys = [part for part in config.read_text(encoding="utf-8").split('"') if len(part) >= 48 and part.isalnum()]
    assert keys
    shown = page.run("return document.documentElement.outerHTML + document.getElementById('text').value")
    assert [key for key in keys if key in shown] == []
    (tmp_path / "haproxy.cfg").write_text(
        "frontend f\n    bind :80\n    default_backend b\nbackend b\n    server a 10.0.0.1:80\n"
    )
    choose(page, "lint")
    page.find('[aria-label="Choose a configuration"]').send_keys(str(tmp_path / "haproxy.cfg"))
    assert page.eventually(lambda: "haproxy.cfg:" in page.find("#panel").text)
    assert [url for url in page.asked_for() if not url.startswith((server.url, "blob:"))] == []


def test_difference_shows_the_last_change_and_a_pasted_file(page: "Browser") -> None:
    write(page, text(page).replace("10.20.0.12", "10.20.0.99"))
    assert page.eventually(lambda: "10.20.0.99" in page.find("#panel").text)
    choose(page, "difference")
    assert page.eventually(lambda: "10.20.0.99" in page.find("#panel").text and bool(page.find_all("#panel .remove")))
    assert settled(page)
    select = Select(page.find("#file-difference"))
    assert "nginx/nginx.conf" in [option.text for option in select.options]
    page.find("#pasted").send_keys("global", Keys.TAB)
    assert page.eventually(lambda: "Made by nlbgen" in page.find("#panel .code").text)


def test_page_works_without_the_server_after_the_first_visit(browser: "Browser") -> None:
    with Server(site_or_skip(), 0) as own:
        thread = threading.Thread(target=own.serve_forever, daemon=True)
        thread.start()
        browser.visit(own.url)
        assert rendered(browser)
        browser.wait_for("navigator.serviceWorker.ready.then((found) => done(found.active.state))")
        kept = "caches.keys().then(async (names) => (await (await caches.open(names[0])).keys()).length)"
        assert browser.eventually(lambda: browser.wait_for(f"{kept}.then(done)") > 10)
        own.shutdown()
        thread.join()
        url = own.url
    browser.visit(url)
    assert rendered(browser)
