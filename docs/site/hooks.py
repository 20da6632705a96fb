"""Hooks of mkdocs: add pages and files of the repository that are outside of docs/.

The pages are written for the repository, where a link may point to the README, a test or an example. On the site,
README, CONTRIBUTING and CHANGELOG are also pages, and each other linked file gets a page that shows its content. So
every link has a target, and a broken link stops the build.
"""

import posixpath
import re
from collections import Counter
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": "tour.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages outside of docs/, and their names on the site; there a README would replace the index."""
PLACES = {there: here for here, there in PAGES.items()}
SHOWN = "source"
"""The folder of the site for files that are no pages themselves."""
MOST_SHOWN = 12
"""Of a folder with more files than this only the name is shown."""
CODE = re.compile(r"`[^`\n]+`")
NAMED = re.compile(r"\[`?[\w./-]+\.md`?\](?=\(([^)\s#]+\.md)(?:#[^)\s]*)?\))")
NAVIGATION = re.compile(r'(<nav class="md-nav(?: md-nav--secondary)?" aria-label=")([^"]*)(")')
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LANGUAGES = {".yaml": "yaml", ".py": "python", ".conf": "nginx", ".json": "json", ".cfg": "ini", ".sh": "bash"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the styles, the pages outside of docs/, and one for each file or folder that some page links to."""
    styles = Path(__file__).with_name("nlbgen.css").read_text(encoding="utf-8")
    files.append(File.generated(config, "nlbgen.css", content=styles))
    for here, there in PAGES.items():
        files.append(File.generated(config, there, content=(ROOT / here).read_text(encoding="utf-8")))
    linked = set()
    for file in list(files):
        if file.is_documentation_page():
            for _, target, _ in LINK.findall(FENCE.sub("", file.content_string)):
                linked |= _outside(_place(file.src_uri), target)
    for path in sorted(linked):
        shown = File.generated(config, _shown(path), content=_showing(path))
        shown.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(shown)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # mkdocs' call
    """Lead links to where the linked file stands on the site; comments stay in the repository."""
    here = page.file.src_uri
    if here.startswith(f"{SHOWN}/"):
        return markdown
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    def lead(found: re.Match[str]) -> str:
        target = _target(_place(here), found[2])
        if target is None:
            return found[0]
        there = _on_site(target)
        return f"{found[1]}{posixpath.relpath(there, posixpath.dirname(here) or '.')}{found[3]}"

    def title(found: re.Match[str]) -> str:
        path = _target(_place(here), found[1])
        return found[0] if path is None else f"[{_title(ROOT / path)}]"

    text = NAMED.sub(title, FENCE.sub(keep, COMMENT.sub("", markdown)))
    text = LINK.sub(lead, "\n".join(map(_row, text.split("\n"))))
    return re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], text)


def on_page_content(html: str, **_: object) -> str:
    """Make blocks of code reachable by keyboard, where a long line scrolls; an empty head of a column is no heading."""
    return re.sub(r"<th[^>]*></th>", "<td></td>", html.replace("<pre>", '<pre tabindex="0">'))


def on_post_page(output: str, **_: object) -> str:
    """Give each list of links a name of its own: a heading of a page may have the name of a part of the menu."""
    seen: Counter[str] = Counter()

    def named(found: re.Match[str]) -> str:
        seen[found[2]] += 1
        more = f", {seen[found[2]]}" if seen[found[2]] > 1 else ""
        return f"{found[1]}{found[2]} (on this page{more}){found[3]}"

    return NAVIGATION.sub(named, output)


def _title(page: Path) -> str:
    """The heading of a page: the text of a link that has only the file's name in the repository."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# "))


def _row(line: str) -> str:
    """A row of a table: GitHub needs `\\|` in its code, and here the backslash would be part of the code."""
    return CODE.sub(lambda found: found[0].replace("\\|", "|"), line) if line.startswith("|") else line


def _place(src_uri: str) -> str:
    """Where a page of the site stands in the repository."""
    return PLACES.get(src_uri, f"docs/{src_uri}")


def _target(page: str, link: str) -> str | None:
    """Return the file of the repository that a link of a page points to; None for another site."""
    if re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _on_site(target: str) -> str:
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return PAGES.get(target) or _shown(target)


def _outside(page: str, link: str) -> set[str]:
    """The files and folders to show for a link; a folder's files with it."""
    target = _target(page, link)
    if target is None or target.startswith("docs/") or target in PAGES or not (ROOT / target).exists():
        return set()
    return {target, *(f"{target}/{path.name}" for path in _listed(ROOT / target))}


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return files if len(files) <= MOST_SHOWN else []


def _shown(target: str) -> str:
    return f"{SHOWN}/{target}.md" if not (ROOT / target).is_dir() else f"{SHOWN}/{target}/index.md"


def _showing(target: str) -> str:
    path = ROOT / target
    head = f"---\nsearch: {{exclude: true}}\n---\n\n# {target}\n\n"
    if path.is_dir():
        return head + "".join(f"- [{file.name}]({file.name}.md)\n" for file in _listed(path))
    language = LANGUAGES.get(path.suffix, "text")
    return f"{head}````` {language}\n{path.read_text(encoding='utf-8')}`````\n"
