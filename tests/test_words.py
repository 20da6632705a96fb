"""The vocabulary: words that messages, docs, comments, docstrings, names and rendered files do not use.

Each pattern has one standard term instead. Only words without another meaning are here; the others need a reader.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # they read nlbgen, and run nothing of it

ROOT = Path(__file__).parents[1]

INSTEAD = {
    r"ways? back": "rollback",
    r"ways? out": "fix, hint",
    r"living (farm|balancer|one|node|system)s?": "running",
    r"wish(es|ed)?": "option, request",
    r"unasked": "skip reason",
    r"happenings?": "event, timeline",
    r"diar(y|ies)": "event log",
    r"ears?": "listener",
    r"laborator(y|ies)": "lab",
    r"stand-?ins?": "simulated node",
    r"in hand": "in flight",
    r"time-outs?": "timeout",
    r"(is|are|hold|holds|was|were) no (YAML|XML|JSON)": "invalid YAML",
    r"whole or (absent|not at all)": "written atomically",
    r"(breaks?|broke) off": "is truncated",
    r"stands? and falls?": "single point of failure",
    r"faults? of nlbgen": "internal error (a bug in nlbgen)",
    r"yours to (know|look)": "note, please verify",
    r"(executed|asked) for the second time|twice (executed|asked)": "duplicated, retried",
    r"let go of|lets go of": "closed, released",
    r"for this machine alone": "bound to loopback",
    r"(run|runs|running) in a circle": "request loop",
    r"what of it": "impact",
    r"unfit": "invalid",
    r"whatever else": "other",
    r"(?<!user )(?<!`)nobody": "no client, no node",
    r"whoever": "anyone who",
}
"""By pattern: the term to use."""

BANNED = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)

CODE_FOLDERS = (
    *(
        "bundle",
        "commands",
        "core",
        "drift",
        "explain",
        "export",
        "generators",
        "lint",
        "net",
        "nodes",
        "probe",
        "prove",
        "push",
        "readers",
        "spec",
    ),
    *("benchmarks", "tests", "docs"),
)
TEXTS = (
    *("*.md", "*.cfg", "Makefile", "docs/**/*.md", "docs/man/*.1", "docs/site/*.yml", "templates/**/*.j2"),
    *("examples/**/*.yaml", "outputs/example/**/*", "benchmarks/peers/configurations/*"),
)
BINARY = {".tar", ".gz", ".zip", ".png", ".ico", ".woff2"}


def words_of(name: str) -> str:
    """The words of an identifier: `isOut_now` gives `is Out now`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name)


def code(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of the string constants (docstrings too), comments, and names of functions and classes."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, words_of(node.name)
        elif isinstance(node, ast.arg):
            yield node.lineno, words_of(node.arg)
    if BANNED.search(" ".join(source.split())):  # the slow part, and nearly always in vain
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def text(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each paragraph; a term may be wrapped to the next line."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        following = lines[number].lstrip("> #*;/") if number < len(lines) else ""
        yield number, f"{line} {following.partition(' ')[0]}"


def hits(path: Path) -> list[str]:
    """The banned words of a file, with their lines."""
    pieces = code(path) if path.suffix == ".py" else text(path)
    found = {(line, match[0]) for line, piece in pieces for match in BANNED.finditer(" ".join(piece.split()))}
    return [f"line {line}: {word}" for line, word in sorted(found)]


def files() -> list[Path]:
    """Every file with text that a person reads, but not this one."""
    modules = [*ROOT.glob("*.py"), *(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py"))]
    texts = [path for pattern in TEXTS for path in ROOT.glob(pattern) if path.is_file() and path.suffix not in BINARY]
    return sorted({*modules, *texts} - {Path(__file__)})


def name_of(path: Path) -> str:
    """The path below the root."""
    return path.relative_to(ROOT).as_posix()


def test_files_use_the_standard_terms() -> None:
    assert {name_of(path): found for path in files() if (found := hits(path))} == {}


def test_banned_words_are_found_in_code_and_text(tmp_path: Path) -> None:
    module = tmp_path / "a.py"
    module.write_text('def test_way_back(wishes):\n    """No\n    time-out."""  # nobody\n', encoding="utf-8")
    page = tmp_path / "a.md"
    page.write_text("The way\nback. Pearl, runtime, timeout, in handy.\n", encoding="utf-8")
    assert hits(module) == ["line 1: way back", "line 1: wishes", "line 2: time-out", "line 3: nobody"]
    assert hits(page) == ["line 1: way back"]
