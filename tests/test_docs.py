"""The documentation says what is: commands, options, ids, links, and examples with their real output.

* A ```console block is run. The blocks of a page run one after another in one folder, which holds the example farm as
  `farm.yaml`, unless the page says `<!-- console: empty folder -->`. A line `$ COMMAND` is run by bash (a backslash at
  its end continues it on a line that begins with `> `); the lines below it are what both outputs must hold. A line
  `...` stands for any lines, `...` inside a line for any text; what depends on the machine or the release is not
  compared: the verdict of an installed program, digests, nlbgen's version. `$ echo $?` shows the last exit code.
* A ```yaml file=NAME or ```text file=NAME block is written into that folder.
* What stands between `<!-- generated: NAME -->` and `<!-- /generated -->` comes from the code.

`pytest tests/test_docs.py --update-golden` rewrites generated parts, and examples without an ellipsis.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from nlbgen import __version__
from nlbgen.cli import cli as command_line
from nlbgen.generators import matrix
from nlbgen.generators.base import all_generators, known_ids
from nlbgen.generators.features import FEATURES
from nlbgen.lint import reference as lint_reference
from nlbgen.operate import abilities
from nlbgen.prove.score import reference as proofs
from nlbgen.spec import reference
from nlbgen.spec.checks import RULES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
README_LINES = 250
COMMAND_SECONDS = 60


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Blocks and headings.


class Block(NamedTuple):
    """One fenced block; `start` and `end` are the lines between the fences, counted from 0."""

    kind: str
    start: int
    end: int
    lines: list[str]


def blocks(text: str) -> Iterator[Block]:
    lines = text.split("\n")
    start = 0
    fence = kind = ""
    for number, line in enumerate(lines):
        found = re.match(r"\s*(```+)(.*)$", line)
        if found and not fence:
            fence, kind, start = found[1], found[2].strip(), number + 1
        elif found and found[1] == fence and not found[2].strip():
            yield Block(kind, start, number, lines[start:number])
            fence = ""
    assert not fence, f"the block of line {start} has no end"


def prose(text: str) -> str:
    """The text without its fenced blocks and without inline code."""
    lines = text.split("\n")
    for block in blocks(text):
        for number in range(block.start - 1, block.end + 1):
            lines[number] = ""
    return re.sub(r"`[^`\n]*`", "``", "\n".join(lines))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    lines = text.split("\n")
    for block in blocks(text):
        for number in range(block.start - 1, block.end + 1):
            lines[number] = ""
    found: set[str] = set()
    for line in lines:
        if heading := re.match(r"#{1,6} +(.+?) *$", line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            number = 1
            while slug in found:
                slug = f"{slug.removesuffix(f'-{number - 1}')}-{number}"
                number += 1
            found.add(slug)
    return found


# Commands.


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its name in words, groups before their own."""
    for name, command in sorted(group.commands.items()):
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))


COMMANDS = list(commands(command_line))


def page_of(words: tuple[str, ...]) -> Path:
    """A command's page: docs/commands/NAME.md, or docs/NAME.md for a whole topic."""
    pages = [DOCS / "commands" / f"{words[0]}.md", DOCS / f"{words[0]}.md"]
    return next((page for page in pages if page.exists()), pages[0])


@pytest.mark.parametrize("words, command", COMMANDS, ids=[" ".join(words) for words, _command in COMMANDS])
def test_every_option_of_a_command_is_on_its_page(words: tuple[str, ...], command: click.Command) -> None:
    page = page_of(words)
    assert page.exists(), f"nlbgen {' '.join(words)} has no page"
    text = page.read_text(encoding="utf-8")
    assert f"nlbgen {' '.join(words)}" in text
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            assert (parameter.metavar or parameter.name or "").removesuffix("...").upper() in text.upper()
            continue
        if isinstance(parameter, click.Option) and parameter.hidden:
            continue
        for name in (*parameter.opts, *parameter.secondary_opts):
            assert re.search(rf"`(?:[^`\n]*[ ,])?{re.escape(name)}(?![\w-])", text), f"{name} is not on {page.name}"
        if isinstance(parameter.type, click.Choice):
            assert all(f"`{choice}`" in text for choice in parameter.type.choices), f"{parameter.name}: its choices"


def test_every_page_about_a_command_has_a_command() -> None:
    known = {words[0] for words, _command in COMMANDS}
    assert {page.stem for page in (DOCS / "commands").glob("*.md")} <= known


# Generated parts.


def features() -> str:
    """The features with the ids that `accept` knows them by."""
    head = " | ".join(vendor.title for vendor in all_generators())
    lines = [f"| Feature | Id | {head} |", f"|---|---|{'---|' * len(all_generators())}"]
    for feature in FEATURES:
        cells = []
        for vendor in all_generators():
            found = matrix.cell(vendor, feature)
            cells.append(f"{found.answer}: `{found.accept}`" if found.accept else found.answer)
        lines.append(f"| {feature.title} | `{feature.id}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "spec": reference.keys,
    "rules": reference.rules,
    "files": reference.file_rules,
    "matrix": matrix.summary,
    "vendors": matrix.as_markdown,
    "features": features,
    "abilities": abilities.as_markdown,
    "scenarios": proofs.as_markdown,
    "lint": lint_reference.as_markdown,
}
MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
WANTED = {
    ("README.md", "matrix"),
    ("docs/commands/prove.md", "scenarios"),
    ("docs/commands/nodes.md", "abilities"),
    ("docs/lint.md", "lint"),
    ("docs/rules.md", "features"),
    ("docs/rules.md", "rules"),
    ("docs/rules.md", "files"),
    ("docs/spec.md", "spec"),
}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_generated_parts_are_what_the_code_generates(page: Path, update_golden: bool) -> None:
    text = page.read_text(encoding="utf-8")
    fresh = MARKED.sub(lambda found: f"{found[1]}\n{GENERATED[found[2]]().strip()}\n\n{found[3]}", text)
    if update_golden and fresh != text:
        page.write_text(fresh, encoding="utf-8")
        text = fresh
    assert text == fresh, "pytest tests/test_docs.py --update-golden"


def test_generated_parts_are_in_their_documents() -> None:
    found = {(page_name(page), mark[2]) for page in PAGES for mark in MARKED.finditer(page.read_text(encoding="utf-8"))}
    assert found >= WANTED


# Examples.


def environment() -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])
    return {**os.environ, "PATH": programs, "COLUMNS": "100", "LC_ALL": "C.UTF-8", "NLBGEN_REDIS_PASSWORD": "x"}


class Example(NamedTuple):
    """A command, and the lines of its block that show its output."""

    command: str
    start: int
    end: int


def examples(block: Block) -> Iterator[Example]:
    number = 0
    while number < len(block.lines):
        line = block.lines[number]
        assert line.startswith("$ "), f"line {block.start + number + 1}: a console block begins with a command"
        command = line[2:]
        number += 1
        while command.endswith("\\"):
            assert block.lines[number].startswith("> "), f"line {block.start + number + 1}: `> ` continues a command"
            command = command[:-1] + block.lines[number][2:]
            number += 1
        start = number
        while number < len(block.lines) and not block.lines[number].startswith("$ "):
            number += 1
        yield Example(command, block.start + start, block.start + number)


def without_the_machine(text: str) -> str:
    """Without what differs between machines and releases."""
    text = re.sub(r"\((?:checked by|not checked: )[^()\n]*\)", "(VERDICT)", text)
    text = re.sub(r"\bdigest [0-9a-f]{16}\b", "digest DIGEST", text)
    text = re.sub(r"\"digest\": \"[0-9a-f]{64}\"", '"digest": "DIGEST"', text)
    return text.replace(f"nlbgen {__version__}", "nlbgen VERSION").replace(
        f"nlbgen, version {__version__}", "nlbgen, version VERSION"
    )


def fits(wanted: list[str], output: str) -> bool:
    pattern = ""
    for line in wanted:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*?".join(map(re.escape, line.rstrip().split("..."))) + r"[ ]*\n"
    output = output if not output or output.endswith("\n") else f"{output}\n"
    return re.fullmatch(pattern, output) is not None


def run_page(page: Path, folder: Path) -> Iterator[tuple[Example, list[str], str]]:
    """Every example of a page: what the page shows and what the command says."""
    text = page.read_text(encoding="utf-8")
    if "<!-- console: empty folder -->" not in text:
        (folder / "farm.yaml").write_bytes((ROOT / "examples" / "farm.yaml").read_bytes())
    lines = text.split("\n")
    code = 0
    for block in blocks(text):
        if found := re.fullmatch(r"(?:yaml|text) file=(\S+)", block.kind):
            (folder / found[1]).write_text("\n".join([*block.lines, ""]), encoding="utf-8")
        if block.kind != "console":
            continue
        for example in examples(block):
            if example.command == "echo $?":
                said = f"{code}\n"
            else:
                code, said = run_command(example.command, folder)
            yield example, lines[example.start : example.end], said


def run_command(command: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the examples are typed into a Unix shell")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text(encoding="utf-8")], ids=page_name
)
def test_examples_show_the_output_of_the_commands(page: Path, tmp_path: Path, update_golden: bool) -> None:
    wrong = []
    for example, shown, said in run_page(page, tmp_path):
        if not fits(without_the_machine("\n".join(shown)).split("\n") if shown else [], without_the_machine(said)):
            wrong.append((example, shown, said))
    if update_golden:
        wrong = rewritten(page, wrong)
    assert not wrong, "\n\n".join(
        f"{page_name(page)}:{example.start}: $ {example.command}\n--- shown\n{chr(10).join(shown)}\n--- said\n{said}"
        for example, shown, said in wrong
    )


def rewritten(page: Path, wrong: list[tuple[Example, list[str], str]]) -> list[tuple[Example, list[str], str]]:
    """Put the real output of examples without an ellipsis into the page; what is left is returned."""
    lines = page.read_text(encoding="utf-8").split("\n")
    left = []
    for example, shown, said in reversed(wrong):
        if any("..." in line for line in shown):
            left.append((example, shown, said))
        else:
            lines[example.start : example.end] = said.removesuffix("\n").split("\n") if said else []
    page.write_text("\n".join(lines), encoding="utf-8")
    return left


# Links and ids.

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@cache
def anchors_of(path: Path) -> set[str]:
    return anchors(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_have_a_target(page: Path) -> None:
    for target in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        name, _hash, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{target} leads nowhere"
        assert path.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors_of(path), f"{target} has no such heading"


def test_security_page_names_tests_that_exist() -> None:
    page = (DOCS / "security.md").read_text(encoding="utf-8").partition("## Promises and their tests")[2]
    named = re.findall(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", page)
    assert len(named) > 40
    for test, file in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), (test, file)


def test_every_page_is_linked_from_the_index() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in LINK.findall(text)}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked


def test_every_id_is_explained() -> None:
    text = (DOCS / "rules.md").read_text(encoding="utf-8")
    headings = anchors_of(DOCS / "rules.md")
    assert [rule.id for rule in RULES if rule.id not in headings] == []
    ids = known_ids() | {feature.id for feature in FEATURES} | {"accept-unknown"}
    assert sorted(name for name in ids if f"`{name}`" not in text) == []


# What is rendered.


def haproxy_directives(text: str) -> Iterator[str]:
    families = {
        "default-server",
        "http-after-response",
        "http-check",
        "http-request",
        "log",
        "option",
        "stats",
        "timeout",
    }
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and not words[0].startswith("."):
            yield " ".join(words[: 2 if words[0] in families else 1])


def nginx_directives(text: str) -> Iterator[str]:
    inside_map = False
    for line in text.splitlines():
        words = line.split("#")[0].split()
        inside_map = bool(words) and words[0] != "}" and (inside_map or words[0] in {"map", "split_clients"})
        if words and re.fullmatch(r"[a-z_0-9]+;?", words[0]) and not (inside_map and not line.endswith("{")):
            yield f"return {words[1].rstrip(';')}" if words[0] == "return" else words[0].rstrip(";")


SECTIONS = {"global", "defaults", "frontend", "backend", "http", "stream"}
"""Words that stand for parts of the file, not for decisions."""


def names_directive(page: str, name: str) -> bool:
    """Whether the page names a directive: `log global`, or `return` 421 with the number behind the code."""
    first, _, argument = name.partition(" ")
    after = rf"|`{re.escape(first)}`[^`|]*(?<![\w.]){re.escape(argument)}(?![\w.])" if argument.isdigit() else ""
    return re.search(rf"`{re.escape(name)}(?![\w-]){after}", page) is not None


def without_reasons(page: str) -> str:
    """The page without the right columns of its tables: a reason may name other directives than the one it explains."""
    return re.sub(r"^(\|[^|]*\|).*$", r"\1", page, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "vendor, main, directives",
    [("haproxy", "haproxy.cfg", haproxy_directives), ("nginx", "nginx.conf", nginx_directives)],
    ids=["haproxy", "nginx"],
)
def test_every_directive_is_explained_on_the_vendors_page(
    vendor: str, main: str, directives: Callable[[str], Iterator[str]]
) -> None:
    page = without_reasons((DOCS / "vendors" / f"{vendor}.md").read_text(encoding="utf-8"))
    found = {
        name
        for path in (ROOT / "tests" / "golden").glob(f"*/{vendor}/{main}")
        for name in directives(path.read_text(encoding="utf-8"))
    }
    assert len(found) > 40
    assert sorted(name for name in found - SECTIONS if not names_directive(page, name)) == []


def test_the_readme_can_be_read_at_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < README_LINES


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_pages_have_no_loose_ends(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert not re.search(r"\bTODO\b|\bFIXME\b|[ \t]+$", prose(text), re.MULTILINE)


# The tests' own eyes.


def test_a_wrong_example_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# x\n\n```console\n$ printf 'a\\nb\\nc\\n'\na\n...\n$ false\n$ echo $?\n0\n```\n", encoding="utf-8"
    )
    results = [(shown, fits(shown, said)) for _example, shown, said in run_page(page, tmp_path)]
    assert results == [(["a", "..."], True), ([], True), (["0"], False)]


def test_headings_get_githubs_anchors() -> None:
    assert anchors("# `frontend.tls`\n## 503 for everyone\n### `a`, b\n### a b\n```\n# no heading\n```\n") == {
        "frontendtls",
        "503-for-everyone",
        "a-b",
        "a-b-1",
    }
