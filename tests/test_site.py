"""The documentation as pages: mkdocs builds them without a warning, and every link and asset is there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from lxml import html

Pages = dict[Path, html.HtmlElement]
ROOT = Path(__file__).resolve().parents[1]
LOADED = "//link[@rel='stylesheet' or @rel='icon']/@href | //script/@src | //img/@src"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "-f",
            "docs/site/mkdocs.yml",
            "-d",
            str(folder),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> Pages:
    return {path: html.parse(str(path)).getroot() for path in site.rglob("*.html")}


def test_every_page_of_the_docs_is_a_page(site: Path) -> None:
    wanted = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {site / path for path in wanted} | {site / "tour.html"} <= set(site.rglob("*.html"))


def test_nothing_is_loaded_from_outside(pages: Pages) -> None:
    assert [(path.name, url) for path, page in pages.items() for url in page.xpath(LOADED) if "//" in url] == []


def test_links_and_assets_have_a_target(site: Path, pages: Pages) -> None:
    anchors = {path: set(page.xpath("//@id | //@name")) for path, page in pages.items()}
    seen = 0
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links begin at the root of wherever the site is put
        for url in [*page.xpath("//a/@href"), *page.xpath(LOADED)]:
            if re.match(r"[a-z]+:", url):
                continue
            name, _, anchor = unquote(url).partition("#")
            target = (path.parent / name).resolve() if name else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_relative_to(site), url
            assert target.exists(), f"{path.name}: {url}"
            assert not anchor or target not in anchors or anchor in anchors[target], f"{path.name}: {url}"
            seen += 1
    assert seen > 1000


def own(pages: Pages) -> Pages:
    """The pages that were written as pages, without those that show a file of the repository."""
    return {path: page for path, page in pages.items() if "source" not in path.parts and path.name != "404.html"}


def test_code_in_tables_has_no_backslash_before_a_bar(pages: Pages) -> None:
    cells = [(path.name, code.text_content()) for path, page in own(pages).items() for code in page.xpath("//td//code")]
    assert [cell for cell in cells if "\\|" in cell[1]] == []
    assert ("check.html", "--format [text|json|github]") in cells


def test_texts_of_links_are_titles_and_not_names_of_files(pages: Pages) -> None:
    links = [(path.name, link) for path, page in own(pages).items() for link in page.xpath("//article//a[@href]")]
    names = [(name, link.text_content()) for name, link in links if ".html" in link.get("href", "")]
    assert len(names) > 200
    assert [name for name in names if re.fullmatch(r"[\w./-]+\.md", name[1])] == []
    assert ("index.html", "Troubleshooting") in names


def test_home_page_says_what_nlbgen_is(site: Path) -> None:
    first = html.parse(str(site / "index.html")).xpath("string(//article//p)")
    for word in ("UiPath Orchestrator", "load balancer", "farm.yaml"):
        assert word in first


def test_what_only_the_tests_read_is_not_shown(site: Path) -> None:
    text = (site / "tour.html").read_text(encoding="utf-8")
    assert "nlbgen check" in text
    assert "<!-- console" not in text
    assert "nlbgen.cli.__file__" not in text
