"""`manifest.json`: the files of a bundle, their sources, the programs that checked them, and the missing parts.

The classes here are its format: they read the file strictly, write it in one form only, and make its JSON Schema
(docs/bundle-manifest.schema.json).
"""

import json
import re
from typing import Annotated, Any, Final

from ..core.errors import Problem
from ..core.wording import shown
from ..spec.load import dotted
from ..spec.schema import Invalid, Model, Path, Reads, Report, entry, json_schema, read
from .members import MODES, REPACKED, BundleError, Member

MANIFEST: Final = "manifest.json"
SPEC: Final = "farm.yaml"
"""The names of the two files that every bundle holds."""
SCHEMA: Final = 1
"""The version of this format; a change that an older nlbgen would misread increases it."""


def _text(what: str, pattern: str = r"[^\x00-\x1f\x7f-\x9f]+", longest: int = 4096) -> Reads:
    compiled = re.compile(pattern)

    def parse(value: object) -> str:
        if isinstance(value, str) and len(value) <= longest and compiled.fullmatch(value):
            return value
        raise ValueError(f"{shown(value)} is not {what}")

    return Reads(parse, {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": longest})


def _one_of(*values: object) -> Reads:
    def parse(value: object) -> object:
        for known in values:
            if type(value) is type(known) and value == known:
                return value
        raise ValueError(f"{shown(value)} is not {' or '.join(map(str, values))}")

    return Reads(parse, {"enum": list(values)})


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{shown(value)} is not a number of bytes")


Line = Annotated[str, _text("a line of text")]
Lines = Annotated[str, _text("a text", r"[^\x00-\x08\x0b-\x1f\x7f-\x9f]+", 65536)]
Digest = Annotated[str, _text("a SHA-256 in hex", r"[0-9a-f]{64}", 64)]
Id = Annotated[str, _text("an id", r"[a-z0-9-]*", 100)]
Mode = Annotated[str, _one_of(*(f"{mode:04o}" for mode in MODES))]
Flag = Annotated[bool, _one_of(False, True)]
Bytes = Annotated[int, Reads(_size, {"type": "integer", "minimum": 0})]
Kept = Annotated[str, _one_of("none", "encrypted", "plain")]
SchemaVersion = Annotated[int, _one_of(SCHEMA)]


class Validation(Model):
    """The program that checked a file, and its verdict."""

    checked: Flag = entry("Whether the program has read the file and accepts it.")
    program: Line = entry("The program: HAProxy, NGINX, or nlbgen where its own reader checks.")
    version: Line | None = entry("The version of that program; null where it is not installed.")
    said: Line = entry("The verdict, as `nlbgen render` prints it.")


class ManifestEntry(Model):
    """One file of the bundle."""

    path: Line = entry("Its name in the archive, with slashes.")
    size: Bytes = entry("Bytes in the archive.")
    sha256: Digest = entry("SHA-256 of these bytes, in hex.")
    mode: Mode = entry("Its permission bits, octal.")
    part: Line = entry("Its part of the bundle: spec, nodes, a vendor.")
    secret: Flag = entry("Whether it contains secrets.")
    validation: Validation | None = entry("The program that checked it; null where none did.")


class Reason(Model):
    """Why something was left out."""

    id: Id = entry("The id that `accept` could name, or empty.")
    key: Line | None = entry("The key of the spec that requests it; null where it is not a single one.")
    message: Lines = entry("The reason.")
    hint: Lines | None = entry("What to do about it.")


class LeftOut(Model):
    """One part, or some files of it, that the bundle does not hold."""

    part: Line = entry("The part: nodes, a vendor.")
    what: Line = entry("What the bundle does not hold.")
    reasons: tuple[Reason, ...] = entry("Why, each with a hint.", least=1)


class Source(Model):
    """The spec that everything was made from."""

    path: Line = entry("Its name in the archive.")
    digest: Digest = entry("SHA-256 of its content: comments, order and layout do not count. All outputs show it.")


class Manifest(Model):
    """manifest.json."""

    schema: SchemaVersion = entry("The version of this format.")
    nlbgen: Line = entry("The version of nlbgen that made the bundle.")
    farm: Line = entry("The farm's name.")
    spec: Source = entry("The spec.")
    validated: Flag = entry("Whether programs checked the files; false with --no-validate.")
    secrets: Kept = entry("Whether files with secrets are in it: none, encrypted (age), or plain.")
    recipients: tuple[Line, ...] = entry("The public keys that files with secrets are encrypted for.")
    files: tuple[ManifestEntry, ...] = entry("All other files, in the order of their names.", least=1)
    left_out: tuple[LeftOut, ...] = entry("What could not be made or was not requested.")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of manifest.json."""
    return json_schema(Manifest, "manifest.json of an nlbgen bundle")


def written(manifest: Manifest) -> bytes:
    """Return the file's only form: ASCII, indented, keys in the order of the classes."""
    return (json.dumps(data(manifest), indent=2, ensure_ascii=True) + "\n").encode("ascii")


def data(value: object) -> object:
    """Return a part of the manifest as plain data, keys in the order of the classes."""
    if isinstance(value, Model):
        return {declared.name: data(getattr(value, attribute)) for attribute, declared in value.entries.items()}
    return [data(item) for item in value] if isinstance(value, tuple) else value


def understood(content: bytes) -> Manifest:
    """Return the manifest in these bytes; raises BundleError for anything that `written` does not write."""
    problems: list[str] = []
    manifest = read(Manifest, _parsed(content), _collector(problems))
    if problems or manifest is None:
        raise BundleError(
            "\n    ".join([f"{MANIFEST} does not match this version of nlbgen:", *problems[:20]]), REPACKED
        )
    if written(manifest) != content:
        raise BundleError(f"{MANIFEST} is not written as nlbgen writes it", REPACKED)
    return manifest


def _collector(problems: list[str]) -> Report:
    def report(path: Path, invalid: Invalid) -> None:
        problems.append(f"{dotted(path)}: {invalid.message}" if path else invalid.message)

    return report


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content.decode("ascii"))
    except (ValueError, RecursionError):
        raise BundleError(f"{MANIFEST} is not JSON", REPACKED) from None


def reason(problem: Problem) -> Reason:
    """Return a problem of the spec as a reason: without its location, as the file has another name on each machine."""
    return Reason(id=problem.id, key=problem.path or None, message=problem.message, hint=problem.hint or None)


def entry_of(member: Member, part: str, validation: Validation | None, *, secret: bool) -> ManifestEntry:
    """Return the manifest's entry of a file."""
    import hashlib

    return ManifestEntry(
        path=member.path,
        size=len(member.content),
        sha256=hashlib.sha256(member.content).hexdigest(),
        mode=f"{member.mode:04o}",
        part=part,
        secret=secret,
        validation=validation,
    )
