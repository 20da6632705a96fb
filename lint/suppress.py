"""Findings that a file accepts: by a comment in the configuration, or by a baseline file.

A comment `# nlbgen: ignore[ID] REASON` applies to its own line. If it has its line to itself, it applies to the next
line that is not a comment. Several ids are separated by commas. The reason is required.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ..core import files
from ..core.errors import FileError, Location
from ..core.wording import json_text
from ..readers.tree import Comment, Configuration
from .rule import Finding, Found, Rule

_IGNORE: Final = re.compile(r"nlbgen:\s*ignore\s*\[([^\]]*)\]\s*(.*)", re.DOTALL)
_VERSION: Final = 1
_LONGEST_LINE: Final = 4096
"""Characters of a line that a fingerprint has as they are."""

NO_EFFECT: Final = Rule(
    id="ignore-no-effect",
    vendors=("haproxy", "nginx", "f5"),
    severity="warning",
    title="each comment that ignores a rule has an effect",
    why="a comment without a reason, or with an id for which there is no finding, ignores nothing",
    instead="write `# nlbgen: ignore[ID] REASON` on the line of the finding or before it, or remove the comment",
    source="docs/commands/lint.md",
    check=lambda _configuration: (),
)
"""Reported by this module itself, because a check does not know the findings of the other rules."""


class Ignored(NamedTuple):
    """A finding that is not reported, with the reason: that of the comment, or the name of the baseline file."""

    finding: Finding
    reason: str
    in_source: bool


class _Ignore(NamedTuple):
    """One id of a comment: the line to which it applies, and the comment."""

    id: str
    file: str
    line: int
    reason: str
    comment: Comment


class Split(NamedTuple):
    """The findings that are reported, and those that are ignored."""

    reported: tuple[Finding, ...]
    ignored: tuple[Ignored, ...]


def by_comments(configuration: Configuration, findings: Iterable[Finding]) -> Split:
    """Split the findings by the comments in the configuration; comments without an effect are findings too."""
    ignores = list(_ignores(configuration))
    by_line = {(ignore.id, ignore.file, ignore.line): ignore for ignore in ignores if ignore.reason}
    reported: list[Finding] = []
    ignored: list[Ignored] = []
    used: set[_Ignore] = set()
    for finding in findings:
        ignore = by_line.get((finding.rule.id, finding.location.file, finding.location.line))
        if ignore is None:
            reported.append(finding)
        else:
            used.add(ignore)
            ignored.append(Ignored(finding, ignore.reason, in_source=True))
    reported += [Finding(NO_EFFECT, *_no_effect(ignore)) for ignore in ignores if ignore not in used]
    return Split(tuple(sorted(reported, key=lambda finding: finding.sort_key)), tuple(ignored))


def _no_effect(ignore: _Ignore) -> Found:
    cause = f"{ignore.id} has no finding on line {ignore.line}" if ignore.reason else "the comment has no reason"
    return Found(ignore.comment.location, cause)


def _ignores(configuration: Configuration) -> Iterator[_Ignore]:
    alone = {(one.location.file, one.location.line) for one in configuration.comments if one.alone}
    for comment in configuration.comments:
        if found := _IGNORE.match(comment.text):
            file, line = comment.location.file, comment.location.line
            while (file, line) in alone:
                line += 1
            for name in found[1].split(","):
                yield _Ignore(name.strip(), file, line, found[2].strip(), comment)


# Baseline


def fingerprints(configuration: Configuration, findings: Sequence[Finding]) -> list[str]:
    """A fingerprint of each finding: of its rule, its file, the text of its line, and its number among equal ones.

    It stays the same when lines before it are added or removed. It holds no text of the file, which may have secrets.
    """
    seen: Counter[str] = Counter()
    texts: dict[tuple[str, int], str] = {}
    result = []
    for finding in findings:
        text = _text(configuration, finding.location, texts)
        key = f"{finding.rule.id}\0{Path(finding.location.file).name}\0{text}"
        digest = hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogateescape")).hexdigest()
        seen[key] += 1
        result.append(digest[:32])
    return result


def _text(configuration: Configuration, location: Location, texts: dict[tuple[str, int], str]) -> str:
    """The text of a line without its layout. Of a line such as a declaration without line ends, it is a digest."""
    place = (location.file, location.line)
    if place not in texts:
        lines = configuration.lines.get(location.file, ())
        text = " ".join(lines[location.line - 1].split()) if 0 < location.line <= len(lines) else ""
        long = len(text) > _LONGEST_LINE
        texts[place] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if long else text
    return texts[place]


def by_baseline(configuration: Configuration, split: Split, baseline: frozenset[str], name: str) -> Split:
    """Also ignore the findings whose fingerprints are in the baseline file of this name."""
    marked = list(zip(split.reported, fingerprints(configuration, split.reported), strict=True))
    ignored = tuple(Ignored(finding, name, in_source=False) for finding, mark in marked if mark in baseline)
    return Split(tuple(finding for finding, mark in marked if mark not in baseline), (*split.ignored, *ignored))


def read_baseline(path: Path) -> frozenset[str]:
    """The fingerprints of a baseline file; raises FileError."""
    content = files.read_bytes(path)
    if content is None:
        raise FileError(f"{path}: the baseline file does not exist", "make it with --write-baseline")
    try:
        data = json.loads(content)
        if data["version"] != _VERSION:
            raise ValueError
        return frozenset(str(entry["fingerprint"]) for entry in data["findings"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FileError(
            f"{path}: is not a baseline file of this version of nlbgen", "make it again with --write-baseline"
        ) from None


def baseline(entries: Iterable[tuple[Finding, str]]) -> bytes:
    """The content of a baseline file for findings with their fingerprints."""
    listed = [
        {"id": finding.rule.id, "file": Path(finding.location.file).name, "fingerprint": mark}
        for finding, mark in entries
    ]
    return f"{json_text({'version': _VERSION, 'findings': listed})}\n".encode()
