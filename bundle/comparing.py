"""The differences between two bundles: versions, the spec key by key, files line by line; never a secret."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ..core.plan import DIGEST_SHOWN
from ..core.wording import legible, shortened
from ..spec import document
from ..spec.load import dotted
from ..spec.schema import Path
from . import sealing
from .checking import Bundle
from .manifest import SPEC, ManifestEntry
from .members import named
from .sealing import Opener

_CONTEXT: Final = 3
_ABSENT: Final = object()
_LONGEST_VALUE: Final = 200
_DRAWN: Final = (".html", ".svg")
"""Files that show people the content of other files: comparing their lines would repeat those differences."""
_MOST_LINES: Final = 20_000
"""Comparing takes more than linear time: seconds for files this long, days for the longest of a bundle."""


class Fact(NamedTuple):
    """One value that differs between the bundles."""

    what: str
    old: str
    new: str


class FileChange(NamedTuple):
    """A file that only one bundle holds, or that differs between them."""

    path: str
    kind: str
    """`added`, `removed` or `changed`."""
    lines: tuple[str, ...]
    """A unified diff, or one line in brackets with the reason why there is none; empty where only marks changed."""


class Comparison(NamedTuple):
    """All differences."""

    facts: tuple[Fact, ...]
    spec: tuple[Fact, ...]
    files: tuple[FileChange, ...]
    marked: tuple[str, ...]
    """The files in which only marks changed: the spec's digest and nlbgen's version."""

    def __bool__(self) -> bool:
        return bool(self.facts or self.spec or self.files or self.marked)

    def text(self) -> str:
        """Return the text for people."""
        lines = [f"{fact.what}: {fact.old} -> {fact.new}" for fact in self.facts]
        lines += [f"spec {fact.what}: {fact.old} -> {fact.new}" for fact in self.spec]
        for change in self.files:
            lines += [f"{change.kind} {named(change.path)}", *change.lines]
        if self.marked:
            lines.append(f"changed only in the spec's digest or nlbgen's version: {', '.join(map(named, self.marked))}")
        return "".join(legible(line, "\t") + "\n" for line in lines)

    def data(self) -> dict[str, object]:
        """Return the data for programs."""
        return {
            "versions": [fact._asdict() for fact in self.facts],
            "spec": [fact._asdict() for fact in self.spec],
            "files": [{"path": c.path, "kind": c.kind, "lines": list(c.lines)} for c in self.files],
            "marked": list(self.marked),
        }


def compare(old: Bundle, new: Bundle, opener: Opener | None = None) -> Comparison:
    """Return what changed from `old` to `new`.

    Two encryptions of one content differ: with `opener` the decrypted contents are compared, without it such files
    count as changed. Raises NlbgenError where `opener` cannot open one.
    """
    changes = list(_files(old, new, opener))
    return Comparison(
        tuple(_facts(old, new)),
        tuple(_spec(old, new)),
        tuple(change for change in changes if change.lines),
        tuple(change.path for change in changes if not change.lines),
    )


def _facts(old: Bundle, new: Bundle) -> Iterator[Fact]:
    before, after = _facts_of(old), _facts_of(new)
    for what in dict.fromkeys([*before, *after]):
        one, other = before.get(what, "-"), after.get(what, "-")
        if one != other:
            yield Fact(what, one, other)


def _facts_of(bundle: Bundle) -> dict[str, str]:
    """Return the manifest's entries besides the files' contents, by their label."""
    listed = bundle.manifest
    facts = {
        "nlbgen": listed.nlbgen,
        "farm": listed.farm,
        "secrets": listed.secrets,
        "recipients": ", ".join(listed.recipients) or "-",
    }
    for left in listed.left_out:
        reasons = "; ".join(reason.id or reason.message for reason in left.reasons)
        facts[f"{left.part}: {left.what}"] = legible(f"left out ({reasons})", "\t")
    for entry in listed.files:
        facts[f"{named(entry.path)} validated"] = legible(entry.validation.said, "\t") if entry.validation else "-"
    return facts


# The spec


def _spec(old: Bundle, new: Bundle) -> Iterator[Fact]:
    """Yield the keys whose values differ. A spec holds references to secrets, never a secret itself."""
    before, after = (dict(_values(_document(bundle))) for bundle in (old, new))
    for path in sorted(before.keys() | after.keys(), key=lambda path: [str(step).zfill(6) for step in path]):
        one, other = before.get(path, _ABSENT), after.get(path, _ABSENT)
        if one != other or type(one) is not type(other):
            yield Fact(dotted(path), _syntax(one), _syntax(other))


def _document(bundle: Bundle) -> object:
    return document.parse(SPEC, document.decode(SPEC, bundle.contents[SPEC])).data


def _values(data: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _values(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from _values(value, (*path, index))
    else:
        yield path, data


def _syntax(value: object) -> str:
    if value is _ABSENT:
        return "-"
    return legible(shortened(json.dumps(value, ensure_ascii=False), _LONGEST_VALUE), "\t")


# The files


def _files(old: Bundle, new: Bundle, opener: Opener | None) -> Iterator[FileChange]:
    before, after = _by_plain_name(old), _by_plain_name(new)
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            bundle, entry = (new, other) if one is None else (old, one)
            if entry is not None:
                yield FileChange(path, "added" if one is None else "removed", (_size(bundle, entry),))
        elif change := _change(path, (old, one), (new, other), opener):
            yield change


def _by_plain_name(bundle: Bundle) -> Mapping[str, ManifestEntry]:
    """Return the entries by the names that the files have before encryption."""
    encrypted = bundle.manifest.secrets == "encrypted"
    return {
        entry.path.removesuffix(sealing.ENDING) if encrypted and entry.secret else entry.path: entry
        for entry in bundle.manifest.files
    }


def _size(bundle: Bundle, entry: ManifestEntry) -> str:
    return "(contains secrets)" if entry.secret else f"({len(bundle.contents[entry.path])} bytes)"


def _change(
    path: str, old: tuple[Bundle, ManifestEntry], new: tuple[Bundle, ManifestEntry], opener: Opener | None
) -> FileChange | None:
    secret = old[1].secret or new[1].secret
    before, after = (_content(bundle, entry, opener) for bundle, entry in (old, new))
    if before == after:
        return None
    if secret:
        return FileChange(path, "changed", (_about_secrets(old, new, opener),))
    before, after = _unmarked(old[0], before), _unmarked(new[0], after)
    if path.endswith(_DRAWN) and before != after:
        return FileChange(path, "changed", ("(a diagram of the same farm: not compared line by line)",))
    return FileChange(path, "changed", tuple(_diff(path, before, after)))


def _unmarked(bundle: Bundle, content: bytes) -> bytes:
    """Return the content without the marks that every output has: otherwise one changed key changes every file."""
    for mark in (bundle.manifest.spec.digest, bundle.manifest.spec.digest[:DIGEST_SHOWN]):
        content = content.replace(mark.encode(), b"(the spec's digest)")
    return content.replace(f"nlbgen {bundle.manifest.nlbgen} ".encode(), b"nlbgen (its version) ")


def _about_secrets(old: tuple[Bundle, ManifestEntry], new: tuple[Bundle, ManifestEntry], opener: Opener | None) -> str:
    sealed = any(bundle.manifest.secrets == "encrypted" and entry.secret for bundle, entry in (old, new))
    if sealed and opener is None:
        return "(encrypted: the content may be the same; --identity FILE compares it)"
    return "(contains secrets: not shown)"


def _content(bundle: Bundle, entry: ManifestEntry, opener: Opener | None) -> bytes:
    content = bundle.contents[entry.path]
    if opener is not None and entry.secret and bundle.manifest.secrets == "encrypted":
        return opener.open(content, f"{bundle.name}: {entry.path}")
    return content


def _diff(path: str, before: bytes, after: bytes) -> Iterator[str]:
    try:
        old, new = (content.decode("utf-8").split("\n") for content in (before, after))
    except UnicodeDecodeError:
        yield f"(binary: {len(before)} bytes, now {len(after)})"
        return
    if max(len(old), len(new)) > _MOST_LINES:
        yield f"(too long to compare line by line: {len(old)} lines, now {len(new)})"
        return
    for line in difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=_CONTEXT, lineterm=""):
        yield legible(line, "\t")
