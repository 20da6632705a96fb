"""Read the JSON file of `nlbgen nodes collect`: a node's files with pseudonyms for secrets, and facts about the node.

The file comes from another machine: each value is checked for its type, and a text is shown only where it is printable.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ...core.errors import NodeError
from ...core.files import content, hint_for
from .webconfig import MAX_BYTES

FORMAT: Final = 1
MARK: Final = "nlbgen nodes collect"
_CHECK: Final = re.compile(r"[0-9a-f]{16}")
_PATH: Final = re.compile(r"(?!.*(?:^|[\\/])\.\.)[^\x00-\x1f:*?\"<>|/\\][^\x00-\x1f:*?\"<>|]{0,200}")
_LONGEST: Final = 300
_AGAIN: Final = "run collect-node.ps1 on the node again, and copy its file here"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of the machine's store `My`."""

    thumbprint: str
    subject: str
    begins: datetime
    ends: datetime
    bits: int | None
    has_key: bool
    readable: Mapping[str, bool | None]
    """For each app pool whether its account can read the private key; None if the script could not decide it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """An app pool of the site or of one of its applications."""

    name: str
    state: str
    identity: str
    """The type of its account, or the user for a specific one."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the script found beside the files; None for what it could not find."""

    computer: str
    collected: datetime
    site_id: int | None = None
    site_pool: str = ""
    applications: Mapping[str, str] = field(default_factory=dict)
    """The app pool of each folder below Orchestrator's that is an application of the site."""
    pools: tuple[Pool, ...] = ()
    bindings: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    features: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    clock_offset: float | None = None
    """Seconds between this machine's clock and its time source."""


@dataclass(frozen=True, slots=True)
class Node:
    """The content of one file of `nlbgen nodes collect`."""

    path: Path
    main: str
    check: str
    """Equal for two nodes that were collected with the same key."""
    texts: Mapping[str, str] = field(repr=False)
    unreadable: tuple[str, ...]
    """The files that the script could not read or not split."""
    facts: Facts


def is_collected(path: Path) -> bool:
    """Whether a node's config is such a file: by its name."""
    return path.suffix.lower() == ".json"


def read(path: Path) -> Node:
    """Read the file at `path`; raises NodeError with the reason and a hint."""
    try:
        raw = content(path, MAX_BYTES)
    except OSError as error:
        hint = hint_for(error, "copy the file of collect-node.ps1 to this path, or correct the path")
        raise NodeError(f"{path}: cannot be read: {error.strerror}", hint) from None
    if len(raw) > MAX_BYTES:
        raise NodeError(f"{path}: is larger than {MAX_BYTES} bytes", _AGAIN)
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise NodeError(f"{path}: is not JSON", _AGAIN) from None
    return _Reader(path).node(data)


class _Reader:
    """Reads values of the JSON, each with its type."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def _error(self, what: str) -> NodeError:
        return NodeError(f"{self._path}: {what}", _AGAIN)

    def _mapping(self, value: object, name: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self._error(f"{name} is not an object")
        return value

    def _list(self, value: object, name: str) -> Sequence[object]:
        if not isinstance(value, list):
            raise self._error(f"{name} is not an array")
        return value

    def _text(self, value: object, name: str) -> str:
        if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
            raise self._error(f"{name} is not a short text")
        return value

    def _number(self, value: object, name: str) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._error(f"{name} is not a number")
        return value

    def _integer(self, value: object, name: str) -> int | None:
        number = self._number(value, name)
        return None if number is None else int(number)

    def _time(self, value: object, name: str) -> datetime:
        try:
            return datetime.strptime(self._text(value, name), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise self._error(f"{name} is not a time, for example 2030-01-31T12:00:00Z") from None

    def _texts(self, value: object, name: str) -> dict[str, str]:
        return {
            self._text(key, name): self._text(text, f"{name}.{key}") for key, text in self._mapping(value, name).items()
        }

    def node(self, data: object) -> Node:
        """The content; raises NodeError if it is not one of this version."""
        top = self._mapping(data, "the file") if isinstance(data, dict) else {}
        if top.get("made_by") != MARK:
            raise self._error(f"is not a file of `{MARK}`")
        if top.get("format") != FORMAT:
            raise self._error(f"has another format than {FORMAT}: it was made by another version of nlbgen")
        check = self._text(top.get("check"), "check")
        if not _CHECK.fullmatch(check):
            raise self._error("check is not 16 hex digits")
        texts: dict[str, str] = {}
        unreadable: list[str] = []
        for one in self._list(top.get("files"), "files"):
            file = self._mapping(one, "files")
            name = self._text(file.get("path"), "files.path")
            text = file.get("text")
            if not _PATH.fullmatch(name):
                raise self._error("files.path is not a path below the folder")
            if isinstance(text, str):
                texts[name] = text
            else:
                unreadable.append(f"{name}: {self._text(file.get('error'), 'files.error')}")
        main = self._text(top.get("main"), "main")
        facts = self._facts(self._mapping(top.get("facts"), "facts"))
        return Node(self._path, main, check, texts, tuple(unreadable), facts)

    def _facts(self, facts: Mapping[str, object]) -> Facts:
        site = self._mapping(facts.get("site"), "facts.site")
        return Facts(
            computer=self._text(facts.get("computer"), "facts.computer"),
            collected=self._time(facts.get("collected"), "facts.collected"),
            site_id=self._integer(site.get("id"), "facts.site.id"),
            site_pool=self._text(site.get("pool"), "facts.site.pool"),
            applications=self._texts(facts.get("applications"), "facts.applications"),
            pools=tuple(self._pool(one) for one in self._list(facts.get("pools"), "facts.pools")),
            bindings=tuple(
                self._text(one, "facts.site.bindings")
                for one in self._list(site.get("bindings"), "facts.site.bindings")
            ),
            certificates=tuple(
                self._certificate(one) for one in self._list(facts.get("certificates"), "facts.certificates")
            ),
            features=self._texts(facts.get("features"), "facts.features"),
            versions=self._texts(facts.get("versions"), "facts.versions"),
            clock_offset=self._number(facts.get("clock_offset"), "facts.clock_offset"),
        )

    def _pool(self, value: object) -> Pool:
        pool = self._mapping(value, "facts.pools")
        return Pool(*(self._text(pool.get(key), f"facts.pools.{key}") for key in ("name", "state", "identity")))

    def _certificate(self, value: object) -> Certificate:
        name = "facts.certificates"
        one = self._mapping(value, name)
        readable: dict[str, bool | None] = {}
        for pool, answer in self._mapping(one.get("readable"), f"{name}.readable").items():
            if answer is not None and not isinstance(answer, bool):
                raise self._error(f"{name}.readable is not true, false or null")
            readable[self._text(pool, f"{name}.readable")] = answer
        return Certificate(
            thumbprint=self._text(one.get("thumbprint"), f"{name}.thumbprint").upper(),
            subject=self._text(one.get("subject"), f"{name}.subject"),
            begins=self._time(one.get("begins"), f"{name}.begins"),
            ends=self._time(one.get("ends"), f"{name}.ends"),
            bits=self._integer(one.get("bits"), f"{name}.bits"),
            has_key=one.get("has_key") is True,
            readable=readable,
        )
